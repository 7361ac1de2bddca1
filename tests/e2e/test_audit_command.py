"""`reranker audit` from the command line, on real requests with a bias planted in them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from examples.catalog import Corpus
from reranker.cli import main
from reranker.requestlog import write
from reranker.v1.request_log_pb2 import RequestLog
from tests.e2e.processes import ROOT

Captured = pytest.CaptureFixture[str]
REQUESTS = 150


def recorded(path: Path, *, push: float = 0.0) -> Path:
    """Recorded searches for shades with their tones; `push`, a share of the best score, is taken off the dark ones."""
    corpus = Corpus("shades")
    logs: list[RequestLog] = []
    for log in corpus.records("text_search"):
        request = corpus.joined(log.request, "skin_tone", "form", embeddings=False)
        (column,) = [each for each in request.candidates.attributes if each.name == "skin_tone"]
        scores = request.candidates.scores
        for at, code in enumerate(column.codes):
            if code and column.dictionary[code - 1] in ("dark", "brown"):
                scores[at] -= push * scores[0]
        request.context.surface = "search" if len(logs) % 2 else "home"
        logs.append(RequestLog(metadata=log.metadata, request=request))
        if len(logs) == REQUESTS:
            break
    write(path, logs)
    return path


def test_a_planted_bias_is_called_out_and_real_scores_are_not_called_that(tmp_path: Path, capsys: Captured) -> None:
    fair, unfair = recorded(tmp_path / "fair.rlog"), recorded(tmp_path / "unfair.rlog", push=0.2)
    assert main(["audit", str(unfair), "--attribute", "skin_tone", "--by", "surface", "--given", "form"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Upstream puts skin_tone = brown and skin_tone = dark lower than others")
    assert "at equal signals the scores push it down" in said
    assert "surface = home: 75 result sets" in said
    assert main(["audit", str(fair), "--attribute", "skin_tone"]) == 0
    assert capsys.readouterr().out.startswith("No group is found to stand lower than others")


def test_findings_for_programs(tmp_path: Path, capsys: Captured) -> None:
    log, table = recorded(tmp_path / "log.rlog.gz", push=0.2), tmp_path / "audit.parquet"
    flags = ["--by", "list length", "--target", "skin_tone:dark=0.2,light=0.4", "--parquet", str(table)]
    assert main(["audit", str(log), "--attribute", "skin_tone", *flags, "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["verdict"][0].startswith("Upstream puts")
    whole = [each for each in tree["audit"]["groups"] if each["slice"] == ["", ""]]
    dark = next(each for each in whole if each["value"] == "dark")
    assert dark["shown"]["target"] == 0.2
    assert dark["shown"]["finding"] == "BELOW"
    assert dark["gaps"][0]["finding"] == "BELOW"
    rows = pq.read_table(table).to_pylist()
    assert len(rows) == sum(1 + len(each["gaps"]) for each in tree["audit"]["groups"])
    row = next(r for r in rows if (r["field"], r["value"], r["among"]) == ("", "dark", "the same request"))
    assert row["difference"] == dark["gaps"][0]["places"]["mean"]


def test_what_turned_out_relevant_says_whom_the_scores_push_down(tmp_path: Path, capsys: Captured) -> None:
    """Readers' later ratings of listed books: at equal position popular books were liked less often than others."""
    corpus, log = Corpus("books"), tmp_path / "books.rlog"
    logs = [
        RequestLog(metadata=each.metadata, request=corpus.joined(each.request, "popularity_tier", embeddings=False))
        for each in corpus.records("user_home")
    ]
    write(log, logs)
    judged = tmp_path / "judged.jsonl"
    lines = [
        {"request_id": each.request.request_id, "item_id": item}
        for each in logs
        for item in corpus.words[each.request.request_id].get("relevant", [])  # type: ignore[attr-defined]
    ]
    judged.write_text("\n".join(map(json.dumps, lines)))
    assert main(["audit", str(log), "--relevance", str(judged)]) == 0
    said = capsys.readouterr().out
    assert "At equal position popularity_tier = head is less often relevant" in said
    assert "At equal position popularity_tier = tail is more often relevant" in said


def test_image_sets_by_prompt(tmp_path: Path, capsys: Captured) -> None:
    sets = tmp_path / "images.jsonl"
    lines = [{"prompt": "a nurse", "items": [{"id": str(at), "gender": "woman"} for at in range(60)]}]
    lines.append({"prompt": "a clerk", "items": [{"gender": ("woman", "man")[at % 2]} for at in range(60)]})
    sets.write_text("\n".join(map(json.dumps, lines)))
    assert main(["audit", str(sets), "--by", "prompt", "--target", "uniform"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("These result sets have no scores")
    assert "By prompt (2 slices): 1 fall short of their share of the results: gender = man in a nurse" in said


def test_mistakes_are_named_all_at_once(tmp_path: Path, capsys: Captured) -> None:
    log = str(ROOT / "examples" / "data" / "occupations" / "requests.rlog.gz")
    numbers = ["--top", "0", "--significance", "1", "--alike", "2", "--seed", "-1", "--only-judged"]
    assert main(["audit", log, *numbers]) == 2
    said = capsys.readouterr().err
    assert all(flag in said for flag in numbers if flag.startswith("--"))
    assert main(["audit", log, "--by", "moon", "--attribute", "tone", "--given", "form", "--target", "a:b=1"]) == 2
    said = capsys.readouterr().err
    assert all(
        words in said
        for words in ("--by moon", "no request has it; there are", "--attribute tone", "--given form", "--target a")
    )
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    assert main(["audit", str(empty)]) == 2
    assert "holds no result set" in capsys.readouterr().err
