"""The policy object: ways in and out, identity, immutability, overrides."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reranker.errors import InvalidInput
from reranker.policy import Policy
from reranker.v1 import policy_pb2 as pb

TOML = 'name = "varied"\n\n[objective]\ndiversity = 0.25\n'


def test_three_ways_in_make_one_policy(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(TOML)
    tree = {"name": "varied", "objective": {"diversity": 0.25}}
    message = pb.Policy(name="varied", objective=pb.Objective(diversity=0.25))
    policies = [
        Policy.from_toml(TOML),
        Policy.from_toml(file),
        Policy.from_toml(str(file)),
        Policy.from_text(TOML),
        Policy.from_dict(tree),
        Policy.from_proto(message),
    ]
    assert len(set(policies)) == 1
    assert {policy.revision for policy in policies} == {policies[0].revision}
    assert len(policies[0].revision) == 12
    assert policies[0].to_dict() == tree
    assert policies[0].to_proto() == message
    assert repr(policies[0]) == f"Policy('varied', revision {policies[0].revision})"


def test_other_words_are_another_revision() -> None:
    policy = Policy.from_toml(TOML)
    assert policy != Policy.from_toml(TOML.replace("0.25", "0.26"))
    assert policy != Policy.from_toml(TOML.replace("varied", "other"))
    assert policy != "varied"


def test_the_revision_is_the_same_in_every_process() -> None:
    text = 'quotas = [{ attribute = "a", min_share = { x = 0.1, y = "1/3" } }]'
    code = f"from reranker.policy import Policy; print(Policy.from_toml({text!r}).revision)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == Policy.from_toml(text).revision


def test_nobody_can_change_a_policy_from_outside() -> None:
    message = pb.Policy(name="mine")
    policy = Policy.from_proto(message)
    message.name = "theirs"
    policy.to_proto().name = "theirs"
    assert policy.name == policy.message.name == "mine"
    for name in ("name", "revision", "message", "other"):
        with pytest.raises(AttributeError):
            setattr(policy, name, "x")
    with pytest.raises(TypeError, match="from_toml"):
        Policy()


def test_pickle_and_copy() -> None:
    policy = Policy.from_toml(TOML)
    assert pickle.loads(pickle.dumps(policy)) == policy == copy.deepcopy(policy) == copy.copy(policy)


def test_names(tmp_path: Path) -> None:
    assert Policy.from_toml("").name == "unnamed"
    assert Policy.from_toml("").to_dict() == {}
    file = tmp_path / "by-stem.toml"
    file.write_text("[objective]\n")
    assert Policy.from_toml(file).name == "by-stem"
    assert Policy.from_toml(file).message.name == "by-stem"


def test_errors_name_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('name = "x"\n[objective]\ndiversity = 2\nstrategy = "mds"\n[guard]\nmin = 1\n')
    with pytest.raises(InvalidInput) as caught:
        Policy.from_toml(file)
    assert caught.value.source == str(file)
    assert [(v.line, v.path) for v in caught.value.violations] == [
        (3, "objective.diversity"),
        (4, "objective.strategy"),
        (6, "guard.min"),
    ]
    assert "line 3: objective.diversity: must be between 0 and 1" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.toml"):
        Policy.from_toml("absent.toml")
    file = tmp_path / "latin.toml"
    file.write_bytes(b'[objective]\r\nname = "caf\xe9"\n')
    with pytest.raises(InvalidInput, match=r"line 2: policy: is not UTF-8 text \(byte 12 of the line\)"):
        Policy.from_toml(file)


def test_policies_beyond_all_meaning_are_refused_unread(tmp_path: Path) -> None:
    block = {"attribute": "a", "min_share": {"x": 0.1}}
    file = tmp_path / "huge.toml"
    file.write_text('[[quotas]]\nattribute = "a"\n' * 200_000)
    huge = pb.Policy(quotas=[pb.Quota(attribute="a" * 100)] * 3000)
    makers: list[Callable[[], Policy]] = [
        lambda: Policy.from_toml(file),
        lambda: Policy.from_text(file.read_text()),
        lambda: Policy.from_dict({"quotas": [block] * 50_000}),
        lambda: Policy.from_proto(huge),
    ]
    for make in makers:
        with pytest.raises(InvalidInput, match="is too large: at most 262,144 bytes are read") as caught:
            make()
        assert len(caught.value.violations) == 1


def test_too_many_blocks_are_named_and_the_first_ones_checked() -> None:
    tree: dict[str, Any] = {"quotas": [{"attribute": "a", "max_per_value": 0}, *[{"max_similarity": 0.5}] * 1200]}
    tree["labels"] = {f"x{i}": {"threshold": 0.5} for i in range(1001)}
    with pytest.raises(InvalidInput) as caught:
        Policy.from_dict(tree)
    assert {(v.path, v.reason) for v in caught.value.violations} == {
        ("quotas", "must be at most 1000 blocks, are 1201; those beyond are not looked at"),
        ("labels", "must be at most 1000 blocks, are 1001; those beyond are not looked at"),
        ("quotas[0].max_per_value", "must be between 1 and 1,000,000"),
    }


def test_text_never_names_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret.toml"
    file.write_text(TOML)
    with pytest.raises(InvalidInput, match="is not TOML"):
        Policy.from_text(str(file))


def test_an_override_is_a_policy_of_its_own() -> None:
    policy = Policy.from_toml(TOML)
    assert policy.with_overrides() is policy
    other = policy.with_overrides(diversity=1)
    assert other.to_dict() == {"name": "varied", "objective": {"diversity": 1.0}}
    assert other.revision != policy.revision
    assert policy.message.objective.diversity == 0.25
    assert other.with_overrides(diversity=0.25) == policy


@pytest.mark.parametrize(
    ("overrides", "path", "said"),
    [
        ({"diversity": 1.5}, "overrides.diversity", "between 0 and 1"),
        ({"diversity": float("nan")}, "overrides.diversity", "finite"),
        ({"diversity": "0.5"}, "overrides.diversity", "must be a number"),
        ({"relevance_floor": 0.0}, "overrides.relevance_floor", "above 0"),
    ],
)
def test_overrides_are_checked(overrides: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Policy.from_toml(TOML).with_overrides(**overrides)
    assert [v.path for v in caught.value.violations] == [path]
    assert said in caught.value.violations[0].reason
