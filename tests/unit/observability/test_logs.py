from __future__ import annotations

import io
import json
import logging

import pytest

from reranker.observability.logs import LOGGER, configure, hashed, log


@pytest.fixture
def lines() -> object:
    handlers, level, propagate = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    stream = io.StringIO()
    configure("info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    LOGGER.handlers[:] = handlers
    LOGGER.setLevel(level)
    LOGGER.propagate = propagate


def test_a_line_is_an_object_with_its_fields(lines: object) -> None:
    log(logging.INFO, "draining", port=5)
    log(logging.DEBUG, "too much")
    (line,) = lines()  # type: ignore[operator]
    assert (line["level"], line["event"], line["port"]) == ("info", "draining", 5)
    assert line["ts"].endswith("+00:00")


def test_an_exception_gives_its_type_and_frames_and_never_its_text(lines: object) -> None:
    try:
        raise KeyError("item-4711")
    except KeyError as error:
        log(logging.ERROR, "request failed", error)
    (line,) = lines()  # type: ignore[operator]
    assert line["exception"] == "KeyError"
    assert "test_logs.py" in line["traceback"][0]
    assert "item-4711" not in json.dumps(line)


def test_request_ids_rest_as_hashes() -> None:
    assert hashed("r-1") == hashed("r-1") != hashed("r-2")
    assert "r-1" not in hashed("r-1")
    assert hashed("") == ""
