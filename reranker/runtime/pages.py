"""The pages of the admin port, the same for one process and for many: a `Service` says what they show."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from http import HTTPStatus
from typing import Protocol, TypeAlias

from reranker import __version__
from reranker.runtime.admin import TEXT, Page, Reply
from reranker.runtime.settings import Settings
from reranker.runtime.state import ServerState

Sections: TypeAlias = Mapping[str, Mapping[str, str | int | float]]
"""What a process says of its parts: by part, a few labels and values. No secrets, no ids, no values of people."""

_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")  # of an address such as redis://user:password@host


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker: `since` is when it started, in seconds of the epoch; `note` says what is out of the ordinary.

    `scraped` is false while another process has the same number: one that comes, or one that goes.
    """

    number: int
    pid: int
    state: str
    since: float
    address: str
    restarts: int = 0
    note: str = ""
    scraped: bool = True
    sections: Sections = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overview:
    """The service as a whole; `reload` says how the last one went."""

    state: ServerState
    started: float
    workers: tuple[WorkerView, ...]
    reload: str = ""


class Service(Protocol):
    """What the pages ask; `state` has to answer at once, however busy the workers are."""

    def state(self) -> ServerState:
        """Whether requests are taken."""

    def metrics(self, accept: str) -> tuple[str, bytes]:
        """Content type and body of a scrape with this `Accept` header."""

    def overview(self) -> Overview:
        """All there is to say."""


@dataclass(slots=True)
class Shown:
    """What pages show of the settings, which a reload may change: all of them as text, and the profile."""

    text: str
    profile: str

    @classmethod
    def of(cls, settings: Settings, sources: Mapping[str, str]) -> Shown:
        """Of these settings; `sources` say where each came from."""
        return cls(settings_as_text(settings, sources), settings.profile)


def pages(service: Service, shown: Shown) -> dict[str, Page]:
    """The pages by path; they show what is in `shown` when they are asked for."""

    def alive(_: str) -> Reply:
        return Reply(HTTPStatus.OK, TEXT, b"ok\n")

    def ready(_: str) -> Reply:
        now = service.state()
        status = HTTPStatus.OK if now is ServerState.SERVING else HTTPStatus.SERVICE_UNAVAILABLE
        return Reply(status, TEXT, f"{now.value}\n".encode())

    def metrics(accept: str) -> Reply:
        return Reply(HTTPStatus.OK, *service.metrics(accept))

    def configuration(_: str) -> Reply:
        return Reply(HTTPStatus.OK, TEXT, shown.text.encode())

    def status(_: str) -> Reply:
        page = as_html(service.overview(), shown.profile)
        return Reply(HTTPStatus.OK, "text/html; charset=utf-8", page.encode(errors="replace"))

    return {
        "/metrics": metrics,
        "/healthz": alive,
        "/readyz": ready,
        "/configz": configuration,
        "/statusz": status,
    }


def settings_as_text(settings: Settings, sources: Mapping[str, str]) -> str:
    """Every setting as a line of the file that `--config` reads, with where it came from; passwords left out."""
    lines = []
    for setting in fields(settings):
        value, source = getattr(settings, setting.name), sources.get(setting.name, "default")
        if value is None:
            lines.append(f"# {setting.name}: {setting.metadata['shown']}")
        else:
            lines.append(f"{setting.name} = {_as_toml(value)}  # {source}")
    return "\n".join(lines) + "\n"


def as_html(overview: Overview, profile: str) -> str:
    """The status page."""
    rows = [
        ("state", overview.state.value),
        ("up for", duration(time.time() - overview.started)),
        ("version", __version__),
        ("profile", profile),
        ("last reload", overview.reload or "none"),
    ]
    head = ("worker", "pid", "state", "up for", "restarts", "listens on", "")
    workers = [
        (
            worker.number,
            worker.pid or "",
            worker.state,
            duration(time.time() - worker.since),
            worker.restarts,
            worker.address,
            worker.note,
        )
        for worker in overview.workers
    ]
    parts = [f"<h1>diversity-reranker: {escape(overview.state.value)}</h1>", _table((), rows), "<h2>Workers</h2>"]
    parts.append(_table(head, workers))
    parts += _parts_of([worker for worker in overview.workers if worker.sections])
    return _PAGE.format(body="\n".join(parts))


def _parts_of(workers: Sequence[WorkerView]) -> list[str]:
    """Each part of the workers as a table: one column where all say the same, else one a worker."""
    html = []
    for name in dict.fromkeys(name for worker in workers for name in worker.sections):
        columns = [dict(worker.sections.get(name, {})) for worker in workers]
        heads = ["", *(f"worker {worker.number}" for worker in workers)]
        if all(column == columns[0] for column in columns):
            columns, heads = columns[:1], []
        labels = dict.fromkeys(label for column in columns for label in column)
        rows = [(label, *(column.get(label, "") for column in columns)) for label in labels]
        html += [f"<h2>{escape(name.capitalize())}</h2>", _table(tuple(heads), rows)]
    return html


def duration(seconds: float) -> str:
    """`4 s`, `7 min 12 s`, `3 h 5 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    for size, unit, smaller, smaller_unit in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {smaller_unit}"
    return f"{whole} s"


def _as_toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    text = _PASSWORD.sub("…@", str(value)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    lines = [_row("th", head)] if head else []
    return "\n".join(["<table>", *lines, *(_row("td", row) for row in rows), "</table>"])


def _row(tag: str, cells: tuple[object, ...]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>diversity-reranker</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; }}
td, th {{ border-bottom: 1px solid #ccc; padding: .2rem 1rem .2rem 0; text-align: left; }}
</style></head>
<body>
{body}
</body></html>
"""
