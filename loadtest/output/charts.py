"""Line charts as SVG text: enough for percentiles against rate and series over time, and nothing to download."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 150, 34, 46
# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


@dataclass(frozen=True)
class Line:
    """Points in order of x. A y of None is a gap; an infinite one is drawn at the upper edge, as a cross."""

    name: str
    points: Sequence[tuple[float, float | None]]
    dashed: bool = False
    dots: bool = True


@dataclass(frozen=True)
class Chart:
    """One chart. `level` is a horizontal line with its name: what was promised."""

    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]
    log_y: bool = False
    level: tuple[str, float] | None = None
    x_labels: Sequence[tuple[float, str]] = ()

    def svg(self) -> str:
        """The chart; an empty string when there is nothing to draw."""
        xs = [x for line in self.lines for x, y in line.points if y is not None]
        ys = [y for line in self.lines for _, y in line.points if y is not None and math.isfinite(y)]
        if self.level:
            ys.append(self.level[1])
        if self.log_y:
            ys = [y for y in ys if y > 0]
        if not xs or not ys:
            return ""
        x_axis = _Axis(min(xs), max(xs), _LEFT, WIDTH - _RIGHT, log=False)
        low = min(ys) / 1.25 if self.log_y else 0.0
        y_axis = _Axis(low, max(ys) * 1.08, HEIGHT - _BOTTOM, _TOP, log=self.log_y)
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">',
            f'<text class="title" x="{_LEFT}" y="16">{escape(self.title)}</text>',
            *self._axes(x_axis, y_axis),
        ]
        if self.level:
            parts += _level(self.level, y_axis)
        for number, line in enumerate(self.lines):
            parts += _line(line, COLOURS[number % len(COLOURS)], x_axis, y_axis)
        parts += _legend(self.lines)
        return "\n".join([*parts, "</svg>"])

    def _axes(self, x_axis: _Axis, y_axis: _Axis) -> list[str]:
        parts = []
        for value in y_axis.ticks():
            y = y_axis.at(value)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
        for value, text in self.x_labels or [(value, _short(value)) for value in x_axis.ticks()]:
            if value > x_axis.high:
                continue
            x = x_axis.at(value)
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{text}</text>'
            )
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        parts.append(
            f'<text class="name" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(self.x_name)}</text>'
        )
        parts.append(
            f'<text class="name" transform="translate(14 {(_TOP + HEIGHT - _BOTTOM) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y_name)}</text>'
        )
        return parts


class _Axis:
    """Numbers to pixels."""

    def __init__(self, low: float, high: float, first: float, last: float, *, log: bool) -> None:
        if high <= low:
            high = low * 1.1 if low > 0 else low + 1.0
        self.low, self.high, self.log = low, high, log
        self._first, self._last = first, last

    def at(self, value: float) -> float:
        """The pixel; beyond the ends it is that of the end."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self._first + share * (self._last - self._first)

    def ticks(self) -> list[float]:
        """Round numbers within the ends, four to eight of them."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            marks = (1, 2, 5) if self.high / self.low < 300 else (1,)
            return [m * 10.0**d for d in decades for m in marks if self.low <= m * 10.0**d <= self.high]
        rough = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
        first = math.ceil(self.low / step - 1e-9)
        return [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _line(line: Line, colour: str, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    parts: list[str] = []
    run: list[str] = []
    marks: list[str] = []
    for x, y in line.points:
        if y is None or (y_axis.log and y <= 0):
            parts += _stroke(run, colour, line.dashed)
            run = []
            continue
        at_x, at_y = x_axis.at(x), y_axis.at(y)
        run.append(f"{at_x:.1f},{at_y:.1f}")
        tip = f"<title>{escape(line.name)} at {_short(x)}: {'unanswered' if math.isinf(y) else _short(y)}</title>"
        if math.isinf(y):
            cross = f"M{at_x - 4:.1f} {at_y - 4:.1f}l8 8m0 -8l-8 8"
            marks.append(f'<path d="{cross}" stroke="{colour}" stroke-width="2">{tip}</path>')
        elif line.dots:
            marks.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="3" fill="{colour}">{tip}</circle>')
    return parts + _stroke(run, colour, line.dashed) + marks


def _stroke(run: Sequence[str], colour: str, dashed: bool) -> list[str]:
    if len(run) < 2:
        return []
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return [f'<polyline points="{" ".join(run)}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>']


def _level(level: tuple[str, float], y_axis: _Axis) -> list[str]:
    y = y_axis.at(level[1])
    return [
        f'<line class="level" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text class="tick" x="{_LEFT + 4}" y="{y - 4:.1f}">{escape(level[0])}</text>',
    ]


def _legend(lines: Sequence[Line]) -> list[str]:
    parts = []
    for number, line in enumerate(lines):
        y = _TOP + 8 + 18 * number
        colour = COLOURS[number % len(COLOURS)]
        parts += _stroke([f"{WIDTH - _RIGHT + 10},{y}", f"{WIDTH - _RIGHT + 28},{y}"], colour, line.dashed)
        parts.append(f'<text class="tick" x="{WIDTH - _RIGHT + 33}" y="{y + 4}">{escape(line.name)}</text>')
    return parts


def _short(value: float) -> str:
    """A number as short as it can be read."""
    if value and abs(value) < 0.01:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
