"""Planted biases are found, and a fair ranker is not accused more often than was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, t

from reranker.candidates import Candidates
from reranker.errors import InvalidInput
from reranker.replay.audit import Finding, GroupFinding, Judgements, Question, ResultSet, Source, Tally, findings
from reranker.replay.audit import read_targets as targets_of
from reranker.replay.audit.findings import Audit, Gap
from reranker.replay.audit.shares import Draws, Means
from reranker.replay.audit.tally import ALIKE, SAME_REQUEST, given_in_words
from reranker.replay.audit.twoway import Paired, student, units_of
from reranker.replay.audit.weights import alike, same_request, same_values
from reranker.replay.audit.words import sentences

GROUPS = ("light", "medium", "dark")
CATALOG = 2_000


def lists(
    seed: int,
    *,
    requests: int = 50,
    size: int = 40,
    push: float = 0.0,
    own_opinion: float = 1.0,
    deserved: bool = False,
) -> Iterator[tuple[ResultSet, np.ndarray]]:
    """Result sets over one catalog, and what is relevant in them. `push` is taken off the scores of dark items.

    The ranker has an opinion of every item that it keeps from request to request. With `deserved` dark items are less
    relevant by as much as they are pushed. Forms are equal signals: those of "b" are liked less, and dark ones often b.
    """
    generator = np.random.default_rng(seed)
    tone = generator.choice(3, CATALOG, p=[0.5, 0.35, 0.15])
    form = np.where(generator.random(CATALOG) < np.where(tone == 2, 0.8, 0.3), 1, 0)
    opinion = generator.normal(size=CATALOG) * own_opinion
    for number in range(requests):
        rows = generator.choice(CATALOG, size, replace=False)
        quality = opinion[rows] + generator.normal(size=size)
        scores = quality - push * (tone[rows] == 2)
        candidates = Candidates(
            ids=[f"i{row}" for row in rows],
            scores=scores,
            attributes={
                "tone": [GROUPS[code] for code in tone[rows]],
                "form": ["ab"[code] for code in form[rows]],
            },
        )
        merit = scores if deserved else quality
        relevant = generator.random(size) < 1.0 / (1.0 + np.exp(1.0 - 1.5 * merit))
        yield ResultSet(f"r{number}", {"surface": "search" if number % 3 else "home"}, candidates, {}, 10), relevant


def audited(question: Question | None = None, *, judged: bool = False, **words: object) -> Audit:
    made = list(lists(**words))  # type: ignore[arg-type]
    judgements = None
    if judged:
        rows = [(found, relevant) for found, relevant in made]
        judgements = Judgements(
            {
                found.name: {str(i): 1.0 for i, yes in zip(found.candidates.ids, relevant, strict=True) if yes}
                for found, relevant in rows
            }
        )
    question = question or Question(("tone",))
    tally = Tally(question, judgements)
    for found, _ in made:
        tally.add(found)
    return findings(tally, question, {}, draws=500)


def of(found: Audit, value: str, slice_: tuple[str, str] = ("", "")) -> GroupFinding:
    return next(each for each in found.groups if each.value == value and each.slice == slice_)


def gap(found: Audit, value: str, among: str = SAME_REQUEST) -> Gap:
    return next(each for each in of(found, value).gaps if each.among == among)


def test_a_constant_off_the_scores_of_one_group_is_found_and_said() -> None:
    found = audited(seed=1, push=0.8, requests=80)
    dark = gap(found, "dark")
    assert dark.finding is Finding.BELOW
    assert dark.scores.low < -0.8 / 1.5 < dark.scores.high  # scores have a deviation of about 1.5
    assert gap(found, "light").finding is not Finding.BELOW
    said = sentences(found)
    assert said[0].startswith("Upstream puts tone = dark lower than others")
    assert "stands lower than others of the same request" in " ".join(said)


def test_a_push_that_is_deserved_is_not_a_push_at_equal_position() -> None:
    unfair = audited(seed=2, push=1.0, requests=150, judged=True)
    fair = audited(seed=2, push=1.0, requests=150, judged=True, deserved=True)
    words = "equal position: relevance"
    assert gap(unfair, "dark", words).finding is Finding.ABOVE
    assert gap(fair, "dark", words).finding is Finding.NO_DIFFERENCE
    assert "the scores push it down" in " ".join(sentences(unfair))


def test_what_an_equal_signal_explains_is_no_push_at_equal_signals() -> None:
    question = Question(("tone",), given=("form",))
    tally = Tally(question)
    generator = np.random.default_rng(5)
    for found, _ in lists(3, requests=200):
        columns = found.candidates.attributes
        liked = np.array([text == ["a"] for text in columns["form"].listed()])
        scores = found.candidates.scores + 2.0 * liked + generator.normal(size=len(liked)) * 0.1
        candidates = Candidates(ids=found.candidates.ids, scores=scores, attributes=columns)
        tally.add(ResultSet(found.name, found.fields, candidates, {}, 10))
    said = findings(tally, question, {}, draws=500)
    assert gap(said, "dark").finding is Finding.BELOW
    assert gap(said, "dark", given_in_words(("form",))).finding is Finding.NO_DIFFERENCE


@pytest.mark.parametrize("own_opinion", [0.0, 2.0])
def test_a_fair_ranker_is_seldom_accused(own_opinion: float) -> None:
    """One audit in twenty may say something wrong, whether or not the ranker has an opinion of each item."""
    seeds = 40
    accused = sum(
        any(each.finding in (Finding.BELOW, Finding.ABOVE) for group in found.groups for each in group.gaps)
        for seed in range(seeds)
        for found in [audited(seed=100 + seed, own_opinion=own_opinion, requests=40)]
    )
    assert accused <= 6  # 2 are expected; 7 or more of 40 have a chance of 0.003


def test_small_groups_slices_and_unknown_values_are_listed() -> None:
    question = Question(("tone",), by=("surface",))
    tally = Tally(question)
    for number, (found, _) in enumerate(lists(7, requests=36)):
        tones: list[str | None] = [text[0] for text in found.candidates.attributes["tone"].listed()]
        tones[0] = None
        if number == 0:
            tones[1] = "only once"
        candidates = Candidates(ids=found.candidates.ids, scores=found.candidates.scores, attributes={"tone": tones})
        tally.add(ResultSet(found.name, found.fields, candidates, {}, 10))
    said = findings(tally, question, {}, draws=500)
    assert {(each.dimension, each.value): each.requests for each in said.slices} == {
        ("", ""): 36, ("surface", "search"): 24, ("surface", "home"): 12,
    }  # fmt: skip
    once = of(said, "only once")
    assert (once.candidates, once.requests, gap(said, "only once").finding) == (1, 1, Finding.TOO_LITTLE)
    assert all(each.finding is Finding.TOO_LITTLE for each in of(said, "dark", ("surface", "home")).gaps)
    (whole,) = [each for each in said.attributes if each.slice == ("", "")]
    assert (whole.unknown, whole.candidates) == (36, 36 * 40)
    assert "tone is unknown for 36 of 1,440 candidates (2.5 %)." in sentences(said)


def test_attributes_of_many_values_are_named_and_not_compared() -> None:
    question = Question()
    tally = Tally(question)
    for found, _ in lists(8, requests=3):
        columns = {**found.candidates.attributes, "creator": list(found.candidates.ids)}
        candidates = Candidates(ids=found.candidates.ids, scores=found.candidates.scores, attributes=columns)
        tally.add(ResultSet(found.name, found.fields, candidates, {}, 10))
    said = findings(tally, question, {}, draws=500)
    assert said.too_many_values == ("creator",)
    assert {each.attribute for each in said.groups} == {"tone", "form"}


def test_result_sets_without_scores_are_draws_and_held_to_a_target(tmp_path: Path) -> None:
    file = tmp_path / "images.jsonl"
    lines = [
        {"prompt": prompt, "items": [{"gender": "woman" if at < women else "man"} for at in range(40)]}
        for prompt, women in (("a nurse", 38), ("a judge", 2), ("a teacher", 21))
    ]
    lines[0]["items"].append({"gender": None})  # type: ignore[attr-defined]
    file.write_text("\n".join(map(json.dumps, lines)))
    source = Source((file,))
    question = Question(by=("prompt",), targets=targets_of(["uniform"]))
    tally = Tally(question)
    for found in source.sets():
        tally.add(found)
    said = findings(tally, question, {}, draws=40_000)
    shown = {prompt: of(said, "woman", ("prompt", prompt)).shown for prompt in ("a nurse", "a judge", "a teacher")}
    assert [each.finding for each in shown.values()] == [Finding.ABOVE, Finding.BELOW, Finding.NO_DIFFERENCE]
    judge = shown["a judge"]
    assert judge.share.mean == 0.05
    out = (1.0 - said.level) / 2.0
    assert judge.share.low == pytest.approx(beta.ppf(out, 2, 39), abs=2e-3)
    assert judge.share.high == pytest.approx(beta.ppf(1.0 - out, 3, 38), abs=1e-2)
    assert judge.target == 0.5
    assert of(said, "woman").shown.finding is Finding.NO_DIFFERENCE
    assert of(said, "woman").gaps == ()


def test_lists_of_nobody_are_counted_and_break_nothing(tmp_path: Path) -> None:
    file = tmp_path / "sets.jsonl"
    file.write_text(
        '{"items": []}\n\n{"items": [{"score": 1.0, "tone": null}]}\n{"items": [{"score": 0}, {"score": 0}]}\n'
    )
    question = Question()
    tally = Tally(question)
    for found in Source((file,)).sets():
        tally.add(found)
    said = findings(tally, question, {}, draws=500)
    assert (said.requests, said.ranked, said.candidates) == (3, 2, 3)
    assert sentences(said)[0].startswith("These requests do not tell")


def test_targets_of_requests_are_compared_request_by_request() -> None:
    question = Question(("tone",), targets=targets_of(["request"]))
    tally = Tally(question)
    for number, (found, _) in enumerate(lists(11, requests=40)):
        own = {"tone": {"dark": 0.9, "light": 0.05}} if number % 2 else {}
        tally.add(ResultSet(found.name, found.fields, found.candidates, own, 10))
    said = findings(tally, question, {}, draws=500)
    dark = of(said, "dark").shown
    assert dark.target == pytest.approx(0.9)
    assert dark.beyond.requests == 20
    assert dark.beyond.high < 0.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_weights_are_the_differences_of_means_that_they_stand_for(seed: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 30))
    codes = generator.integers(-1, 3, count)
    members, labelled = codes[:, None] == np.arange(3), codes >= 0
    numbers = generator.normal(size=count)
    for group, weights in enumerate(same_request(members, labelled).T):
        ours, theirs = members[:, group], labelled & ~members[:, group]
        expected = numbers[ours].mean() - numbers[theirs].mean() if ours.any() and theirs.any() else 0.0
        assert weights @ numbers == pytest.approx(expected)
    strata = generator.integers(-1, 3, count)
    for group, weights in enumerate(same_values(members, labelled, strata).T):
        total = told = 0.0
        for stratum in range(3):
            ours = members[:, group] & labelled & (strata == stratum)
            theirs = labelled & ~members[:, group] & (strata == stratum)
            if ours.any() and theirs.any():
                tells = ours.sum() * theirs.sum() / (ours.sum() + theirs.sum())
                told += tells
                total += tells * (numbers[ours].mean() - numbers[theirs].mean())
        assert weights @ numbers == pytest.approx(total / told if told else 0.0)
    vectors = generator.normal(size=(count, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for group, weights in enumerate(alike(members, labelled, vectors, 0.5).T):
        apart = []
        for i in np.flatnonzero(members[:, group]):
            others = np.flatnonzero(labelled & ~members[:, group])
            if len(others) and (vectors[others] @ vectors[i]).max() >= 0.5:
                apart.append(numbers[i] - numbers[others[(vectors[others] @ vectors[i]).argmax()]])
        assert weights @ numbers == pytest.approx(np.mean(apart) if apart else 0.0)


def test_alike_items_are_compared_where_there_are_embeddings() -> None:
    question = Question(("tone",), alike=0.99)
    tally = Tally(question)
    generator = np.random.default_rng(3)
    for number in range(60):
        products = generator.normal(size=(15, 64))
        quality = generator.normal(size=15) * 3.0
        pairs = np.array([*np.repeat(np.arange(5), 2), *range(5, 15), *range(5, 15)])  # five twins, twenty strangers
        tones = ["light", "dark"] * 5 + list(generator.choice(["light", "dark"], 20))
        quality = quality[pairs] + np.where(np.arange(30) < 10, 0.0, generator.normal(size=30) * 3.0)
        scores = quality - 0.1 * np.array([tone == "dark" for tone in tones])
        vectors = np.vstack([products[pairs[:10]], generator.normal(size=(20, 64))])
        ids = [f"{number}-{at}" for at in range(30)]
        candidates = Candidates(ids=ids, scores=scores, embeddings=vectors, attributes={"tone": tones})
        tally.add(ResultSet(str(number), {}, candidates, {}, 10))
    said = findings(tally, question, {}, draws=500)
    assert gap(said, "dark", ALIKE).finding is Finding.BELOW
    among_all, among_alike = (gap(said, "dark", among).places for among in (SAME_REQUEST, ALIKE))
    assert among_alike.high - among_alike.low < (among_all.high - among_all.low) / 2


def test_two_ways_of_sampling_cover_the_truth_where_one_does_not() -> None:
    """Few items in many requests: the spread of the difference is that of the items."""
    generator = np.random.default_rng(17)
    missed, naive = 0, 0
    for _ in range(200):
        opinion = generator.normal(size=60)
        is_member = np.arange(60) < 20
        paired = Paired(1)
        rows_of = []
        for _ in range(60):
            rows = generator.choice(60, 30, replace=False)
            members = is_member[rows]
            weights = same_request(members[:, None], np.ones(30, bool))[:, 0]
            values = (opinion[rows] + 0.3 * generator.normal(size=30))[:, None]
            paired.add(weights, values, units_of([f"i{row}" for row in rows]))
            rows_of.append(float(weights @ values[:, 0]))
        found = paired.difference(0, 0.95)
        missed += not found.low <= 0.0 <= found.high
        reach = 2.0 * np.std(rows_of) / np.sqrt(60)
        naive += abs(np.mean(rows_of)) > reach
    assert missed / 200 < 0.12
    assert naive / 200 > 0.4


def test_quantiles_are_students() -> None:
    for freedom in (10, 30, 255):
        for share in (0.975, 0.999, 0.9999):
            assert student(share, freedom) == pytest.approx(t.ppf(share, freedom), rel=0.02)


def test_means_do_not_depend_on_when_a_name_came_and_draws_add_up() -> None:
    means, late = Means(is_of_all=True), Means(is_of_all=False)
    for number in range(2_500):
        numbers = {"a": 1.0} | ({"b": 0.5} if number >= 1_500 else {})
        means.add(numbers)
        late.add(numbers)
    ends = {"a": (0.0, 1.0), "b": (0.0, 1.0), "never": (0.0, 1.0)}
    found = means.intervals(ends, 0.95, seed=0, draws=500)
    assert [found[name].mean for name in ("a", "never")] == [1.0, 0.0]
    assert found["b"].mean == pytest.approx(0.2)  # 1,000 of 2,500 requests have half of it
    assert {each.requests for each in found.values()} == {2_500}
    assert late.intervals(ends, 0.95, seed=0, draws=500)["b"].mean == 0.5
    draws = Draws()
    assert draws.interval("a", 0.95, seed=0, draws=100).requests == 0


def test_mistakes_are_named_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{\n{"items": 3}\n{"items": [{"score": 1}, {}]}\n{"items": [{"id": "a"}, {"id": "a"}]}\n')
    with pytest.raises(InvalidInput) as caught:
        list(Source((file,)).sets())
    text = str(caught.value)
    assert all(f"line {number}" in text for number in (1, 2, 3, 4))
    with pytest.raises(InvalidInput) as caught:
        targets_of(["gender", "gender:woman=0.9,man=0.9", "uniform", "request"])
    assert len(caught.value.violations) == 3
    with pytest.raises(InvalidInput) as caught:
        Judgements.read(["{}", '{"request_id": "a", "item_id": 3, "relevance": 7}', "["], "file")
    assert [each.path for each in caught.value.violations] == [
        "line 1.request_id", "line 1.item_id", "line 2.relevance", "line 3",
    ]  # fmt: skip
