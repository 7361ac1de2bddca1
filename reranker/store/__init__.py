"""Redis or Valkey: the only room that imports redis. A failure of it is an answer, never a wait.

`reranker.store.store` has the `Store` itself; what is here loads without redis, which takes a tenth of a second.
"""

from reranker.store.address import StoreAddress
from reranker.store.command import DEFAULT_PREFIX, Command, Reply, Script, command, keyless
from reranker.store.listener import Silent, StoreListener

__all__ = [
    "DEFAULT_PREFIX",
    "Command",
    "Reply",
    "Script",
    "Silent",
    "StoreAddress",
    "StoreListener",
    "command",
    "keyless",
]
