"""What processes use of the machine, read from /proc: a server with its worker processes, and everybody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds since a process tree began, and the bytes it holds in memory now."""

    cpu: float
    memory: int


def used(*pids: int | None) -> Used | None:
    """Processes and their descendants, each once; None when none of them is there, or the system has no /proc."""
    cpu, memory, found = 0.0, 0, False
    for member in {member for pid in pids if pid is not None for member in _tree(pid)}:
        try:
            fields = _fields(member)
        except OSError:
            continue  # it ended between two looks
        found = True
        cpu += (int(fields[11]) + int(fields[12])) * _TICK
        memory += int(fields[21]) * _PAGE
    return Used(cpu, memory) if found else None


def ended(pid: int) -> bool:
    """Whether a process is no more: gone, or dead and not yet collected by its parent."""
    try:
        return _fields(pid)[0] in ("Z", "X")
    except OSError:
        return Path("/proc/self/stat").exists()  # without /proc nobody can say


def listens(pid: int, port: int) -> bool | None:
    """Whether a process, or one that descends from it, listens on a TCP port; None when the system does not show it."""
    sockets = set()
    try:
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
            if table.exists():
                rows = [line.split() for line in table.read_text().splitlines()[1:]]
                sockets |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
        held = {found for member in _tree(pid) for found in _held(member)}
    except OSError:
        return None
    return any(f"socket:[{inode}]" in held for inode in sockets) if sockets else None


def _held(pid: int) -> Iterator[str]:
    """What the file descriptors of a process stand for."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed between two looks
            yield os.readlink(link)


def machine_busy() -> float | None:
    """CPU seconds that the whole machine has worked since it started, time stolen from it included; None if unknown."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(ticks) for ticks in first[1:9])
    return (user + nice + system + irq + softirq + steal) * _TICK


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may itself hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    members = [pid]
    for member in members:  # grows while it is walked
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                members += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return members
