"""The figures of the texts, from what was measured: `make figures`.

One a family of strategies, from `benchmarks.frontier`'s real lists; exposure and growth, where the benchmarks of these
names were run.

Needs matplotlib, which is the extra `figures`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reranker.errors import MissingExtra

SOURCE = Path(__file__).parent / "results" / "frontier.json"
TARGET = Path(__file__).parents[1] / "docs" / "figures"
FAMILIES = {
    "pairwise": ("mmr", "msd"),
    "spectral": ("dpp", "ssd"),
    "coverage": ("cover",),
    "aspects": ("xquad", "pm2", "calibrated", "dum", "round_robin"),
}
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7d4e9f", "#b8860b", "#4a4a4a")
LISTS = {"books": "home pages of books", "shades": "searches for foundation shades"}
ASPECTS = {"books": "genres on the slate", "shades": "skin tones on the slate"}


def main() -> int:
    """Write docs/figures/*.svg."""
    from benchmarks import exposure_figure, growth_figure

    measured = json.loads(SOURCE.read_text())
    TARGET.mkdir(exist_ok=True)
    for family, strategies in FAMILIES.items():
        draw(family, [name for name in strategies if name in measured["books"]], measured)
        print(TARGET / f"{family}.svg")
    exposure = SOURCE.with_name("exposure.json")
    if exposure.exists():
        print(exposure_figure.write(json.loads(exposure.read_text()), TARGET))
    else:
        print("exposure is not drawn: `make exposure` measures it")
    growth = SOURCE.with_name("growth.json")
    if growth.exists():
        print(growth_figure.write(json.loads(growth.read_text()), TARGET))
    else:
        print("growth is not drawn: `make bench-growth` measures it")
    return 0


def pyplot() -> Any:
    """Matplotlib's pyplot, set so that the same figures give the same bytes. Raises `MissingExtra`."""
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra("matplotlib", "figures") from None
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "figures", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    from matplotlib import pyplot

    return pyplot


def draw(family: str, strategies: list[str], measured: dict[str, Any]) -> None:
    """Relevance kept across, variety up; the knob runs from the right, 0, to the left, 1."""
    drawing = pyplot()
    figure, axes = drawing.subplots(1, len(LISTS), figsize=(9.0, 3.6), layout="constrained")
    variety = "aspects" if family == "aspects" else "distance"
    for axis, (corpus, title) in zip(axes, LISTS.items(), strict=True):
        for strategy, colour in zip(strategies, COLOURS, strict=False):
            points = measured[corpus][strategy]
            axis.plot(*_columns(points["ours"], variety), color=colour, label=strategy, linewidth=1.6)
            marked = [point for point in points["ours"] if point["knob"] in (0.25, 0.5, 0.75)]
            axis.plot(*_columns(marked, variety), "o", color=colour, markersize=4)
            if points["peer"]:
                label = f"{strategy}, pyversity"
                axis.plot(
                    *_columns(points["peer"], variety), "x--", color=colour, label=label, linewidth=0.8, markersize=5
                )
        axis.set_title(title, loc="left")
        axis.set_xlabel("share of the upstream top's score mass kept")
        axis.set_ylabel(ASPECTS[corpus] if variety == "aspects" else "mean pairwise distance, 1 − cosine")
        axis.grid(alpha=0.25)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(TARGET / f"{family}.svg", metadata={"Date": None})
    drawing.close(figure)


def _columns(points: list[dict[str, float]], variety: str) -> tuple[list[float], list[float]]:
    return [point["retained"] for point in points], [point[variety] for point in points]


if __name__ == "__main__":
    sys.exit(main())
