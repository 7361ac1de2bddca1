"""Exposure across requests: does it converge, and what does that cost? `make exposure`.

Thousands of recorded requests of two real corpora with skewed scores, drawn again and again in random order, go through
the engine and a ledger. Beside it: nothing asked of exposure, the same target as a quota on each slate, and FairCo's
rule (Morik et al., SIGIR 2020), which ranks by min-max score plus K times the number of requests times what the ratio
of exposure to merit lacks to the largest; with K = 0.01 as in its authors' code, and with the best of five that meets
the target.

Exposure is counted here anew, from positions alone, against the policy's target and not against what the ledger says is
due. A group's error is in points of exposure and relative to its target; the table has the worst group's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.exposure_rules import FairCo, Ours, Rule, Stateless, Upstream
from benchmarks.exposure_traffic import SLOTS, Account, Traffic, drawn, read, without
from reranker.engine import warm_up

SHADES = {"light": 0.35, "medium": 0.3, "brown": 0.22, "dark": 0.13}
EQUAL = dict.fromkeys(SHADES, 0.25)
TIERS = {"head": 0.6, "mid": 0.25, "tail": 0.15}
GAINS = (0.0003, 0.001, 0.003, 0.01, 0.03)
PUBLISHED = 0.01
CLOSE = 0.02  # of its target: who is nearer has met it
LATE = 50  # requests between two looks at a ledger in SQLite
EVERY = 50  # requests between two points of a figure
RESULTS = record.RESULTS / "exposure.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write the JSON that the figure is drawn from."""
    parser = argparse.ArgumentParser(prog="make exposure", description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000, metavar="N", help="of each run (5,000)")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE", help="where the JSON goes")
    options = parser.parse_args(arguments)
    requests = options.requests
    warm_up()
    found: dict[str, Any] = {"requests": requests, "slots": SLOTS, "compared": [], "trials": []}
    print(f"{requests:,} requests a run, slates of {SLOTS}")
    print(f"\n{'':<52}{'worst group off by':>23}{'relevance':>14}")
    print(f"{'':<52}{'points':>9}{'of its target':>14}{'kept':>9}{'nDCG':>9}")
    for traffic, strategies in compared(requests):
        print(f"{traffic.name}")
        for strategy in strategies:
            for rule, account in run_all(traffic, strategy):
                found["compared"].append(_row(traffic, strategy, rule, account))
                print(_line(f"  {strategy}: {rule.name}", account), flush=True)
    print(f"\n{'':<52}{'worst group off by':>23}{'at most above':>15}")
    print(f"{'what may happen':<52}{'points':>9}{'of its target':>14}{'points':>15}")
    for name, account in trials(requests):
        points, relative = account.worst()
        peak = account.peak()
        found["trials"].append({"name": name, "points": points, "relative": relative, "peak_points": peak})
        print(f"  {name:<50}{points:>9.2f}{100 * relative:>13.1f}%{peak:>15.2f}", flush=True)
    print("\nat most above: the most that any group was above its target over 250 requests in a row")
    record.write(options.output, found)
    record.said(options.output)
    return 0


def compared(requests: int) -> Iterator[tuple[Traffic, tuple[str, ...]]]:
    """Traffic to compare rules on, and under which strategies."""
    shades = read("shades", ("text_search", "more_like_this", "dense_search"), "skin_tone")
    books = read("books", ("user_home", "more_like_this", "text_search"), "popularity_tier")
    yield drawn("shades, more of the rare tones", shades, "skin_tone", SHADES, requests), ("relevance", "dpp")
    yield drawn("shades, all tones alike", shades, "skin_tone", EQUAL, requests), ("relevance",)
    yield drawn("books, more of the long tail", books, "popularity_tier", TIERS, requests), ("relevance", "dpp")


def run_all(traffic: Traffic, strategy: str) -> Iterator[tuple[Rule, Account]]:
    """Every rule over the same requests."""
    rules: tuple[Rule, ...] = (Upstream(strategy), Stateless(strategy, traffic))
    yield from ((rule, traffic.run(rule)) for rule in rules)
    if strategy == "relevance":
        tried = [(fair, traffic.run(fair)) for fair in (FairCo(gain, traffic) for gain in GAINS)]
        yield next(pair for pair in tried if pair[0].gain == PUBLISHED)
        near = [pair for pair in tried if pair[1].worst()[1] <= CLOSE]
        best = max(near or tried, key=lambda pair: pair[1].kept)
        yield FairCo(best[0].gain, traffic, ", the best near enough"), best[1]
    for every, band in ((1, 0.1), (LATE, 0.1), (1, 1.0)):
        with Ours(strategy, traffic, every, band) as ours:
            yield ours, traffic.run(ours)


def trials(requests: int) -> Iterator[tuple[str, Account]]:
    """What may happen to a controller, under `relevance`."""
    shades = read("shades", ("text_search", "more_like_this", "dense_search"), "skin_tone")
    half, fifth = requests // 2, requests // 5
    plain = drawn("shades", shades, "skin_tone", SHADES, requests)
    turned = {**SHADES, "light": 0.45, "medium": 0.25, "brown": 0.17}
    for every in (1, LATE):
        with Ours("relevance", plain, every) as ours:
            plain.run(ours)
            changed = drawn("shades", shades, "skin_tone", turned, half, seed=1)
            ours.aim_at(turned)
            yield f"since the target changed, {ours.read}", changed.run(ours)
    for every in (1, LATE):
        with Ours("relevance", plain, every) as ours:
            account = without(plain, "dark", 2 * fifth, 3 * fifth).run(ours)
            yield f"since dark is back, {ours.read}", account.since(3 * fifth)
            yield f"its last {fifth:,} requests, {ours.read}", account.since(4 * fifth)
    search = read("shades", ("text_search",), "skin_tone")
    related = read("shades", ("more_like_this", "dense_search"), "skin_tone")
    nine, one = (
        drawn("search", search, "skin_tone", SHADES, requests - fifth, surface="search"),
        drawn("related", related, "skin_tone", SHADES, fifth, surface="related", seed=2),
    )
    with Ours("relevance", nine, LATE) as ours:
        for surface, account in zip(("search", "related"), nine.run_beside(one, ours), strict=True):
            yield f"{surface}, {len(account.given):,} requests, {ours.read}", account


def _row(traffic: Traffic, strategy: str, rule: Rule, account: Account) -> dict[str, Any]:
    points, relative = account.worst()
    drawn_later = {"target": traffic.target, "series": account.series(EVERY)} if strategy == "relevance" else {}
    return {
        "traffic": traffic.name,
        "strategy": strategy,
        "rule": rule.name,
        "points": points,
        "relative": relative,
        "kept": account.kept,
        "ndcg": account.ndcg,
        **drawn_later,
    }


def _line(label: str, account: Account) -> str:
    points, relative = account.worst()
    return f"{label:<52}{points:>9.2f}{100 * relative:>13.1f}%{100 * account.kept:>8.2f}%{account.ndcg:>9.4f}"


if __name__ == "__main__":
    sys.exit(main())
