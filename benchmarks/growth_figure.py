"""Time against N, D and k, log-log, from what `benchmarks.growth` measured; ours in full, the best peer dashed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import figures

NAMES = {"N": "candidates", "D": "dimensions", "k": "slots"}


def write(measured: dict[str, Any], folder: Path) -> Path:
    """Draw growth.svg into `folder`; a row of panels for each setting of the knob. Raises `MissingExtra`."""
    pyplot = figures.pyplot()
    sweeps = measured["sweeps"]
    axes_names = list(dict.fromkeys(sweep["axis"] for sweep in sweeps))
    knobs = list(dict.fromkeys(sweep["diversity"] for sweep in sweeps))
    shape = (len(knobs), len(axes_names))
    figure, panels = pyplot.subplots(
        *shape, figsize=(4.2 * shape[1], 3.6 * shape[0]), layout="constrained", squeeze=False
    )
    for row, knob in enumerate(knobs):
        for column, name in enumerate(axes_names):
            axis = panels[row][column]
            chosen = [sweep for sweep in sweeps if (sweep["axis"], sweep["diversity"]) == (name, knob)]
            for sweep, colour in zip(chosen, figures.COLOURS, strict=False):
                _lines(axis, sweep, colour)
            axis.set(xscale="log", yscale="log", xlabel=f"{name}, {NAMES[name]}", ylabel="ms")
            axis.set_title(f"diversity {knob:g}", loc="left")
            sizes = chosen[0]["points"] if chosen else []
            axis.set_xticks([point[name] for point in sizes], [str(point[name]) for point in sizes])
            axis.set_xticks([], minor=True)
            axis.grid(alpha=0.25, which="both", linewidth=0.4)
            axis.legend(frameon=False, fontsize=6.5)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "growth.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path


def _lines(axis: Any, sweep: dict[str, Any], colour: str) -> None:
    sizes = [point[sweep["axis"]] for point in sweep["points"]]
    exponents = {line: sweep["fits"][line]["exponent"] for line in ("ours_ms", "peer_ms")}
    label = f"{sweep['strategy']}: {exponents['ours_ms']:.2f}, best peer {exponents['peer_ms']:.2f}"
    axis.plot(sizes, [point["ours_ms"] for point in sweep["points"]], "o-", color=colour, markersize=3, label=label)
    axis.plot(sizes, [point["peer_ms"] for point in sweep["points"]], "--", color=colour, linewidth=0.8)
