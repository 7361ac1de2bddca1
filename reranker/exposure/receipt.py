"""What one slate gives to groups of items, as a short message, and what that adds to the ledger's sums."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple, TypeAlias

from reranker.exposure.decay import UNIT, bucket_of, weight_of
from reranker.exposure.stream import Stream
from reranker.exposure.tally import Served
from reranker.kept import Kept
from reranker.measures.exposure import slot_attention
from reranker.v1.ledger_pb2 import LedgerAccount, LedgerReceipt

_LARGEST_PRICE = 65_536.0
_LARGEST_RELEVANCE = 3.4e38  # of a float32

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

    `data` is a serialised `LedgerReceipt`, `streams` the streams that it names by their digests. An `anonymous` request
    had no id and got one here, so that its slate is counted once however often it is written; nobody can report
    impressions of it.
    """

    request_id: str
    data: bytes
    streams: tuple[Stream, ...]
    anonymous: bool = False


def make_receipt(request_id: str, time: float, served: Iterable[Served]) -> Receipt:
    """The receipt of a slate that was served at `time`, in seconds of the epoch. O(slots x values carried)."""
    receipt, streams = LedgerReceipt(time=time), []
    for part in served:
        stream = Stream(part.key, part.half_life)
        receipt.slots = max(receipt.slots, len(part.values))
        receipt.accounts.append(_account(stream, part))
        streams.append(stream)
    name = request_id or secrets.token_hex(16)
    return Receipt(name, receipt.SerializeToString(), tuple(streams), anonymous=not request_id)


def amounts_of(receipt: LedgerReceipt, seen: int | None = None) -> Sums:
    """What a slate adds to each line when the slots of the bits in `seen` were seen (bit 0 is slot 1; None: all).

    Attention to a slot goes to each value of its item; due to a value is its share of all that values got.
    That there was a request, and its prices, count whatever was seen. Plain Python, which is quicker than arrays for
    the few slots of a slate. O(slots x values carried + values).
    """
    found: Sums = {}
    for account in receipt.accounts:
        bucket, weight = bucket_of(receipt.time, account.half_life), weight_of(receipt.time, account.half_life)
        found[Cell(account.stream, bucket, "")] = Amounts(items=round(UNIT * weight))
        for value, amounts in zip(account.values, _amounts(account, receipt.slots, seen, weight), strict=True):
            if amounts != _NOTHING:
                found[Cell(account.stream, bucket, value)] = amounts
    return found


def add_amounts(sums: Sums, more: Mapping[Cell, Amounts]) -> None:
    """Add to sums."""
    for cell, amounts in more.items():
        known = sums.get(cell)
        sums[cell] = amounts if known is None else known.plus(amounts)


def subtract(given: Mapping[Cell, Amounts], kept: Mapping[Cell, Amounts]) -> Sums:
    """What has to be added so that only `kept` is left of `given`."""
    changes = {cell: kept.get(cell, _NOTHING).minus(amounts) for cell, amounts in given.items()}
    return {cell: change for cell, change in changes.items() if change != _NOTHING}


_NOTHING = Amounts()


def _amounts(account: LedgerAccount, slots: int, seen: int | None, weight: float) -> Iterator[Amounts]:
    """By value."""
    attention, worth, count = attention_to(account.before, slots), list(account.relevance), len(account.values)
    exposure, relevance, items, given = [0.0] * count, [0.0] * count, [0] * count, 0.0
    for row, code in zip(account.rows, account.codes, strict=True):
        if seen is None or seen >> row & 1:
            exposure[code] += attention[row]
            relevance[code] += worth[row]
            items[code] += 1
            given += attention[row]
    unit = UNIT * weight
    one, shares, prices = round(unit), account.shares or repeat(0.0), account.prices or repeat(0.0)
    for attended, total, shown, share, price in zip(exposure, relevance, items, shares, prices, strict=False):
        yield Amounts(
            round(unit * attended), round(unit * share * given), one * shown, round(unit * price), weight * total
        )


def attention_to(before: int, slots: int) -> tuple[float, ...]:
    """Attention to the slots of a slate behind `before` others."""

    def make() -> tuple[float, ...]:
        return tuple(slot_attention(before + slots)[before:].tolist())

    return _ATTENTION.get((before, slots), make, lambda made: 300 + 32 * len(made))


_ATTENTION: Kept[tuple[int, int], tuple[float, ...]] = Kept(4 * 2**20)


def _account(stream: Stream, part: Served) -> LedgerAccount:
    carried = dict.fromkeys(value for values in part.values for value in values)
    values = [*carried, *(value for value in {**part.shares, **part.prices} if value not in carried)]
    code_of = {value: code for code, value in enumerate(values)}
    relevance: Sequence[float] = part.relevance
    if max(relevance, default=0.0) > _LARGEST_RELEVANCE:
        relevance = [min(worth, _LARGEST_RELEVANCE) for worth in relevance]
    prices = (min(max(part.prices.get(value, 0.0), -_LARGEST_PRICE), _LARGEST_PRICE) for value in values)
    return LedgerAccount(
        stream=stream.digest,
        half_life=stream.half_life,
        before=part.before,
        relevance=relevance,
        values=values,
        shares=[part.shares.get(value, 0.0) for value in values] if part.shares else (),
        prices=list(prices) if part.prices else (),
        rows=[row for row, own in enumerate(part.values) for _ in own],
        codes=[code_of[value] for own in part.values for value in own],
    )
