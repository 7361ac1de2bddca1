"""The metrics of one worker among siblings: every sample carries the worker's number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy

from prometheus_client import CollectorRegistry, Metric

LABEL = "worker"


class Labelled(CollectorRegistry):
    """What `registry` collects, with `worker` as one more label.

    A label, and not a sum: a worker that was started anew counts from 0, which Prometheus understands of a series, and
    would misread of a sum.
    """

    def __init__(self, registry: CollectorRegistry, worker: int) -> None:
        super().__init__()
        self._registry = registry
        self._worker = str(worker)

    def collect(self) -> Iterator[Metric]:
        """The metrics, labelled."""
        for family in self._registry.collect():
            labelled = copy(family)
            labelled.samples = [
                sample._replace(labels={**sample.labels, LABEL: self._worker}) for sample in family.samples
            ]
            yield labelled


def merged(bodies: Iterable[bytes]) -> bytes:
    """Scrapes of several processes as one: each metric once, with the samples of all. All are in the same format."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    end = ""
    for body in bodies:
        head: list[str] = []
        samples: list[str] = []
        for line in body.decode().split("\n"):
            if line == "# EOF":
                end = f"{line}\n"
            elif line.startswith("# HELP "):
                head, samples = families.setdefault(line.split(" ", 3)[2], ([], []))
                if head:
                    head = []  # said already, by a process before this one
                head.append(line)
            elif line.startswith("# "):
                head.append(line)
            elif line:
                samples.append(line)
    lines = [line for head, samples in families.values() for line in (*head, *samples)]
    return ("\n".join(lines) + "\n" + end).encode()
