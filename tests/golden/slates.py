"""Writes tests/golden/slates.json: python -m tests.golden.slates

Twenty recorded requests under four worked policies. A change of these slates is a change for every user: look at the
difference, and say in CHANGELOG.md why it is wanted.
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

from reranker.engine import rerank
from reranker.policy import Policy
from tests.golden.recorded import Recorded, recorded

FILE = Path(__file__).with_name("slates.json")
COMMAND = "python -m tests.golden.slates"
POLICIES = ("default", "home-mix", "inclusive-search", "occupation-balance")
FOLDER = Path(__file__).resolve().parents[2] / "policies"


def requests() -> list[Recorded]:
    """Eight shade searches, six occupation searches, six home pages, spread over the logs."""
    return list(
        chain(
            recorded("shades", "text_search", "dense_search", step=140, most=8),
            recorded("occupations", "serp", step=5, most=6),
            recorded("books", "user_home", step=35, most=6),
        )
    )


def slates() -> dict[str, dict[str, list[int]]]:
    """Positions by policy and request id, twelve slots each."""
    rules = {name: Policy.from_toml(FOLDER / f"{name}.toml") for name in POLICIES}
    return {
        name: {each.id: rerank(each.candidates, policy, 12).positions.tolist() for each in requests()}
        for name, policy in rules.items()
    }


def written(found: dict[str, dict[str, list[int]]]) -> str:
    """The file's text: one slate a line, so that a difference shows which ones changed."""
    blocks = []
    for name, by_request in found.items():
        lines = ",\n".join(f"    {json.dumps(key)}: {positions}" for key, positions in by_request.items())
        blocks.append(f"  {json.dumps(name)}: {{\n{lines}\n  }}")
    head = f'  "written by": {json.dumps(COMMAND)}'
    return "{\n" + ",\n".join([head, *blocks]) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written(slates()), encoding="utf-8")
    print(f"wrote {FILE}")
