"""`make replay`: recorded searches for make-up shades through two policies, the verdict in words, and a report.

    python -m examples.replay [--policy FILE --policy FILE] [any other flag of `reranker replay`]

Writes build/replay/report.html, and its numbers as Parquet into build/replay/tables. Change a number in policies/ and
run it again: that is the question it answers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from examples.catalog import DATA
from reranker.cli import main as command_line

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "build" / "replay"
SHADES = DATA / "shades"
POLICIES = ("skin-tone-range", "inclusive-search")
FLAGS = ("--attribute", "undertone", "--attribute", "creator", "--sweep", "objective.diversity=0,0.25,0.75,1")


def main(arguments: Sequence[str]) -> int:
    """Build the catalog, replay, compare; the exit code of whichever fails, else 0."""
    catalog = RUN / "catalog"
    build = ["catalog", "build", str(catalog), str(SHADES / "catalog.npz"), "--precision", "float16", "--keep", "1"]
    if not (catalog / "current").exists():
        code = command_line(build)
        if code:
            return code
    policies = [] if "--policy" in arguments else [f"--policy={ROOT / 'policies' / name}.toml" for name in POLICIES]
    words = ["--titles", str(SHADES / "catalog.npz"), "--queries", str(SHADES / "words.json")]
    what = [str(SHADES / "requests.rlog.gz"), "--catalog", str(catalog), "--run", str(RUN), "--fresh"]
    tables = ["--tables", str(RUN / "tables")]
    return command_line(["replay", *what, *policies, *FLAGS, *words, *tables, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
