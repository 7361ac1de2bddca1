import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import cast

import numpy as np
import pytest
from scipy.stats import chisquare

from examples.catalog import Corpus
from reranker.errors import InvalidInput
from reranker.replay.bootstrap import Interval, difference
from reranker.replay.outcomes import SUSPICIOUS, join, outcomes_of, sample_ratio, sentences
from reranker.v1.request_log_pb2 import RequestLog
from tests.unit.replay.runs import RELEVANCE, entry, made_up, recorded, run

ARMS = ("one", "other")
PLAIN = entry("one", objective=RELEVANCE)


def line(**words: object) -> str:
    return json.dumps(words)


def an_experiment(requests: Iterable[str]) -> Iterator[str]:
    """Half of these requests in either arm, and an engagement on one of three."""
    for number, name in enumerate(requests):
        yield line(request_id=name, arm=ARMS[number % 2], seen=5, engaged=int(number % 3 == 0))


def test_the_known_effect_of_real_later_ratings_is_recovered() -> None:
    """Readers rated some listed books 4 or more later on: an experiment sees that in one arm of each request alone."""
    records = recorded("books", kind="user_home", most=220)
    words = Corpus("books").words
    varied = entry("other", objective={"strategy": "mmr", "diversity": 0.97})
    results = run(records, [PLAIN, varied])
    hits: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        request = RequestLog.FromString(record).request
        later = set(cast("list[str]", words[request.request_id].get("relevant", [])))
        slates = [results.answers[label].positions[place] for label in ARMS]
        hits[request.request_id] = [sum(request.candidates.item_ids[at] in later for at in slate) for slate in slates]
    known = np.array(list(hits.values()))
    truth = float(((known[:, 1] > 0) * 1.0 - (known[:, 0] > 0)).mean())
    of_items = float((known[:, 1] - known[:, 0]).mean() / 10)
    assert truth < -0.1  # variety of this kind costs readers what they like: an effect that is there to be found
    means, covered = [], []
    for salt in range(40):  # forty experiments, as any hash of the request might have split them
        lines = []
        for name, counts in hits.items():
            arm = blake2b(name.encode(), digest_size=1, salt=bytes([salt])).digest()[0] % 2
            lines.append(line(request_id=name, arm=ARMS[arm], seen=10))  # the impression, and later what came of it
            lines.append(line(request_id=name, engaged=counts[arm]))
        found = outcomes_of(results, *ARMS, lines, draws=1_000)
        assert found.requests == len(records)
        effect, items = found.everything.effect.engaged_requests, found.everything.effect.engaged_items
        means.append(effect.mean)
        covered += [effect.low <= truth <= effect.high, items.low <= of_items <= items.high]
        assert "Left out" not in " ".join(sentences(found))
    assert np.mean(means) == pytest.approx(truth, abs=0.03)
    assert np.mean(covered) >= 0.95
    assert np.mean(np.array(means) < 0.0) >= 0.9


def test_only_requests_whose_slates_differ_are_triggered() -> None:
    records = made_up(3, requests=40)
    bound = entry("other", objective=RELEVANCE, quotas=[{"attribute": "tone", "min_count": {"dark": 2}}])
    results = run(records, [PLAIN, bound])
    pairs = zip(*(results.answers[label].positions for label in ARMS), strict=True)
    differs = [not np.array_equal(*pair) for pair in pairs]
    assert 0 < sum(differs) < len(differs)
    found = outcomes_of(results, *ARMS, an_experiment(results.traffic.names))
    assert (found.requests, found.triggered_requests) == (40, sum(differs))
    rates = (found.triggered.baseline, found.triggered.candidate)
    assert sum(each.engaged_requests.requests for each in rates) == sum(differs)


