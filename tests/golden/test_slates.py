"""Real slates stay as they are, until somebody means to change them."""

from __future__ import annotations

import json

import pytest

from tests.golden.slates import COMMAND, FILE, POLICIES, requests, slates, written

pytestmark = pytest.mark.slow  # under coverage: full-size lists with kernels as plain Python


def test_recorded_requests_get_the_slates_that_are_on_file() -> None:
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    assert stored.pop("written by") == COMMAND
    found = slates()
    changed = [
        f"{name} {request}: {stored[name].get(request)} -> {positions}"
        for name, by_request in found.items()
        for request, positions in by_request.items()
        if stored[name].get(request) != positions
    ]
    assert not changed, f"if this is wanted, run {COMMAND}\n" + "\n".join(changed)
    assert stored == found


def test_the_file_is_what_the_command_writes() -> None:
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    del stored["written by"]
    assert written(stored) == FILE.read_text(encoding="utf-8")


def test_the_sample_is_worth_keeping() -> None:
    stored = json.loads(FILE.read_text(encoding="utf-8"))
    assert len({request.id for request in requests()}) == 20
    upstream = {request.id: request.order.tolist()[:12] for request in requests()}
    for name in POLICIES:
        moved = sum(stored[name][request] != upstream[request] for request in upstream)
        assert moved >= 4, f"{name} leaves almost every request alone"
