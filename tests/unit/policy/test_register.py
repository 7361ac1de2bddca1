"""The register of published policies: who may do what, what serves, and that no line can be lost or altered."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker import Policy
from reranker.errors import InvalidInput, RegisterDamaged, RegisterRefused
from reranker.policy.difference import difference
from reranker.policy.register import Published, Register
from reranker.policy.routes import Routes
from reranker.policy.snapshots import PolicyBook
from reranker.v1 import policy_register_pb2 as pb


def policy(diversity: float, name: str = "mine") -> Policy:
    return Policy.from_dict({"name": name, "objective": {"diversity": diversity}})


def publish(register: Register, subject: Policy | Routes, actor: str = "alice") -> Register:
    name = getattr(subject, "name", "routes.toml")
    return register.publish(subject, actor, before=register.published().get(name), note="", report_digest="")


def course(*steps: float | str) -> Register:
    """Publications (a diversity) that bob approves at once; "back" rolls back."""
    register = Register()
    for step in steps:
        if isinstance(step, str):
            register = register.roll_back("mine", "bob")
        else:
            register = publish(register, policy(step))
            register = register.approve(len(register.lines), "bob")
    return register


def serving(register: Register) -> float | None:
    found = register.published().get("mine")
    return None if found is None else found.to_proto().objective.diversity  # type: ignore[union-attr]


def test_nothing_serves_before_it_is_approved() -> None:
    register = publish(Register(), policy(0.1))
    assert register.published() == Published()
    assert register.waiting() == {"mine": 1}
    register = register.approve(1, "bob", note="fine")
    assert serving(register) == 0.1
    assert register.waiting() == {}
    assert register.lines[1].record.note == "fine"
    assert register.lines[1].record.time.seconds > 1_700_000_000


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((0.1, 0.2), 0.2),
        ((0.1, 0.2, "back"), 0.1),
        ((0.1, "back"), None),
        ((0.1, 0.2, "back", "back"), None),
        ((0.1, 0.2, "back", 0.3, "back"), 0.1),  # what was bad once is not gone back to
        ((0.1, 0.2, "back", 0.3, "back", 0.2, "back"), 0.1),
    ],
)
def test_the_way_back_is_what_served_before(steps: tuple[float | str, ...], expected: float | None) -> None:
    assert serving(course(*steps)) == expected


def test_one_may_go_back_to_anything_that_ever_served() -> None:
    register = course(0.1, 0.2, 0.3)
    assert serving(register.roll_back("mine", "bob", to=1)) == 0.1
    assert serving(register.roll_back("mine", "bob", to=0)) is None
    for to, said in ((5, "mine is at publication 5 already"), (4, "publication 4 never served"), (-1, "never served")):
        with pytest.raises(RegisterRefused, match=said):
            register.roll_back("mine", "bob", to=to)
    with pytest.raises(RegisterRefused, match="mine is at none already"):
        course(0.1, "back").roll_back("mine", "bob")
    with pytest.raises(RegisterRefused, match="nothing published under the name yours has ever served"):
        register.roll_back("yours", "bob")


def test_an_approval_is_of_the_newest_publication() -> None:
    register = publish(publish(Register(), policy(0.1)), policy(0.2))
    with pytest.raises(RegisterRefused, match="publication 1 gave way to 2"):
        register.approve(1, "bob")
    register = register.approve(2, "bob")
    with pytest.raises(RegisterRefused, match="nothing of mine waits for an approval"):
        register.approve(2, "bob")
    for number in (0, 3, 9):
        with pytest.raises(RegisterRefused, match=f"line {number} is no publication"):
            register.approve(number, "bob")
    with pytest.raises(RegisterRefused, match="serves at revision"):
        publish(register, policy(0.2))


def test_where_two_persons_are_needed_nobody_approves_his_own() -> None:
    register = publish(Register(two_persons=True), policy(0.1))
    for actor in ("alice", " Alice "):
        with pytest.raises(RegisterRefused, match="publication 1 is alice's own"):
            register.approve(1, actor)
    assert serving(register.approve(1, "bob")) == 0.1


def test_what_was_approved_without_a_second_person_does_not_count_where_one_is_needed() -> None:
    loose = publish(course(0.1), policy(0.2))
    loose = loose.approve(3, "alice")
    back_and_forth = loose.roll_back("mine", "alice", to=1).roll_back("mine", "alice", to=3)
    assert serving(back_and_forth) == 0.2
    strict = Register(back_and_forth.lines, two_persons=True)
    assert serving(strict) == 0.1
    assert strict.published().ignored == (4, 6)  # her approval, and her way back to what that let serve
    assert strict.waiting() == {"mine": 3}
    assert serving(strict.approve(3, "bob")) == 0.2


@pytest.mark.parametrize("actor", ["", "  ", "x" * 201, "a\nb", "a\x1b[31m"])
def test_names_are_such_that_a_history_can_be_read(actor: str) -> None:
    with pytest.raises(RegisterRefused, match="the name of who does this"):
        publish(Register(), policy(0.1), actor)


def test_notes_too() -> None:
    with pytest.raises(RegisterRefused, match="the note must be at most"):
        course(0.1).roll_back("mine", "bob", note="x" * 2_001)


def stored(register: Register) -> list[bytes]:
    return [line.data for line in register.lines]


WHOLE = course(0.1, 0.2, "back", 0.3)


def test_a_register_is_its_lines() -> None:
    again = Register.read(stored(WHOLE))
    assert again.head == WHOLE.head
    assert again.published() == WHOLE.published()
    assert Register.read(stored(WHOLE)[:3]).continued(stored(WHOLE)[3:]).head == WHOLE.head


@given(st.data())
def test_a_line_that_was_lost_moved_or_altered_is_found(data: st.DataObject) -> None:
    lines = stored(WHOLE)
    at = data.draw(st.integers(0, len(lines) - 2))  # the last line is vouched for by the next one
    kind = data.draw(st.sampled_from(["lost", "swapped", "altered", "cut"]))
    if kind == "lost":
        del lines[at]
    elif kind == "swapped":
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    elif kind == "cut":
        lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at]) - 1))]
    else:
        byte = data.draw(st.integers(0, len(lines[at]) - 1))
        changed = bytearray(lines[at])
        changed[byte] ^= data.draw(st.integers(1, 255))
        lines[at] = bytes(changed)
    with pytest.raises(RegisterDamaged, match="damaged or altered"):
        Register.read(lines)


@pytest.mark.parametrize(
    "words",
    [
        {"action": pb.POLICY_ACTION_UNSPECIFIED, "name": "mine"},
        {"action": pb.POLICY_ACTION_PUBLISHED, "name": "mine"},
        {"action": pb.POLICY_ACTION_PUBLISHED, "name": "mine", "policy": {"name": "yours"}},
        {"action": pb.POLICY_ACTION_PUBLISHED, "name": "mine", "routes": {}},
        {"action": pb.POLICY_ACTION_APPROVED, "name": "mine", "publication": 0},
        {"action": pb.POLICY_ACTION_APPROVED, "name": "mine", "publication": 1},
        {"action": pb.POLICY_ACTION_APPROVED, "name": "yours", "publication": 1},
        {"action": pb.POLICY_ACTION_ROLLED_BACK, "name": "mine", "publication": 2},
    ],
)
def test_lines_that_are_about_nothing_are_damage(words: dict[str, Any]) -> None:
    first = publish(Register(), policy(0.1))
    if words["name"] == "mine" and words.get("publication") == 1:
        words = words | {"name": "other"}
    record = pb.PolicyRecord(number=2, previous=first.head, actor="x", **words)
    with pytest.raises(RegisterDamaged) as caught:
        first.continued([record.SerializeToString()])
    assert caught.value.line == 2
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_way_back_to_what_none_let_serve_does_not_count() -> None:
    first = publish(Register(), policy(0.1))
    record = pb.PolicyRecord(
        number=2, previous=first.head, actor="x", name="mine", action=pb.POLICY_ACTION_ROLLED_BACK, publication=1
    )
    assert first.continued([record.SerializeToString()]).published() == Published(ignored=(2,))


def test_what_a_release_cannot_serve_is_named() -> None:
    first = publish(Register(), policy(0.1))
    record = first.lines[0].record
    record.policy.objective.diversity = 7.0
    spoilt = Register.read([record.SerializeToString()]).approve(1, "bob")
    with pytest.raises(
        InvalidInput, match=r"published policies: publication 1 \(mine\): objective\.diversity: must be"
    ):
        spoilt.published()


def test_published_policies_take_the_place_of_files() -> None:
    register = course(0.125)
    routes = Routes.from_dict({"routes": [{"arms": {"mine": 1}}]})
    book = PolicyBook.of(None, register.published().with_(routes))
    assert book.get("mine").message.objective.diversity == 0.125
    assert book.names() == ("default", "mine")
    assert book.routes == routes
    with pytest.raises(InvalidInput, match=r"published routes.toml: routes\[0\].arms.mine: no policy has this name"):
        PolicyBook.of(None, Published(routes=routes))


def test_what_changed_in_words() -> None:
    before = Policy.from_dict({"name": "mine", "quotas": [{"attribute": "tone", "min_share": {"a b": 0.2}}]})
    after = Policy.from_dict(
        {
            "name": "mine",
            "about": {"review_by": "2027-01-31"},
            "quotas": [{"attribute": "tone", "min_share": {"a b": "1/3"}, "soft": True}],
        }
    )
    assert difference(before, after) == [
        '- quotas[0].min_share."a b" = 0.2',
        '+ quotas[0].min_share."a b" = "1/3"',
        "+ about.review_by = 2027-01-31",
        "+ quotas[0].soft = true",
    ]
    assert difference(None, before)[0] == '+ name = "mine"'
    arms = [{"salt": "s", "arms": {"a": share, "default": 1 - share}} for share in (0.25, 0.5)]
    old, new = (Routes.from_dict({"routes": [route]}) for route in arms)
    assert difference(old, new)[-1] == "1. 25 % of requests that no route above takes move from default to a."
    many = Policy.from_dict({"labels": {f"a{i}": {"sensitive": True} for i in range(400)}})
    assert difference(None, many)[200:] == ["and 200 lines more"]
