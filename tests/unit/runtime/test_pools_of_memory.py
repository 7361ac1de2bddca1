"""How many pools of memory the threads of a server have: two, unless the environment says something of it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import pytest

from reranker.runtime.process import share_memory


class Library:
    """A C library that notes what it is asked for; glibc, or another one."""

    def __init__(self, *, is_glibc: bool) -> None:
        self.asked: list[tuple[int, int]] = []
        if is_glibc:
            self.gnu_get_libc_version = lambda: b"2.36"

    def mallopt(self, what: int, value: int) -> int:
        self.asked.append((what, value))
        return 1


@pytest.mark.parametrize(
    ("environment", "is_glibc", "asked"),
    [
        ({}, True, [(-8, 2)]),
        ({"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1"}, True, [(-8, 2)]),
        ({"MALLOC_ARENA_MAX": "4"}, True, []),
        ({"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1:glibc.malloc.arena_max=4"}, True, []),
        ({}, False, []),
    ],
)
def test_two_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], is_glibc: bool, asked: list[tuple[int, int]]
) -> None:
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    library = Library(is_glibc=is_glibc)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    share_memory()
    assert library.asked == asked
