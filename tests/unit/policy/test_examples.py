"""The worked examples: each loads, comes back as it was written, and begins with a comment for people."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from reranker import Context
from reranker.policy import Policy, PolicyBook
from reranker.policy.routes import Routes

FOLDER = Path(__file__).resolve().parents[3] / "policies"
FILES = sorted(path for path in FOLDER.glob("*.toml") if path.name != "routes.toml")


def test_they_serve_together() -> None:
    names = {"creator-cap", "default", "home-mix", "inclusive-search", "occupation-balance", "skin-tone-range"}
    assert names <= set(PolicyBook.load(FOLDER).names())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_example(file: Path) -> None:
    text = file.read_text()
    policy = Policy.from_toml(file)
    assert policy.to_dict() == tomllib.loads(text)
    assert Policy.from_proto(policy.to_proto()) == Policy.from_dict(policy.to_dict()) == policy
    assert policy.name == file.stem
    assert text.startswith("# For ")
    assert "\n# Costs " in text
    assert policy.message.about.purpose
    assert policy.message.about.owner
    assert policy.message.about.review_by


def test_the_routes_and_every_way_they_lead() -> None:
    text = (FOLDER / "routes.toml").read_text()
    assert text.startswith("# For ")
    assert "\n# Costs " in text
    book = PolicyBook.load(FOLDER)
    assert book.routes is not None
    assert book.routes.to_dict() == tomllib.loads(text)
    assert Routes.from_proto(book.routes.to_proto()) == Routes.from_dict(book.routes.to_dict()) == book.routes
    beauty = [Context(surface="search", country="GB", intent="beauty", unit=f"u{i}") for i in range(500)]
    assert {book.routed(request).arm for request in beauty} == {"upstream", "inclusive-search", "default"}
    assert book.routed(Context(surface="home")).policy is book.get("home-mix")
    assert book.routed(Context(surface="search", country="FR")).policy is book.get("default")
