"""The faults: what is done to the store, and what ends it. Each leaves a store that works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loadtest.servers.valkey import Valkey


@dataclass(frozen=True)
class Fault:
    """`begin` does it and `end` ends it; `empties` says that it takes what was kept."""

    name: str
    words: str
    begin: Callable[[Valkey], object]
    end: Callable[[Valkey], object]
    empties: bool = False


def _nothing(_: Valkey) -> None:
    pass


def _restart(valkey: Valkey) -> None:
    valkey.kill()
    valkey.start()


# Every item is cut off, every other key becomes one of another type: what somebody might do by mistake.
_LIES = """
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    if string.find(key, ':items:1:t:', 1, true) then
        local value = redis.call('GET', key)
        redis.call('SET', key, string.sub(value, 1, math.floor(#value / 2)))
    else
        redis.call('RENAME', key, 'aside:' .. key)
        redis.call(kind == 'string' and 'RPUSH' or 'SET', key, 'nonsense')
    end
end
"""
_TRUTHS = """
for _, key in ipairs(redis.call('KEYS', 'aside:*')) do
    redis.call('RENAME', key, string.sub(key, 7))
end
"""


def _lie(valkey: Valkey) -> None:
    valkey.ask("EVAL", _LIES, "0")


def _repent(valkey: Valkey) -> None:
    """What was put aside returns; the items are for their owner to put again."""
    valkey.ask("EVAL", _TRUTHS, "0")


def _stall(valkey: Valkey) -> None:
    valkey.ask("CLIENT", "PAUSE", "3600000", "WRITE")


def _go_on(valkey: Valkey) -> None:
    valkey.ask("CLIENT", "UNPAUSE")


def _flush(valkey: Valkey) -> None:
    valkey.ask("FLUSHALL")


def _fill(valkey: Valkey) -> None:
    valkey.ask("CONFIG", "SET", "maxmemory", "1mb")


def _make_room(valkey: Valkey) -> None:
    valkey.ask("CONFIG", "SET", "maxmemory", "0")


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("none", "nothing happens", _nothing, _nothing),
        Fault("kill", "SIGKILL, started again later", Valkey.kill, Valkey.start),
        Fault("restart", "SIGKILL, started again at once", _restart, _nothing),
        Fault("pause", "SIGSTOP, SIGCONT later", Valkey.pause, Valkey.resume),
        Fault("stall", "CLIENT PAUSE: writes wait", _stall, _go_on),
        Fault("fill", "maxmemory below what it holds", _fill, _make_room),
        Fault("flush", "FLUSHALL", _flush, _nothing, empties=True),
        Fault("lie", "values cut off, keys of other types", _lie, _repent, empties=True),
    )
}
