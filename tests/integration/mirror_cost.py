"""What a shadow costs the live answer through Envoy: python -m tests.integration.mirror_cost RATE SECONDS ROUNDS."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from examples.server_process import running_process
from loadtest.generator.fleet import hired
from loadtest.generator.records import OK, RECORD, Order
from reranker.client.context import MIRRORABLE
from reranker.v1.request_log_pb2 import RequestLog
from tests.integration.envoy import running_envoy, running_shadow
from tests.unit.replay.runs import made_up

Milliseconds: TypeAlias = NDArray[np.float64]


def bodies() -> list[bytes]:
    logs = [RequestLog.FromString(record) for record in made_up(8, requests=40, candidates=100, slots=10)]
    return [log.request.SerializeToString() for log in logs]


def latencies(address: str, *, rate: float, seconds: float, mirrored: bool) -> Milliseconds:
    """Milliseconds from when each request was due, of those that were answered; all have to be."""
    count = int(rate * seconds)
    due = (np.arange(count) / rate * 1e9).astype(np.int64)
    metadata = ((MIRRORABLE, "1"),) if mirrored else ()
    order = Order(address, due, np.arange(count, dtype=np.int32) % 40, 5.0, 4, 0, metadata=metadata)
    found: list[NDArray[np.void]] = []
    with hired(1, bodies()) as fleet:
        fleet.run(order, lambda records: found.append(np.array(records, RECORD)), lambda _: None)
    records = np.concatenate(found)
    assert len(records) == count
    assert (records["code"] == OK).all()
    took: Milliseconds = (records["done"] - records["due"]) / 1e6
    return took


def compared(
    folder: Path, live: str, *, rate: float, seconds: float, rounds: int
) -> tuple[dict[bool, list[float]], float, int]:
    """Median and p99 in milliseconds without the mirror and with it, the shadow's delay, and what it was sent."""
    with running_shadow() as (shadow, address), running_envoy(folder, live, address) as envoy:
        usual = latencies(envoy.address, rate=rate, seconds=2.0, mirrored=False)
        shadow.seconds = 100 * float(np.median(usual)) / 1e3
        found: dict[bool, list[Milliseconds]] = {False: [], True: []}
        for number in range(2 * rounds):  # by turns, each of them first as often: the machine is not always the same
            mirrored = number % 4 in (1, 2)
            found[mirrored].append(latencies(envoy.address, rate=rate, seconds=seconds, mirrored=mirrored))
        sent = len(shadow.requests)
        quantiles = {
            way: [float(np.quantile(np.concatenate(all_of), share)) for share in (0.5, 0.99)]
            for way, all_of in found.items()
        }
        return quantiles, shadow.seconds * 1e3, sent


def main() -> None:
    """Print it, for a server process of its own."""
    rate, seconds, rounds = (float(word) for word in sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policies = folder / "policies"
        policies.mkdir()
        (policies / "default.toml").write_text('name = "default"\n')
        with running_process(policies) as live:
            found, delay, sent = compared(folder, live.address, rate=rate, seconds=seconds, rounds=int(rounds))
    for way, words in ((False, "without the mirror"), (True, "with it")):
        print(f"{words}: p50 {found[way][0]:.2f} ms, p99 {found[way][1]:.2f} ms")
    print(f"the shadow took {delay:.0f} ms for an answer and was sent {sent} requests")


if __name__ == "__main__":
    main()
