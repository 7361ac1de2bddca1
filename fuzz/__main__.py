"""`python -m fuzz`: mutated requests by the hundred thousand; ends with 0 when none of them shows a defect.

    python -m fuzz codec Rerank --runs 1000000     these targets, in a process each, guided by coverage (Atheris)
    python -m fuzz wire --requests 100000          over the wire, against the real server
    python -m fuzz all                             each in turn
    python -m fuzz keep                            put what `build/fuzz` has into the corpus that is kept, minimised

Needs what requirements/fuzz.txt lists; `make fuzz` installs it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from examples.server_process import ROOT
from fuzz import corpus
from fuzz.house import CODEC, TARGETS, Defect
from fuzz.seeds import seeds
from fuzz.wire import over_the_wire, summary

BUILD = ROOT / "build" / "fuzz"
WIRE, KEEP = "wire", "keep"
_SHARE = 20  # of the codec's runs, those of every other target: a slate takes ten times as long


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Mutated requests by the hundred thousand.")
    parser.add_argument("what", nargs="*", default=["all"], help=f"all, {KEEP}, {WIRE}, {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=1_000_000, help="requests through the codec; others have a 20th")
    parser.add_argument("--requests", type=int, default=100_000, help="requests over the wire")
    parser.add_argument("--connections", type=int, default=2_000, help="broken connections")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parts = [*TARGETS, WIRE] if options.what == ["all"] else options.what
    if wrong := [part for part in parts if part not in (*TARGETS, WIRE, KEEP)]:
        parser.error(f"unknown: {', '.join(wrong)}")
    for part in parts:
        if part == WIRE:
            try:
                print(summary(over_the_wire(options.requests, options.connections, options.seed)))
            except Defect as error:
                print(f"DEFECT: {error}", file=sys.stderr)
                return 1
        elif part == KEEP:
            for target in TARGETS:
                keep(target)
        else:
            corpus.unpack(part, BUILD / part, seeds()[TARGETS[part]])
            runs = options.runs if part == CODEC else max(1, options.runs // _SHARE)
            if code := guided(part, options.seed, BUILD / part, f"-runs={runs}"):
                print(f"DEFECT: {part} ended with {code}; the request is in {BUILD}", file=sys.stderr)
                return 1
    return 0


def guided(target: str, seed: int, folder: Path, *words: str) -> int:
    """One target under Atheris, as a process of its own; its exit code."""
    command = [sys.executable, "-m", "fuzz.guided", target, str(seed), str(folder), f"-artifact_prefix={BUILD}/"]
    return subprocess.run([*command, *words], cwd=ROOT, check=False).returncode


def keep(target: str) -> None:
    """The least of what was found that reaches as much, in place of what was kept."""
    chosen = BUILD / f"{target}-least"
    chosen.mkdir(parents=True, exist_ok=True)
    for file in chosen.iterdir():
        file.unlink()
    if guided(target, 1, chosen, str(BUILD / target), "-merge=1"):
        raise SystemExit(f"{target}: the corpus could not be minimised")
    corpus.keep(target, [file.read_bytes() for file in chosen.iterdir()])
    print(f"{target}: {len(corpus.read(target))} requests, {corpus.archive(target).stat().st_size >> 10} KiB")


if __name__ == "__main__":
    sys.exit(main())
