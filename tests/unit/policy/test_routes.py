"""routes.toml: what is a mistake in it, what a request meets, what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reranker import Context
from reranker.errors import InvalidInput
from reranker.policy import Policy, PolicyBook
from reranker.policy.describe_routes import described_moves, described_routes
from reranker.policy.routes import Routes
from reranker.v1 import context_pb2, routes_pb2

KNOWN = {"upstream", "default", "a", "b"}
EXPERIMENT = """
[[routes]]
when = { surface = ["search"], country = ["US", "GB"] }
salt = "s-1"
arms = { upstream = 0.25, a = 0.25, default = "1/2" }
"""


def read(text: str) -> Routes:
    return Routes.from_file(text.encode(), KNOWN, "routes.toml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert caught.value.source == "routes.toml"
    return [str(violation) for violation in caught.value.violations]


def book(text: str) -> PolicyBook:
    return PolicyBook([Policy.from_toml('name = "a"'), Policy.from_toml('name = "b"')], read(text))


def one(line: str) -> str:
    """The one mistake of a route with this line in it and arms that are sound unless the line is about them."""
    arms = "" if line.startswith("arms") else "\narms = { a = 1 }"
    (found,) = mistakes(f"[[routes]]\n{line}{arms}\n")
    return found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('when = { gender = ["f"] }', "line 2: routes[0].when.gender: is nothing that routes look at: surface"),
        ('when = { unit = ["u"] }', "nothing about a user can be"),
        ("when = { surface = [] }", "line 2: routes[0].when.surface: must list at least one value"),
        ('when = { surface = [""] }', "routes[0].when.surface[0]: must be text"),
        ('when = { surface = ["x", "x"] }', 'routes[0].when.surface: must not repeat "x"'),
        ('when = { surface = "search" }', "routes[0].when.surface: must be a list of values, is text"),
        ('when = ["search"]', "routes[0].when: must be a table"),
        ("salt = 3", "line 2: routes[0].salt: must be text in quotes, is a number"),
        ('salt = ""', "routes[0].salt: must not be empty"),
        ('slat = "s"', "line 2: routes[0].slat: is not a word here; did you mean salt?"),
        ('salt = "s"\nsalt = "t"', "line 3: routes[0].salt: is not TOML: it stands there already on line 2"),
        ("arms = {}", "line 2: routes[0].arms: must name at least one value"),
        ("arms = 1", "routes[0].arms: must be a table of shares by policy"),
        ("arms = { a = 2 }", "routes[0].arms.a: must be between 0 and 1"),
        ('arms = { a = "many" }', "routes[0].arms.a: must be a share such as"),
        ('arms = { a = 1, a = 0 }', "cannot be given again"),
        ("arms = { a = 0.5, b = 0.4 }", "line 2: routes[0].arms: must add up to exactly 1, are 0.9 together"),
        ("arms = { a = 0.333333, b = 0.666666 }", 'are 0.999999 together; a third is written as "1/3"'),
        ("arms = { a = 0.5, c = 0.5 }\nsalt = 's'", "routes[0].arms.c: no policy has this name; there are a, b"),
        ("arms = { a = 0.5, b = 0.5 }", "line 1: routes[0]: needs a salt"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line_and_its_key(line: str, said: str) -> None:
    assert said in one(line)


def test_all_mistakes_come_at_once() -> None:
    found = mistakes(
        '[[routes]]\narms = { a = 0.5, c = 0.4 }\n[[routes]]\nwhen = { x = ["y"] }\n[[route]]\narms = { a = 1 }\n'
    )
    assert [text.split(": ")[1] for text in found] == [
        "routes[0].arms",
        "routes[0].arms.c",
        "routes[1]",
        "routes[1]",
        "routes[1].when.x",
        "route",
    ]
    assert "is never reached: routes[0] before it has no `when`" in found[2]
    assert "needs arms" in found[3]


def test_texts_that_are_no_routes() -> None:
    assert mistakes("") == [
        "routes: has no [[routes]]: no request would meet a policy; without the file, `default` serves"
    ]
    assert mistakes("[routes\n")[0].startswith("line 1: routes: is not TOML")
    assert mistakes("routes = 3\n") == ["line 1: routes: must be a list of tables, is a number"]
    with pytest.raises(InvalidInput, match="line 2: routes: is not UTF-8 text"):
        Routes.from_file(b"\n\xff", KNOWN, "routes.toml")


def test_messages_are_checked_like_words() -> None:
    message = routes_pb2.Routes()
    route = message.routes.add(salt="s")
    for share in (0.5, 0.25, 0.25):
        route.arms.add(value="a").share.number = share
    route.when.add(attribute="surface", values=["x"])
    route.when.add(attribute="surface", values=["y"])
    with pytest.raises(InvalidInput) as caught:
        Routes.from_proto(message, KNOWN)
    assert {violation.path for violation in caught.value.violations} == {"routes[0].arms.a", "routes[0].when.surface"}


def test_arms_may_be_misspelt_beside_a_policy_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text('name = "mine"\n[objective]\ndiversity = 2\n')
    (tmp_path / "routes.toml").write_text('[[routes]]\nsalt = "s"\narms = { mine = 0.5, mien = 0.5 }\n')
    with pytest.raises(InvalidInput) as caught:
        PolicyBook.load(tmp_path)
    assert [str(violation).partition(": ")[0] for violation in caught.value.violations] == [
        "broken.toml, line 3",
        "routes.toml, line 3",
    ]
    assert "routes[0].arms.mien: no policy has this name; there are default, mine and upstream" in str(caught.value)


def test_without_routes_default_serves_and_with_them_nothing_matches_means_upstream() -> None:
    assert PolicyBook().routed(Context()).policy.name == "default"
    choice = book(EXPERIMENT).routed(Context(surface="home", country="US", unit="u"))
    assert (choice.policy.name, choice.arm, choice.triggered, choice.shadows) == ("upstream", "", False, ())


def test_a_key_that_the_request_leaves_out_matches_nothing() -> None:
    made = book(EXPERIMENT)
    assert not made.routed(Context(surface="search", unit="u")).triggered
    assert made.routes is not None
    assert made.routes.first_match(Context(surface="search", country="GB")) == 0


def test_arms_by_unit() -> None:
    made = book(EXPERIMENT)
    seen = {}
    for i in range(100):
        choice = made.routed(context_pb2.Context(surface="search", country="US", unit=f"u{i}"))
        assert choice is made.routed(Context(surface="search", country="GB", unit=f"u{i}"))
        seen[choice.arm] = choice
    assert set(seen) == {"upstream", "a", "default"}
    assert [policy.name for policy in seen["upstream"].shadows] == ["a", "default"]
    assert not seen["upstream"].triggered
    assert seen["a"].policy is made.get("a")
    assert seen["a"].triggered


@pytest.mark.parametrize("unknown", [{}, {"unit": "u0", "without_profiling": True}])
def test_without_a_unit_a_request_is_in_no_arm_and_meets_the_largest(unknown: dict[str, object]) -> None:
    choice = book(EXPERIMENT).routed(Context(surface="search", country="US", **unknown))  # type: ignore[arg-type]
    assert (choice.policy.name, choice.arm, choice.triggered) == ("default", "", True)
    assert choice.notes == (
        "context.unit is not known, so the request is in no arm; it met the policy of the largest one",
    )


def test_one_arm_with_everybody_needs_no_unit() -> None:
    choice = book("[[routes]]\narms = { b = 0, a = 1 }\n").routed(Context())
    assert (choice.policy.name, choice.arm, choice.notes) == ("a", "a", ())


def test_a_book_has_a_revision_of_everything_in_it() -> None:
    books = [PolicyBook(), book(EXPERIMENT), book(EXPERIMENT.replace("s-1", "s-2"))]
    assert len({made.revision for made in books}) == 3
    assert book(EXPERIMENT).revision == books[1].revision


def test_routes_in_words() -> None:
    lines = described_routes(read(EXPERIMENT))
    who, arms = "surface search and country US or GB", "the upstream order (25 %), a (25 %) and default (50 %)"
    assert lines[1] == f"1. Requests with {who} meet {arms}."
    assert "context.unit deals" in lines[2]
    assert "meets default" in lines[3]
    assert "NOT_TRIGGERED" in lines[4]
    assert "NOT_TRIGGERED" not in str(described_routes(read("[[routes]]\narms = { a = 1 }\n")))


def test_who_moves_in_words() -> None:
    before = read(EXPERIMENT + '[[routes]]\nwhen = { surface = ["old"] }\narms = { a = 1 }\n')
    after = read(EXPERIMENT.replace("a = 0.25", "a = 0.5").replace('"1/2"', "0.25"))
    assert described_moves(before, after) == [
        "1. 25 % of requests with surface search and country US or GB move from default to a.",
        "Gone: requests with surface old.",
    ]
    assert described_moves(after, before)[1] == "2. New: requests with surface old."
    assert described_moves(before, before)[0] == "1. Nobody with surface search and country US or GB moves."
    assert "dealt anew" in described_moves(before, read(EXPERIMENT.replace("s-1", "s-2")))[0]
