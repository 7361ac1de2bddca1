"""A short turn of what `make fuzz` does over the wire: every method, broken connections, a server that stays itself."""

from __future__ import annotations

from fuzz.seeds import REQUESTS
from fuzz.wire import over_the_wire


def test_every_mutated_request_has_a_status_code() -> None:
    found = over_the_wire(requests=1_500, connections=150, seed=9)
    assert set(found.codes) == set(REQUESTS)
    assert sum(codes.total() for codes in found.codes.values()) >= 1_500
    assert all(codes for codes in found.codes.values())
