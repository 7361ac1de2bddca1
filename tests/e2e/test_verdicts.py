"""What `reranker replay` and `compare` say of policies whose character is known, from the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from examples.catalog import Corpus
from reranker.cli import main
from reranker.requestlog import write
from reranker.v1.reranker_service_pb2 import RerankRequest
from tests.e2e.processes import ROOT

Captured = pytest.CaptureFixture[str]
FAILED = 3
GENDER = '[labels.gender]\nvalues = ["woman", "man"]\n'
POLICIES = {
    "plain": f'[objective]\nstrategy = "relevance"\n{GENDER}',
    "no-op": f'[objective]\nstrategy = "mmr"\ndiversity = 0.0\n{GENDER}',
    "costly": f'[objective]\nstrategy = "mmr"\ndiversity = 0.97\n{GENDER}',
    "unfair": '[objective]\nstrategy = "relevance"\n[[quotas]]\nattribute = "gender"\nmax_share = { woman = 0.1 }\n'
    + GENDER,
}


def catalog_of(corpus: str, folder: Path) -> str:
    data = ROOT / "examples" / "data" / corpus / "catalog.npz"
    assert main(["catalog", "build", str(folder), str(data), "--precision", "float16"]) == 0
    return str(folder)


def replayed(run: Path, log: str, catalog: str, policies: Sequence[str], *flags: str) -> None:
    named = [word for policy in policies for word in ("--policy", policy)]
    line = ["replay", log, *named, "--catalog", catalog, "--run", str(run), "--no-parts", "--jobs", "1", *flags]
    assert main(line) == 0


@pytest.fixture(scope="module")
def occupations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of all four policies over the recorded image searches."""
    folder = tmp_path_factory.mktemp("occupations")
    files = []
    for name, text in POLICIES.items():
        files.append(folder / f"{name}.toml")
        files[-1].write_text(f'name = "{name}"\n{text}')
    log = str(ROOT / "examples" / "data" / "occupations" / "requests.rlog.gz")
    queries = str(ROOT / "examples" / "data" / "occupations" / "words.json")
    catalog = catalog_of("occupations", folder / "catalog")
    replayed(folder / "run", log, catalog, list(map(str, files)), "--queries", queries)
    return folder / "run"


@pytest.mark.parametrize(
    ("policy", "code", "words"),
    [
        ("unfair", FAILED, "FAIL: unfair against plain: it is worse for gender"),
        ("costly", FAILED, "it costs more than the gates allow"),
        ("no-op", 0, "PASS: no-op has no effect; every slate is the same as under plain"),
    ],
)
def test_each_is_called_what_it_is(
    occupations: Path, capsys: Captured, tmp_path: Path, policy: str, code: int, words: str
) -> None:
    where = ["--report", str(tmp_path / "report.html"), "--json", str(tmp_path / "found.json")]
    assert main(["compare", str(occupations), "--candidate", policy, *where]) == code
    said = capsys.readouterr().out
    assert words in said.splitlines()[0]
    tree = json.loads((tmp_path / "found.json").read_text())
    if policy == "unfair":
        assert "Attention by gender: woman (" in said
        assert "relevance" not in said.splitlines()[0]
        failed = {
            (each["gate"]["measure"], each["slice"][0])
            for each in tree["comparison"]["checks"]
            if each["outcome"] == "FAIL"
        }
        assert ("attention_shortfall", "") in failed
    if policy == "costly":
        assert "relevance of the upstream top that is kept: change at least -5 points" in said
    if policy == "no-op":
        assert "Of 406 requests none gets another slate." in said


def test_queries_that_were_asked_twice_are_slices(occupations: Path, tmp_path: Path) -> None:
    asked = {
        log.request.request_id: f"query {number % 3}" for number, log in enumerate(Corpus("occupations").records())
    }
    queries, gates = tmp_path / "queries.json", tmp_path / "gates.toml"
    queries.write_text(json.dumps(asked))
    gates.write_text('[[gates]]\nmeasure = "answered"\nat_least = 0.5\nby = ["query"]\n')
    where = ["--report", str(tmp_path / "report.html"), "--json", str(tmp_path / "found.json")]
    line = [
        "compare",
        str(occupations),
        "--candidate",
        "no-op",
        "--queries",
        str(queries),
        "--gates",
        str(gates),
        *where,
    ]
    assert main(line) == 0
    tree = json.loads((tmp_path / "found.json").read_text())["comparison"]
    sizes = {each["value"]: each["requests"] for each in tree["slices"] if each["dimension"] == "query"}
    assert sizes == {"query 0": 136, "query 1": 135, "query 2": 135}
    assert {tuple(each["slice"]) for each in tree["checks"]} == {("", ""), *(("query", name) for name in sizes)}


