"""Shares of exposure over requests, from what `benchmarks.exposure` measured: a quota, FairCo's rule and ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import figures


def write(measured: dict[str, Any], folder: Path) -> Path:
    """Draw exposure.svg into `folder`: a row a kind of traffic, a panel a rule. Raises `MissingExtra`."""
    pyplot = figures.pyplot()
    rows = [row for row in measured["compared"] if row["strategy"] == "relevance"]
    traffics = list(dict.fromkeys(row["traffic"] for row in rows))
    figure, panels = pyplot.subplots(
        len(traffics), 3, figsize=(11.5, 2.7 * len(traffics)), layout="constrained", squeeze=False, sharex=True
    )
    for axes, traffic in zip(panels, traffics, strict=True):
        for axis, row in zip(axes, _chosen([row for row in rows if row["traffic"] == traffic]), strict=True):
            _panel(axis, row, measured["requests"])
        axes[0].set_ylabel(f"{traffic}\nshare of exposure so far", fontsize=8)
        axes[2].legend(frameon=False, fontsize=7, loc="upper right", ncols=2)
        axes[1].sharey(axes[0])
        axes[2].sharey(axes[0])
    for axis in panels[-1]:
        axis.set_xlabel("requests")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "exposure.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def _chosen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A quota, FairCo's best, and ours with a ledger that is read late."""
    starts = ("a quota", "FairCo", "[[exposure]], read every")
    return [[row for row in rows if row["rule"].startswith(start)][-1] for start in starts]


def _panel(axis: Any, row: dict[str, Any], requests: int) -> None:
    for (value, shares), colour in zip(row["series"].items(), figures.COLOURS, strict=False):
        step = requests / max(1, len(shares))
        axis.plot([step * (at + 1) for at in range(len(shares))], shares, color=colour, label=value, linewidth=1.4)
        axis.axhline(row["target"][value], color=colour, linewidth=0.8, linestyle=":")
    axis.set_title(f"{row['rule'].split(', the')[0]}: {100 * row['kept']:.1f} % kept", loc="left", fontsize=8)
    axis.grid(alpha=0.25, linewidth=0.4)
