"""One target under Atheris: coverage decides which mutations are worth keeping. `python -m fuzz` runs it.

    python -m fuzz.guided TARGET SEED FOLDER [flags of libFuzzer]

FOLDER has the corpus, which grows. Ends with 0 after -runs=N without a defect; else the request that shows it is in a
file that libFuzzer names. Atheris sees what Python does, in every room but the kernels, which Numba compiles.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import atheris

from examples.server_process import ROOT

# Numba reads the bytecode of kernels, and what Atheris puts into it is nothing that it could compile.
_KERNELS = [f"reranker.kernels.{path.stem}" for path in (ROOT / "reranker" / "kernels").glob("*.py")]

with atheris.instrument_imports(include=["reranker"], exclude=_KERNELS):
    from fuzz.house import TARGETS, House
    from fuzz.mutation import Mutator
    from fuzz.seeds import REQUESTS, seeds
    from reranker import engine

LONGEST = 16_384
"""Bytes of a mutated request: small ones are many, and large ones hold nothing else."""
_SECONDS = 20  # for one request
_REPORT_EVERY = 50_000
_PAGE = resource.getpagesize()


def main() -> None:
    """Run until so many requests were answered, or a defect was found."""
    target, seed, *words = sys.argv[1:]
    method = TARGETS[target]
    mutator = Mutator(Random(int(seed)), REQUESTS[method], seeds()[method])
    engine.warm_up()
    codes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))

        def answer(data: bytes) -> None:
            codes[house.answer(target, data)] += 1
            if codes.total() % _REPORT_EVERY == 0:
                counts = ", ".join(f"{code} {count}" for code, count in codes.most_common())
                print(f"{target}: {codes.total()} requests, {_resident() >> 20} MiB resident: {counts}", flush=True)

        def mutate(data: bytes, most: int, _: int) -> bytes:
            return mutator.mutate(data, lambda found: bytes(atheris.Mutate(found, most)))[:most]

        itself = f"{sys.executable} -m fuzz.guided {target} {seed}"  # how libFuzzer starts helpers
        limits = [f"-max_len={LONGEST}", f"-timeout={_SECONDS}", "-rss_limit_mb=4096"]
        atheris.Setup([itself, *words, f"-seed={seed}", *limits], answer, custom_mutator=mutate)
        atheris.Fuzz()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


if __name__ == "__main__":
    main()
