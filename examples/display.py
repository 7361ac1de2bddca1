"""How the demo prints: plain text that is readable at 100 columns, coloured where the terminal can."""

from __future__ import annotations

import os
import sys
import textwrap
import time
import unicodedata
from collections.abc import Sequence
from typing import TextIO

WIDTH = 100
_CODES = {"bold": "1", "dim": "2", "green": "32", "yellow": "33", "cyan": "36"}


class Screen:
    """Prints lines; colour only on a terminal that has not asked for none (NO_COLOR, TERM=dumb)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.terminal = self.stream.isatty()
        self.coloured = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, *styles: str) -> str:
        """`text` in the given styles, or as it is where there is no colour."""
        if not self.coloured or not styles:
            return text
        return f"\033[{';'.join(_CODES[style] for style in styles)}m{text}\033[0m"

    def line(self, text: str = "") -> None:
        """One line."""
        print(text, file=self.stream, flush=True)

    def heading(self, text: str) -> None:
        """A heading with a rule under it."""
        self.line()
        self.line(self.paint(text, "bold"))
        self.line(self.paint("─" * min(len(text), WIDTH), "dim"))

    def paragraph(self, text: str) -> None:
        """Running text, wrapped."""
        for line in textwrap.wrap(text, WIDTH):
            self.line(line)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
        """Columns two spaces apart, the first `left` of them flush left and the others flush right."""
        widths = [max(map(display_width, column)) for column in zip(header, *rows, strict=True)]
        for number, row in enumerate([header, *rows]):
            cells = [
                fit(cell, width) if index < left else " " * (width - display_width(cell)) + cell
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self.line(self.paint("  ".join(cells).rstrip(), *(["dim"] if number == 0 else [])))


class Progress:
    """A bar that is rewritten on a terminal; elsewhere a line every few seconds."""

    def __init__(self, screen: Screen, total: int, every: float = 5.0) -> None:
        self.screen, self.total, self.every = screen, total, every
        self.done = 0
        self._shown = time.monotonic()

    def step(self, label: str) -> None:
        """One more is done; `label` says what is being worked on."""
        self.done += 1
        now = time.monotonic()
        if now - self._shown < (0.05 if self.screen.terminal else self.every):
            return
        self._shown = now
        if self.screen.terminal:
            filled = round(40 * self.done / self.total)
            bar = "█" * filled + "░" * (40 - filled)
            print(
                f"\r\033[K{bar} {self.done:,} of {self.total:,}  {label}", end="", file=self.screen.stream, flush=True
            )
        else:
            self.screen.line(f"… {self.done:,} of {self.total:,} requests")

    def finish(self) -> None:
        """Take the bar away."""
        if self.screen.terminal:
            print("\r\033[K", end="", file=self.screen.stream, flush=True)


def display_width(text: str) -> int:
    """How many columns `text` takes: wide letters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` columns: padded, or with its middle left out, since titles differ at their ends."""
    if display_width(text) > width:
        head, tail = text[: width // 2], text[-((width - 1) // 2) :]
        text = f"{head.rstrip()}…{tail.lstrip()}"
    while display_width(text) > width:
        text = text[:-1]
    return text + " " * (width - display_width(text))
