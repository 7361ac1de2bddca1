"""The worked examples: each loads, comes back as it was written, and begins with a comment for people."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from reranker.policy import Policy, PolicyBook

FOLDER = Path(__file__).resolve().parents[3] / "policies"
FILES = sorted(FOLDER.glob("*.toml"))


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
