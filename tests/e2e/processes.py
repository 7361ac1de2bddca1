"""The server as a process of its own, and commands that run to their end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Process:
    """One server process; `address` (the first of `addresses`) and `admin` as it printed them."""

    def __init__(self, *flags: str, start: Sequence[str] = ("server.py",), **environment: str) -> None:
        command = [sys.executable, *start, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        line = self.line(60)
        found = re.fullmatch(r"reranker: listening on (.+), admin on http://(\S+); warming up\n", line)
        assert found, line
        self.addresses = found[1].split(", ")
        self.address, self.admin = self.addresses[0], found[2]

    def line(self, timeout: float) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        return self.process.stdout.readline() if ready else ""

    def warm(self) -> Process:
        assert self.line(240) == "reranker: serving 1 policy: default\n"
        return self

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = 20) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=timeout)
        return self.process.returncode, errors

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
