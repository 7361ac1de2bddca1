from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from reranker.cli import main
from reranker.policy import Policy
from reranker.policy.binding import first_ceiling, first_floor, numbers, warnings
from reranker.policy.describe import described

FOLDER = Path(__file__).parents[3] / "policies"
POLICIES = sorted(path for path in FOLDER.glob("*.toml") if path.stem != "routes")
SHARES = [Fraction(p, q) for q in range(1, 13) for p in range(q + 1)]


@pytest.mark.parametrize("share", SHARES)
def test_first_binding_slots_are_what_counting_finds(share: Fraction) -> None:
    slots = range(1, 200)
    floors = (j for j in slots if j * share.numerator // share.denominator > 0)
    ceilings = (j for j in slots if -(-j * share.numerator // share.denominator) < j)
    assert first_floor(share) == next(floors, 0)
    assert first_ceiling(share) == next(ceilings, 0)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_example_describes_itself_and_is_sound(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", str(path)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(Policy.from_toml(path).name)
    assert all(line.endswith(".") for line in told.splitlines()[1:])
    assert main(["check-policy", str(path)]) == 0
    assert "sound" in capsys.readouterr().out


def test_numbers_show_first_slot_and_counts() -> None:
    policy = Policy.from_dict({"quotas": [{"attribute": "tone", "min_share": {"a": 0.29}, "max_share": {"b": "1/3"}}]})
    head, floor, ceiling = numbers(policy)
    assert head.split() == ["quotas[0]", "tone", "binds", "from", "at", "10", "at", "25", "at", "50"]
    assert floor.split() == ["a", "at", "least", "29/100", "slot", "4", "2", "7", "14"]
    assert ceiling.split() == ["b", "at", "most", "1/3", "slot", "2", "4", "9", "17"]


def test_bounds_that_never_bind_are_warned_of() -> None:
    quotas = [
        {"attribute": "tone", "min_share": {"a": 0.05}, "max_share": {"b": 1.0}, "within": 10},
        {"attribute": "tone", "min_count": {"a": 0}, "max_count": {"b": 10}, "within": 10},
        {"attribute": "maker", "max_per_value": 5, "window": 5},
        {"attribute": "tone", "min_share": {"a": 0.1}, "max_count": {"b": 9}, "within": 10},
    ]
    assert warnings(Policy.from_dict({"quotas": quotas})) == [
        "quotas[0] tone: min_share of a asks for nothing within 10 slots",
        "quotas[0] tone: max_share of b forbids nothing",
        "quotas[1] tone: min_count of a asks for nothing",
        "quotas[1] tone: max_count of b forbids nothing within 10 slots",
        "quotas[2] maker: max_per_value forbids nothing in 5 slots",
    ]


def test_a_description_reads_like_sentences() -> None:
    told = described(
        Policy.from_dict(
            {
                "name": "page-one",
                "about": {"purpose": "variety", "owner": "search", "review_by": "2027-01-31"},
                "objective": {"strategy": "mmr", "diversity": 0.3},
                "guard": {"min_score": 0.2, "where": {"integrity": ["ok", "fine"]}},
                "placement": {"keep_top": 2},
                "quotas": [{"attribute": "maker", "max_per_value": 2, "window": 10}],
                "on_infeasible": {"mode": "strict"},
            }
        )
    )
    assert told[1:] == [
        "Purpose: variety.",
        "It belongs to search, who look at it again by 2027-01-31.",
        "It weighs relevance against likeness to what stands above (MMR), at diversity 0.3 "
        "(0 is the upstream order, 1 variety alone).",
        "Only items with a score of at least 0.2, and integrity ok or fine may be lifted above their upstream rank.",
        "The first 2 items keep their slots.",
        "maker: no value more than 2 times in any 10 slots in a row.",
        "When the bounds cannot all hold, it gives the upstream order and says why.",
    ]


@pytest.mark.parametrize(
    ("strategy", "window", "ending"),
    [
        ("mmr", 1, ", beside nothing, so that relevance decides."),
        ("mmr", 2, ", beside the last 1 item alone."),
        ("dpp", 6, ", beside the last 5 items alone."),
        ("ssd", 6, ", with a window of 6 slots."),
        ("msd", 6, "variety alone)."),
        ("cover", 0, "variety alone)."),
    ],
)
def test_a_window_is_told_where_it_means_something(strategy: str, window: int, ending: str) -> None:
    told = described(Policy.from_dict({"objective": {"strategy": strategy, "window": window}}))[1]
    assert told.startswith("It weighs relevance against ")
    assert told.endswith(ending)


def test_mistakes_are_named_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('name = "wrong"\n[objective]\nstrategi = "dpp"\ndiversity = 3\n')
    assert main(["check-policy", str(path)]) == 2
    error = capsys.readouterr().err
    assert "wrong.toml" in error
    assert "line 3" in error
    assert "line 4" in error


def test_every_word_on_bounds_has_its_sentence() -> None:
    told = described(
        Policy.from_dict(
            {
                "placement": {"max_fall": 5},
                "quotas": [
                    {"where": {"tone": ["5-6", "7-8"], "body": ["plus"]}, "min_share": 0.1, "weight": 2.0},
                    {"attribute": "gender", "target": {"woman": 0.45}, "tolerance": 0.05, "min_coverage": 0.8},
                    {"attribute": "gender", "target": "request", "within": 10},
                    {"attribute": "tone", "target": "pool", "tolerance": 0.1},
                    {"max_similarity": 0.95, "window": 4},
                    {"attribute": "maker", "max_per_value": 1, "soft": True, "weight": 0.5},
                ],
                "labels": {"unknown": "exclude", "gender": {"unknown": "group", "sensitive": True}},
            }
        )
    )
    assert told[2:-1] == [
        "No item falls more than 5 slots below its upstream rank.",
        "tone 5-6 or 7-8 and body plus: at least 1/10 at every prefix of the slate.",
        "  Where something has to give, one unit of it counts 2.",
        "gender woman: at least 2/5 and at most 1/2 at every prefix of the slate.",
        "  It applies where at least 0.8 of the candidates have a known gender.",
        "gender: each value the shares that the request names, and nothing where it names none, "
        "at every prefix of the first 10 slots.",
        "tone: each value within 0.1 of the shares among the labelled candidates that pass the guard, "
        "at every prefix of the slate.",
        "No two items fewer than 4 slots apart have embeddings with a cosine above 0.95.",
        "maker: no value more than once in the slate.",
        "  It is soft: each unit weighs 0.5 beside relevance and variety; the status never depends on it.",
        "Items without a label are not counted in prefixes: shares are of labelled items.",
        "Items without a label of gender are a group of their own, called unknown.",
        "Values of gender are sensitive: never logged or shown without permission.",
    ]


def test_signals_spacings_and_decays_have_their_sentences() -> None:
    words = {
        "similarity_signals": [
            {"signal": "image", "weight": 2.0},
            {"attribute": "genre", "kind": "jaccard"},
            {"attribute": "tone", "kind": "ordinal"},
        ],
        "spacings": [
            {"attribute": "maker", "penalty": 0.2, "window": 5},
            {"attribute": "genre", "penalty": 1.0, "window": 3, "decay": "exponential"},
            {"attribute": "tone", "penalty": 0.5, "window": 1, "decay": "step"},
        ],
        "decays": [{"attribute": "maker", "factor": 0.5}, {"attribute": "genre", "factor": 0.5, "floor": 0.25}],
    }
    assert described(Policy.from_dict(words))[2:-1] == [
        "Likeness is that of the embedding image (0.5), shared genre (0.25) and near tone (0.25).",
        "maker: an item loses 0.2 for each value that it shares with the one above it, "
        "and 1/d of that d slots apart, up to 5 slots apart.",
        "genre: an item loses 1 for each value that it shares with the one above it, "
        "and exp((1 - d) / 3) of that d slots apart, up to 3 slots apart.",
        "tone: an item loses 0.5 for each value that it shares with the one above it.",
        "maker: behind n items of a value, relevance above the least counts 0.5^n.",
        "genre: behind n items of a value, relevance above the least counts 0.25 + 0.75 x 0.5^n.",
    ]
    plain = described(Policy.from_dict({"objective": {"strategy": "relevance"}, **words}))
    assert not any(line.startswith("Likeness") for line in plain)


def test_targets_and_intersections_have_numbers_too() -> None:
    quotas = [
        {"attribute": "gender", "target": {"woman": 0.45}, "tolerance": 0.05},
        {"where": {"tone": ["dark"], "body": ["plus"]}, "min_share": "1/8"},
    ]
    lines = [line.split() for line in numbers(Policy.from_dict({"quotas": quotas}))]
    assert lines[1] == ["woman", "at", "least", "2/5", "slot", "3", "4", "10", "20"]
    assert lines[2] == ["woman", "at", "most", "1/2", "slot", "2", "5", "13", "25"]
    assert lines[3][:6] == ["quotas[1]", "tone", "dark", "and", "body", "plus"]
    assert lines[4] == ["at", "least", "1/8", "slot", "8", "1", "3", "6"]


def test_shares_that_contradict_each_other_are_warned_of() -> None:
    quotas = [
        {"attribute": "tone", "min_share": {"a": 0.6, "b": 0.5}},
        {"attribute": "tone", "max_share": {"a": 0.4}},
        {"attribute": "size", "min_share": {"s": 0.9, "l": 0.9}, "soft": True},
        {"attribute": "size", "target": {"s": 0.5}, "tolerance": 0.5},
        {"max_similarity": 1.0},
    ]
    assert warnings(Policy.from_dict({"quotas": quotas})) == [
        "quotas[3] size: target of s asks for and forbids nothing",
        "quotas[4] similarity: max_similarity forbids nothing",
        "tone: least shares add up to 1.1, which only items with several values can meet",
        "tone a: the least share, 3/5, is above the most, 2/5",
    ]


def test_what_holds_variety_back_is_described() -> None:
    policy = Policy.from_dict(
        {
            "objective": {"relevance_floor": 0.95, "candidate_window": 200},
            "refinement": {"mode": "boost"},
        }
    )
    told = "\n".join(described(policy))
    assert "to keep 0.95 of the relevance that the bounds allow." in told
    assert "Only the best 200 candidates are diversified; others stand only where a bound needs them." in told
    assert "Where a user narrows an attribute, what was chosen comes first; quotas on it rest." in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"target": "pool"}, "shares: as among the labelled candidates that pass the guard."),
        (
            {"target": "request"},
            "shares: as the request asks, or else as among the labelled candidates that pass the guard.",
        ),
        ({"target": {"noir": 0.25, "crime": "1/3"}}, "shares: noir 1/4, crime 1/3."),
    ],
)
def test_aspects_are_named_with_their_shares(words: dict[str, object], told: str) -> None:
    policy = {"objective": {"strategy": "calibrated"}, "calibration": {"attribute": "genre", **words}}
    lines = described(Policy.from_dict(policy))
    assert lines[1].startswith("It weighs relevance against how far the slate's aspects are from their target")
    assert lines[2] == f"Aspects are the values of genre, wanted in these {told}"


def test_what_is_left_to_the_candidates_and_to_chance_is_said() -> None:
    for word in ("xquad", "pm2", "dum", "round_robin"):
        lines = described(Policy.from_dict({"objective": {"strategy": word}}))
        assert "the first attribute that the policy names, or else that candidates have." in lines[2]
    assert "drawn at random" in described(Policy.from_dict({"objective": {"sample": True}}))[2]


def test_a_shadow_is_described() -> None:
    policy = Policy.from_dict({"shadow": {"policy": "other", "fraction": 0.05}})
    assert described(policy)[-2] == (
        "Beside 0.05 of its answers, drawn at random, the slate of other is made and only counted."
    )
