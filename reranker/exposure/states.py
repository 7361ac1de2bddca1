"""What the ledger knows of one request, and what serving it or seeing it makes of that. Storage is elsewhere.

A request is served, or its impressions came first, or both have come. Whichever comes first, and however often each
comes, the sums end the same: those of the slots that were seen, or of all slots while nobody has said what was seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from reranker.exposure.receipt import Amounts, Cell, amounts_of, subtract
from reranker.v1.ledger_pb2 import LedgerReceipt

_SERVED, _SEEN, _DONE = b"s", b"i", b"d"


class Outcome(Enum):
    """What became of one event."""

    NEW = auto()
    """A slate was credited, or its impressions were reconciled."""
    REPEATED = auto()
    """The same event came before."""
    UNKNOWN = auto()
    """Impressions of a request that was not served as far as the ledger knows; they are kept in case it comes."""


class Step(NamedTuple):
    """What an event comes to: what is kept of the request from now on (None: what was), and what the sums gain."""

    outcome: Outcome
    state: bytes | None = None
    amounts: Mapping[Cell, Amounts] = MappingProxyType({})


def serve(state: bytes | None, receipt: bytes, *, anonymous: bool = False) -> Step:
    """A slate was served; of an `anonymous` request no impressions can come."""
    if state is None:
        rest = _DONE if anonymous else _SERVED + _checksum(receipt) + receipt
        return Step(Outcome.NEW, rest, amounts_of(LedgerReceipt.FromString(receipt)))
    if state[:1] == _SEEN:
        return Step(Outcome.NEW, _DONE, amounts_of(LedgerReceipt.FromString(receipt), _seen_of(state)))
    return Step(Outcome.REPEATED)


def see(state: bytes | None, seen: int) -> Step:
    """Slots of a slate were seen: the bits in `seen`, bit 0 being slot 1. The first report of a request is the one."""
    if state is None:
        return Step(Outcome.UNKNOWN, _SEEN + seen.to_bytes((seen.bit_length() + 7) // 8, "little"))
    if state[:1] == _SEEN:
        return Step(Outcome.UNKNOWN)
    if state[:1] != _SERVED:
        return Step(Outcome.REPEATED)
    checksum, data = state[1:5], state[5:]
    if checksum != _checksum(data):  # not as it was written: what it gave can no longer be told
        return Step(Outcome.UNKNOWN, _DONE)
    receipt = LedgerReceipt.FromString(data)
    return Step(Outcome.NEW, _DONE, subtract(amounts_of(receipt), amounts_of(receipt, seen)))


def bits_of(slots: Iterable[int]) -> int:
    """Slots, counted from 1, as bits."""
    bits = 0
    for slot in slots:
        bits |= 1 << (slot - 1)
    return bits


def _seen_of(state: bytes) -> int:
    return int.from_bytes(state[1:], "little")


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
