"""What one slate gives to groups of items, as a short message, and what that adds to the ledger's sums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from reranker.exposure.decay import UNIT, bucket_of, weight_of
from reranker.exposure.stream import Stream
from reranker.exposure.tally import Served
from reranker.measures.exposure import slot_attention
from reranker.v1.ledger_pb2 import LedgerAccount, LedgerReceipt

_LARGEST_PRICE = 65_536.0
_LARGEST_RELEVANCE = 3.4e38  # of a float32

Floats: TypeAlias = NDArray[np.float64]
Sums: TypeAlias = "dict[Cell, Amounts]"


class Cell(NamedTuple):
    """One line of the ledger: a stream's digest, a bucket of time, and a value; "" stands for the requests."""

    stream: bytes
    bucket: int
    value: str


class Amounts(NamedTuple):
    """What a line holds, or what is added to it; of the requests only `items` counts, and counts them.

    All but relevance are whole units (`decay.UNIT`), so that sums are exact. Relevance has the scale of upstream's
    scores, whatever that is, and is a double.
    """

    exposure: int = 0
    target: int = 0
    items: int = 0
    price: int = 0
    relevance: float = 0.0

    def plus(self, other: Amounts) -> Amounts:
        """The sum."""
        return Amounts(
            self.exposure + other.exposure,
            self.target + other.target,
            self.items + other.items,
            self.price + other.price,
            self.relevance + other.relevance,
        )

    def minus(self, other: Amounts) -> Amounts:
        """The difference."""
        return self.plus(Amounts(-other.exposure, -other.target, -other.items, -other.price, -other.relevance))


class Receipt(NamedTuple):
    """A slate's receipt on its way to the ledger.

    `data` is a serialised `LedgerReceipt`, `streams` the streams that it names by their digests. A caller without a
    `request_id` cannot report impressions, so nothing is kept for them.
    """

    request_id: str
    data: bytes
    streams: tuple[Stream, ...]


def make_receipt(request_id: str, time: float, served: Iterable[Served]) -> Receipt:
    """The receipt of a slate that was served at `time`, in seconds of the epoch. O(slots x values carried)."""
    receipt, streams = LedgerReceipt(time=time), []
    for part in served:
        stream = Stream(part.key, part.half_life)
        receipt.slots = max(receipt.slots, len(part.values))
        receipt.accounts.append(_account(stream, part))
        streams.append(stream)
    return Receipt(request_id, receipt.SerializeToString(), tuple(streams))


def amounts_of(receipt: LedgerReceipt, seen: int | None = None) -> Sums:
    """What a slate adds to each line when the slots of the bits in `seen` were seen (bit 0 is slot 1; None: all).

    Attention to a slot goes to each value of its item; due to a value is its share of the attention to labelled slots.
    That there was a request, and its prices, count whatever was seen. O(slots x values).
    """
    is_seen = _seen_slots(seen, receipt.slots)
    found: Sums = {}
    for account in receipt.accounts:
        bucket = bucket_of(receipt.time, account.half_life)
        found[Cell(account.stream, bucket, "")] = Amounts(items=round(UNIT * _weight(receipt, account)))
        for value, amounts in zip(account.values, _amounts(account, is_seen, _weight(receipt, account)), strict=True):
            if any(amounts):
                found[Cell(account.stream, bucket, value)] = amounts
    return found


def add_amounts(sums: Sums, more: Mapping[Cell, Amounts]) -> None:
    """Add to sums."""
    for cell, amounts in more.items():
        known = sums.get(cell)
        sums[cell] = amounts if known is None else known.plus(amounts)


def subtract(given: Mapping[Cell, Amounts], kept: Mapping[Cell, Amounts]) -> Sums:
    """What has to be added so that only `kept` is left of `given`."""
    nothing = Amounts()
    changes = {cell: kept.get(cell, nothing).minus(amounts) for cell, amounts in given.items()}
    return {cell: change for cell, change in changes.items() if any(change)}


def _weight(receipt: LedgerReceipt, account: LedgerAccount) -> float:
    return weight_of(receipt.time, account.half_life)


def _amounts(account: LedgerAccount, is_seen: NDArray[np.bool_], weight: float) -> Iterable[Amounts]:
    """By value. Every slot is rounded by itself, so that parts add up to the whole."""
    rows, codes = np.array(account.rows, np.intp), np.array(account.codes, np.intp)
    is_labelled = np.zeros(len(is_seen), bool)
    is_labelled[rows] = True
    kept = is_seen[rows]
    rows, codes = rows[kept], codes[kept]
    count = len(account.values)
    attention = UNIT * weight * slot_attention(account.before + len(is_seen))[account.before :]
    exposure = _summed(np.rint(attention).astype(np.int64)[rows], codes, count)
    items = np.bincount(codes, minlength=count) * round(UNIT * weight)
    relevance = np.bincount(codes, np.array(account.relevance, np.float64)[rows] * weight, count)
    target, price = np.zeros((2, count), np.int64)
    if account.shares:
        due = np.rint(attention[is_labelled & is_seen, None] * np.array(account.shares, np.float64))
        target = due.sum(axis=0).astype(np.int64)
    if account.prices:
        price = np.rint(UNIT * weight * np.array(account.prices, np.float64)).astype(np.int64)
    columns = (exposure, target, items, price, relevance)
    return map(Amounts, *(column.tolist() for column in columns))


def _summed(amounts: NDArray[np.int64], codes: NDArray[np.intp], count: int) -> NDArray[np.int64]:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, codes, amounts)
    return sums


def _seen_slots(seen: int | None, slots: int) -> NDArray[np.bool_]:
    if seen is None:
        return np.ones(slots, bool)
    data = (seen & ((1 << slots) - 1)).to_bytes((slots + 7) // 8, "little")
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[:slots].astype(bool)


def _account(stream: Stream, part: Served) -> LedgerAccount:
    carried = dict.fromkeys(value for values in part.values for value in values)
    values = [*carried, *(value for value in {**part.shares, **part.prices} if value not in carried)]
    code_of = {value: code for code, value in enumerate(values)}
    return LedgerAccount(
        stream=stream.digest,
        half_life=stream.half_life,
        before=part.before,
        relevance=[_bounded(worth, _LARGEST_RELEVANCE) for worth in part.relevance],
        values=values,
        shares=[part.shares.get(value, 0.0) for value in values] if part.shares else (),
        prices=[_bounded(part.prices.get(value, 0.0), _LARGEST_PRICE) for value in values] if part.prices else (),
        rows=[row for row, own in enumerate(part.values) for _ in own],
        codes=[code_of[value] for own in part.values for value in own],
    )


def _bounded(number: float, largest: float) -> float:
    return min(max(number, -largest), largest) if math.isfinite(number) else math.copysign(largest, number)
