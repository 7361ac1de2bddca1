import pytest

from examples.replay import ROOT
from reranker.errors import InvalidInput
from reranker.policy import Policy
from reranker.replay.plan import UPSTREAM, entries_of, parts_of, sweeps_of, swept, unsteered, upstream
from tests.unit.replay.runs import RELEVANCE, entry, policy

BOUND = [{"attribute": "tone", "min_share": {"dark": 0.2}}]


def test_policies_are_called_by_name_and_by_revision_where_two_share_one() -> None:
    one, other = policy("same"), policy("same", objective={"diversity": 0.9})
    labels = [each.label for each in entries_of([upstream(), one, other], {}, parts=False)]
    assert labels == [UPSTREAM, f"same ({one.revision})", f"same ({other.revision})"]
    with pytest.raises(InvalidInput, match="twice"):
        entries_of([one, one], {}, parts=False)


def test_the_price_is_split_where_there_are_two_causes() -> None:
    both = entry(
        "both",
        quotas=BOUND,
        objective={"strategy": "mmr", "diversity": 0.4},
        decays=[{"attribute": "tone", "factor": 0.5}],
    )
    quotas, diversity = parts_of(both)
    assert quotas.policy.to_dict()["objective"]["diversity"] == 0.0
    assert "decays" not in quotas.policy.to_dict()
    assert quotas.policy.to_dict()["quotas"] == both.policy.to_dict()["quotas"]
    assert "quotas" not in diversity.policy.to_dict() or not diversity.policy.to_dict()["quotas"]
    assert {quotas.part_of, diversity.part_of} == {"both"}
    assert parts_of(entry("quotas", quotas=BOUND, objective={"strategy": "relevance"})) == []
    assert parts_of(entry("variety")) == []
    assert parts_of(entry("nothing", objective=RELEVANCE)) == []


def test_policies_with_exposure_targets_are_told_as_a_replay_has_no_ledger() -> None:
    steered = Policy.from_toml(ROOT / "policies" / "tone-exposure.toml")
    entries = entries_of([upstream(), steered], {"objective.diversity": [0.0, 0.5]}, parts=True)
    assert unsteered(entries) == ["tone-exposure"]
    assert unsteered(entries[:1]) == []


def test_a_sweep_sets_every_combination() -> None:
    found = swept(entry("one", quotas=BOUND), {"objective.diversity": [0.0, 0.5], "quotas[0].min_share.dark": [0.1]})
    assert [each.setting for each in found] == [
        (("objective.diversity", 0.0), ("quotas[0].min_share.dark", 0.1)),
        (("objective.diversity", 0.5), ("quotas[0].min_share.dark", 0.1)),
    ]
    tree = found[1].policy.to_dict()
    assert tree["objective"]["diversity"] == 0.5
    assert float(tree["quotas"][0]["min_share"]["dark"]) == 0.1
    assert found[0].part_of == "one"
    assert "one, objective.diversity = 0.5" in found[1].label
    counted = swept(
        entry("one", quotas=[{"attribute": "tone", "min_count": {"dark": 1}}]), {"quotas[0].min_count.dark": [2.0]}
    )
    assert counted[0].policy.to_dict()["quotas"][0]["min_count"] == {"dark": 2}


@pytest.mark.parametrize(
    "path",
    ["quotas[1].weight", "quotas.weight", "objective.diversity.more", "[0].x", "a..b", "", "spacings[0].penalty"],
)
def test_a_path_that_leads_nowhere_is_a_mistake(path: str) -> None:
    with pytest.raises(InvalidInput, match=r"--sweep|objective\.diversity"):
        swept(entry("one", quotas=BOUND), {path: [0.5]})


def test_a_setting_that_no_policy_may_have_is_a_mistake_of_the_policy() -> None:
    with pytest.raises(InvalidInput, match="diversity"):
        swept(entry("one"), {"objective.diversity": [2.0]})
    with pytest.raises(InvalidInput, match="at most 64"):
        swept(entry("one"), {"objective.diversity": [0.01 * step for step in range(65)]})


def test_settings_that_are_nearly_the_same_have_labels_of_their_own() -> None:
    own = entries_of([upstream(), policy("own")], {"objective.diversity": [0.3, 0.30000001]}, parts=False)
    assert [entry.label for entry in own[2:]] == [
        "own, objective.diversity = 0.3",
        "own, objective.diversity = 0.30000001",
    ]


def test_sweeps_are_read_and_every_mistake_is_named() -> None:
    read = sweeps_of(["objective.diversity=0,0.25", "quotas[0].weight=1"])
    assert read == {"objective.diversity": [0.0, 0.25], "quotas[0].weight": [1.0]}
    assert sweeps_of(["objective.diversity=0.5,0.1,0.50,1e-1"]) == {"objective.diversity": [0.5, 0.1]}
    with pytest.raises(InvalidInput) as error:
        sweeps_of(["objective.diversity", "a=1,x", "b=1", "b=2", "=3"])
    assert len(error.value.violations) == 4
