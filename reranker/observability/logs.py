"""JSON lines on standard error. They name places, counts and codes; never item ids, attribute values or units."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

LOGGER = logging.getLogger("reranker")

_KEY = secrets.token_bytes(16)


class JsonFormatter(logging.Formatter):
    """One object a line: ts, level, event, the fields that all lines of a process have, and the record's `fields`."""

    def __init__(self, constant: Mapping[str, object] | None = None) -> None:
        super().__init__()
        self._constant = dict(constant or {})

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback gives its frames and its type, because its text may quote the request."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update(self._constant)
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = type(record.exc_info[1]).__qualname__
            frames = traceback.extract_tb(record.exc_info[2])
            line["traceback"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str, stream: TextIO | None = None, **constant: object) -> None:
    """Send this package's log to `stream` (standard error) as JSON lines of at least `level`.

    `constant` are fields that every line has.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(constant))
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


def log(level: int, event: str, error: BaseException | None = None, **fields: object) -> None:
    """One line; `error` adds its type and its frames."""
    LOGGER.log(level, event, exc_info=error, extra={"fields": fields})


def hashed(request_id: str) -> str:
    """A request id as it may rest in a log: a hash under a key as old as this process; empty stays empty."""
    return hashlib.blake2b(request_id.encode(), digest_size=8, key=_KEY).hexdigest() if request_id else ""