def test_what_cannot_be_joined_is_counted_and_said() -> None:
    results = run(made_up(5, requests=8), [PLAIN, entry("other")])
    lines = [
        line(request_id="r0", arm="one", seen=5, engaged=1),
        "",
        line(request_id="r1", arm="other", seen=5),
        line(request_id="r2", arm="one", seen=5),
        line(request_id="r2", arm="other", seen=5),  # in two arms
        line(request_id="r3", arm="third", seen=5),
        line(request_id="r4", seen=5),  # of no arm
        line(request_id="r5", arm="one", engaged=1),  # nothing was seen
        line(request_id="nobody", arm="one", seen=5),
    ]
    found = outcomes_of(results, *ARMS, lines)
    left = found.left_out
    assert (left.without_outcome, left.not_seen, left.other_arms, left.two_arms, left.unknown_lines) == (2, 1, 2, 1, 1)
    assert found.requests == 2
    assert found.everything.baseline.engaged_requests.mean == 1.0
    assert found.everything.baseline.engaged_items.mean == pytest.approx(0.2)
    said = " ".join(sentences(found))
    assert "nobody" not in said
    assert "2 requests of no arm or of another" in said
    nothing = outcomes_of(results, *ARMS, [])
    assert nothing.requests == 0
    assert "no outcomes in both arms" in " ".join(sentences(nothing))


def test_requests_of_one_unit_are_one_observation_and_a_unit_in_both_arms_is_left_out() -> None:
    results = run(made_up(7, requests=8), [PLAIN, entry("other")])
    lines = [
        line(request_id="r0", arm="one", seen=5, engaged=1, unit="a"),
        line(request_id="r1", arm="one", seen=5, unit="a"),
        line(request_id="r2", arm="one", seen=5, unit="b"),
        line(request_id="r3", arm="other", seen=5, unit="c"),
        line(request_id="r4", arm="one", seen=5, unit="d"),
        line(request_id="r5", arm="other", seen=5, unit="d"),
    ]
    found = outcomes_of(results, *ARMS, lines)
    rate = found.everything.baseline.engaged_requests
    assert rate.requests == 2
    assert rate.mean == pytest.approx(0.25)
    assert found.left_out.two_arms == 2


def test_arms_that_lost_requests_are_not_trusted() -> None:
    results = run(made_up(9, requests=60), [PLAIN, entry("other")])
    lines = list(an_experiment(results.traffic.names))
    kept = [text for at, text in enumerate(lines) if at % 2 == 0 or at % 8 == 1]
    found = outcomes_of(results, *ARMS, kept)
    assert found.everything.sample_ratio < SUSPICIOUS
    assert "do not trust" in sentences(found)[0]
    meant = outcomes_of(results, *ARMS, kept, candidate_share=0.2)
    assert meant.everything.sample_ratio > SUSPICIOUS
    named = outcomes_of(
        results, *ARMS, (text.replace('"one"', '"control"') for text in kept), arms=("control", "other")
    )
    assert named.everything == found.everything


@pytest.mark.parametrize(
    ("baseline", "candidate", "share"), [(50, 50, 0.5), (480, 520, 0.5), (903, 97, 0.1), (3, 0, 0.5)]
)
def test_the_sample_ratio_is_pearsons(baseline: int, candidate: int, share: float) -> None:
    units = baseline + candidate
    theirs = chisquare([baseline, candidate], [units * (1.0 - share), units * share]).pvalue
    assert sample_ratio(baseline, candidate, share) == pytest.approx(theirs, rel=1e-9)


def test_the_difference_of_two_shares_is_newcombes() -> None:
    """Newcombe (1998), table II, method 10, of 56/70 and 48/80: 0.0524 to 0.3339, from Wilson's intervals."""
    one = Interval(48 / 80, 0.4904, 0.7003, 80)
    other = Interval(56 / 70, 0.6918, 0.8774, 70)
    found = difference(one, other)
    assert found.low == pytest.approx(0.0524, abs=3e-4)
    assert found.high == pytest.approx(0.3339, abs=3e-4)
    assert difference(one, Interval(np.nan, np.nan, np.nan, 0)).requests == 0


def test_wrong_lines_are_named_by_number_and_never_quoted() -> None:
    lines = [
        "{",
        "[]",
        line(request_id="secret", seen=-1, engaged=True),
        line(request_id="", arm=3),
        line(request_id="secret", clicks=1),
    ]
    with pytest.raises(InvalidInput) as caught:
        join(lines, ["secret"], ARMS)
    paths = [each.path for each in caught.value.violations]
    assert paths == ["line 1", "line 2", "line 3.seen", "line 3.engaged", "line 4.request_id", "line 4.arm", "line 5"]
    assert "secret" not in str(caught.value)
