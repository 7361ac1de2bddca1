"""The register of published policies in Redis or Valkey: one list, of which each entry is one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reranker.errors import RegisterRefused, StoreLied
from reranker.policy.register import Register
from reranker.store import DEFAULT_PREFIX, Script, command
from reranker.v1 import policy_register_pb2 as pb

if TYPE_CHECKING:
    from reranker.store.store import Store

# Adds a line when the list is still as long, and ends with the same line, as when its writer read it.
_APPEND = Script("""
local length = redis.call('LLEN', KEYS[1])
local last = redis.call('LINDEX', KEYS[1], -1) or ''
if length ~= tonumber(ARGV[1]) or last ~= ARGV[2] then
    return 0
end
return redis.call('RPUSH', KEYS[1], ARGV[3])
""")


class StoredRegister:
    """Reads and appends; every call takes at most `seconds` a round trip and raises `StoreError` where it fails."""

    def __init__(
        self, store: Store, seconds: float, *, prefix: str = DEFAULT_PREFIX, two_persons: bool = False
    ) -> None:
        self._store, self._seconds, self._two_persons = store, seconds, two_persons
        self.key = f"{prefix}:{{policies}}:register"

    def read(self) -> Register:
        """The whole register. Raises `RegisterDamaged`."""
        return Register.read(self._lines(0), two_persons=self._two_persons)

    def follow(self, known: Register) -> Register:
        """`known` with what was added since; the whole register anew where the store has another one.

        Raises `RegisterDamaged`.
        """
        if not known.lines:
            return self.read()
        last, *new = self._lines(len(known.lines) - 1) or [b""]
        return known.continued(new) if last == known.lines[-1].data else self.read()

    def append(self, register: Register) -> None:
        """Add the last line of a register, whose other lines were read. In one step, or not at all.

        Raises `RegisterRefused` when somebody else has added a line since.
        """
        *before, line = register.lines
        expected = before[-1].data if before else b""
        done = self._store.call(_APPEND.on([self.key], len(before), expected, line.data), self._seconds)
        if done == len(register.lines):
            return
        if done != 0:
            raise StoreLied("unexpected")
        raise RegisterRefused(_who_was_quicker(self.read(), len(before)))

    def _lines(self, first: int) -> list[bytes]:
        lines: Any = self._store.call(command("LRANGE", self.key, first, -1), self._seconds)
        if not isinstance(lines, list) or not all(isinstance(line, bytes) for line in lines):
            raise StoreLied("unexpected")
        return lines


def _who_was_quicker(register: Register, known: int) -> str:
    if len(register.lines) <= known:
        return "the register is not the one that was read: look at `history`, then do it again"
    record = register.lines[known].record
    did = pb.PolicyAction.Name(record.action).removeprefix("POLICY_ACTION_").lower().replace("_", " ")
    return (
        f"somebody was quicker, and nothing was changed: {record.actor} {did} {record.name} in line {record.number}; "
        "look at `history`, then do it again"
    )
