"""Cursors are sealed: nobody can make or alter one, and what it says of items and values is in keyed hashes alone."""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Iterable
from hashlib import blake2b

from google.protobuf.message import DecodeError

from reranker.v1 import cursor_pb2

_VERSION = b"\x01"
_TAG = 16  # bytes
LEAST_KEY = 16  # bytes


class BadSeal(Exception):
    """The bytes are no cursor that one of these keys has sealed."""


class Seal:
    """One secret key (16 bytes or more), to seal and open cursors and to name ids and values in them."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_KEY:
            raise ValueError(f"the key of cursors must have at least {LEAST_KEY} bytes, has {len(secret)}")
        key = blake2b(secret, digest_size=32).digest()
        self._items = blake2b(digest_size=8, key=key, person=b"items")
        self._values = blake2b(digest_size=8, key=key, person=b"values")
        self._tags = blake2b(digest_size=_TAG, key=key, person=b"cursor")

    def items(self, items: Iterable[str | int]) -> list[int]:
        """The key of each item's id; 7 and "7" are two items."""
        begun = self._items.copy
        keys = []
        for item in items:
            hashed = begun()
            hashed.update(b"t" + item.encode() if isinstance(item, str) else b"n%d" % item)
            keys.append(hashed.digest())
        return list(struct.unpack(f"<{len(keys)}Q", b"".join(keys)))

    def value(self, text: str) -> int:
        """The key of an attribute's value."""
        hashed = self._values.copy()
        hashed.update(text.encode())
        return int.from_bytes(hashed.digest(), "little")

    def close(self, cursor: cursor_pb2.Cursor) -> bytes:
        """The cursor as opaque bytes: a version, a tag, the message."""
        payload = cursor.SerializeToString()
        return _VERSION + self._tag(payload) + payload

    def open(self, sealed: bytes) -> cursor_pb2.Cursor:
        """The message, or `BadSeal`."""
        tag, payload = sealed[1 : 1 + _TAG], sealed[1 + _TAG :]
        if sealed[:1] != _VERSION or not hmac.compare_digest(tag, self._tag(payload)):
            raise BadSeal
        try:
            return cursor_pb2.Cursor.FromString(payload)
        except DecodeError:
            raise BadSeal from None

    def _tag(self, payload: bytes) -> bytes:
        hashed = self._tags.copy()
        hashed.update(payload)
        return hashed.digest()


class Seals:
    """The key that seals, and older ones that still open: keys can be changed without losing anybody's page."""

    def __init__(self, secret: bytes, *older: bytes) -> None:
        self.current = Seal(secret)
        self._all = (self.current, *map(Seal, older))

    def open(self, sealed: bytes) -> tuple[cursor_pb2.Cursor, Seal]:
        """The message and the seal that opened it, whose keys name what is in it. Raises `BadSeal`."""
        for seal in self._all:
            try:
                return seal.open(sealed), seal
            except BadSeal:
                continue
        raise BadSeal


PROCESS = Seals(secrets.token_bytes(32))
"""For callers without a key of their own: cursors then hold within this process alone."""