def test_on_shades_a_gain_that_vanishes_under_label_noise_fails(tmp_path: Path, capsys: Captured) -> None:
    log = tmp_path / "some.rlog"
    write(log, [each for number, each in enumerate(Corpus("shades").records()) if number % 8 == 0])
    catalog = catalog_of("shades", tmp_path / "catalog")
    policy = str(ROOT / "policies" / "skin-tone-range.toml")
    run = tmp_path / "run"
    replayed(run, str(log), catalog, [policy])
    gates = tmp_path / "gates.toml"
    gates.write_text('gain_kept = 0.5\n[[gates]]\nmeasure = "div"\nchange_at_least = 0.2\n')
    capsys.readouterr()
    assert main(["compare", str(run), "--gates", str(gates)]) == 0
    assert capsys.readouterr().out.startswith("PASS")
    tables = tmp_path / "tables"
    line = ["compare", str(run), "--gates", str(gates), "--label-noise", "0.25", "--tables", str(tables)]
    assert main(line) == FAILED
    said = capsys.readouterr().out
    rows = pq.read_table(tables / "checks.parquet").to_pylist()
    assert {(row["label_noise"], row["outcome"]) for row in rows} >= {
        ("", "PASS"), ("25 % of the labels wrong", "FAIL"),
    }  # fmt: skip
    assert ", with 25 % of the labels wrong" in (run / "report.html").read_text()
    assert "what it gains does not survive 25 % of the labels wrong" in said.splitlines()[0]
    assert "FAIL with 25 % of the labels wrong: of the gain in skin_tone" in said
    tree = json.loads((run / "comparison.json").read_text())["comparison"]
    assert tree["label_noise"][0]["outcome"] == tree["outcome"] == "FAIL"
    assert all(check["outcome"] == "PASS" for check in tree["checks"])
    assert main(["compare", str(run), "--label-noise", "2"]) == 2


def test_on_books_the_outcome_join_recovers_what_later_ratings_say(tmp_path: Path, capsys: Captured) -> None:
    """The known effect is taken from the data alone: lists, vectors, later ratings, and a plain MMR written here."""
    corpus = Corpus("books")
    logs = list(corpus.records("user_home"))
    log, policy = tmp_path / "home.rlog", tmp_path / "varied.toml"
    write(log, logs)
    tiers = '[labels.popularity_tier]\nvalues = ["head", "mid", "tail"]\n'
    policy.write_text(f'name = "varied"\n[objective]\nstrategy = "mmr"\ndiversity = 0.9\n{tiers}')
    run = tmp_path / "run"
    replayed(run, str(log), catalog_of("books", tmp_path / "catalog"), ["upstream", str(policy)])

    hits = {}
    for each in logs:
        request = each.request
        later = corpus.words[request.request_id].get("relevant", [])
        assert isinstance(later, list)
        items, size = list(request.candidates.item_ids), request.slate_size
        slates = [range(size), plain_mmr(corpus, request, 0.9)]
        hits[request.request_id] = [sum(items[at] in later for at in slate) for slate in slates]
    known = np.array(list(hits.values()))
    truth = float(((known[:, 1] > 0) * 1.0 - (known[:, 0] > 0)).mean())
    of_items = float((known[:, 1] - known[:, 0]).mean()) / logs[0].request.slate_size
    assert truth < -0.05

    effects, covered = [], []
    for salt in range(3):
        lines = []
        for name, counts in hits.items():  # whoever is served sees one of the two slates
            arm = blake2b(name.encode(), digest_size=1, salt=bytes([salt])).digest()[0] % 2
            lines.append({"request_id": name, "arm": ("upstream", "varied")[arm], "seen": 10, "engaged": counts[arm]})
        outcomes = tmp_path / "outcomes.jsonl"
        outcomes.write_text("\n".join(map(json.dumps, lines)))
        assert main(["compare", str(run), "--outcomes", str(outcomes)]) in (0, 3, 5)
        found = json.loads((run / "comparison.json").read_text())["outcomes"]
        assert found["requests"] == len(logs)
        assert found["everything"]["sample_ratio"] > 0.001
        whole, items_ = (found["everything"]["effect"][name] for name in ("engaged_requests", "engaged_items"))
        effects.append(whole["mean"])
        covered += [whole["low"] <= truth <= whole["high"], items_["low"] <= of_items <= items_["high"]]
        triggered = found["triggered"]["effect"]["engaged_requests"]
        assert triggered["requests"] == found["triggered_requests"]
    assert np.mean(covered) >= 0.8  # of six intervals at 95 %
    assert np.mean(effects) == pytest.approx(truth, abs=0.08)
    assert "see an engagement in the arm varied" in capsys.readouterr().out


def plain_mmr(corpus: Corpus, request: RerankRequest, diversity: float) -> list[int]:
    """The slate by the formula of docs/policies.md, float64, one pick after the other: places in the list."""
    rows = corpus.rows(request)
    vectors = corpus.embeddings[rows].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.array(request.candidates.scores)
    spread = scores.max() - scores.min()
    relevance = (scores - scores.min()) / spread if spread else np.zeros(len(scores))
    nearest, picked = np.zeros(len(scores)), list[int]()
    for _ in range(request.slate_size):
        utility = (1.0 - diversity) * relevance - diversity * nearest
        utility[picked] = -np.inf
        best = int(np.lexsort((np.arange(len(scores)), -scores, -utility))[0])
        picked.append(best)
        nearest = np.maximum(nearest, np.clip(vectors @ vectors[best], 0.0, 1.0))
    return picked
