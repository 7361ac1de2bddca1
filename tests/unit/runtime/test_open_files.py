"""How many files a server may have open: it raises a limit that was meant for programs which know of no higher one."""

from __future__ import annotations

import subprocess
import sys

MAKE_ROOM = """
import resource, sys
from reranker.observability.logs import configure
from reranker.runtime.process import make_room
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
configure("info")
make_room(connections)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def limits_after(soft: int, hard: int, connections: int) -> tuple[list[int], str]:
    command = [sys.executable, "-c", MAKE_ROOM, str(soft), str(hard), str(connections)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [int(number) for number in done.stdout.split()], done.stderr


def test_the_limit_is_raised_to_what_the_connections_need() -> None:
    (soft, hard), said = limits_after(256, 2_000, 1_000)
    assert 1_000 < soft < 2_000
    assert hard == 2_000
    assert not said


def test_where_the_system_does_not_let_us_the_log_says_what_to_do() -> None:
    limits, said = limits_after(256, 512, 1_000)
    assert limits == [512, 512]
    assert "too few open files" in said
    assert "ulimit -n" in said


def test_a_limit_that_is_high_enough_stays() -> None:
    assert limits_after(1_900, 2_000, 100) == ([1_900, 2_000], "")
