from __future__ import annotations

import os
import pty
import sys

import pytest

from reranker.cli import terminal

SENTENCES = ["The policy inclusive-search keeps 93.2 % of the upstream relevance.", "", "short \x1b[31m"]


def test_sentences_are_broken_between_words_where_a_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    outer, inner = pty.openpty()
    with os.fdopen(inner, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        terminal.tell(SENTENCES)
        stream.flush()
        said = ""
        while said.count("\n") < 5:  # a line at a time
            said += os.read(outer, 10_000).decode()
    os.close(outer)
    assert said.split("\r\n")[:-1] == [
        "The policy inclusive-search",
        "  keeps 93.2 % of the upstream",
        "  relevance.",
        "",
        "short \\x1b[31m",
    ]


def test_elsewhere_a_sentence_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    terminal.tell(SENTENCES)
    assert capsys.readouterr().out == f"{SENTENCES[0]}\n\nshort \\x1b[31m\n"
