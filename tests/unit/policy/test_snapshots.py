"""The book of policies: a folder read at once, or refused with everything that is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reranker.errors import InvalidInput, UnknownPolicy
from reranker.policy import Policy, PolicyBook


def test_without_a_folder_the_built_in_policy_serves() -> None:
    book = PolicyBook.load(None)
    assert book.names() == ("default",)
    tree = {"name": "default", "objective": {"strategy": "dpp", "diversity": 0.5}}
    assert book.get("default").to_dict() == tree
    assert book.policies() == (Policy.from_dict(tree),)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text('name = "zebra"\n')
    (tmp_path / "a.toml").write_text("[objective]\ndiversity = 0.1\n")
    (tmp_path / "default.toml").write_text("[objective]\ndiversity = 0.9\n")
    (tmp_path / ".draft.toml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    book = PolicyBook.load(tmp_path)
    assert book.names() == ("a", "default", "zebra")
    assert [policy.name for policy in book.policies()] == ["a", "default", "zebra"]
    assert book.get("default").message.objective.diversity == 0.9


def test_an_unknown_name_says_what_serves() -> None:
    with pytest.raises(UnknownPolicy, match="no policy is called 'x'; these serve: default"):
        PolicyBook.load(None).get("x")


def test_every_mistake_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[objective]\ndiversity = 2\nstrategy = "x"\n')
    (tmp_path / "b.toml").write_text('name = "same"\n')
    (tmp_path / "c.toml").write_text('name = "same"\n')
    (tmp_path / "d.toml").write_text("[objective\n")
    (tmp_path / "e.toml").write_bytes(b"\xff")
    (tmp_path / "f.toml").mkdir()
    (tmp_path / "routes.toml").write_text("")
    with pytest.raises(InvalidInput) as caught:
        PolicyBook.load(tmp_path)
    assert caught.value.source == str(tmp_path)
    text = str(caught.value)
    assert [line.strip().split(":")[0] for line in text.split("\n")[1:]] == [
        "a.toml, line 2",
        "a.toml, line 3",
        "c.toml",
        "d.toml, line 1",
        "e.toml, line 1",
        "f.toml",
        "routes.toml",
    ]
    assert "c.toml: name: same is defined in b.toml already" in text
    assert "routes.toml: routes: has no [[routes]]" in text


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        PolicyBook.load(tmp_path / "absent")


def test_a_shadow_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[shadow]\npolicy = "b"\nfraction = 0.5\n')
    with pytest.raises(
        InvalidInput, match=r"a\.toml: shadow\.policy: no policy has this name; there are a and default"
    ):
        PolicyBook.load(tmp_path)
    (tmp_path / "b.toml").write_text('[shadow]\npolicy = "a"\nfraction = 0\n')
    book = PolicyBook.load(tmp_path)
    assert book.named("a").shadows == (book.get("b"),)
    assert book.named("a").shadow_share == 0.5
    assert book.named("b").shadows == ()
