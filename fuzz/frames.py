"""A whole conversation of HTTP/2 as bytes, to be spoilt: the client's preface, its frames, one gRPC call."""

from __future__ import annotations

import struct
from random import Random

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _PRIORITY, _RESET, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _CONTINUATION = range(10)
_END_STREAM, _END_HEADERS = 0x1, 0x4


def conversation(path: str, body: bytes, stream: int = 1) -> list[bytes]:
    """The frames of one call, the preface first."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": "5S",
    }
    message = b"\0" + struct.pack(">I", len(body)) + body
    return [
        PREFACE,
        frame(_SETTINGS, 0, 0, b""),
        frame(_HEADERS, _END_HEADERS, stream, b"".join(_literal(name, value) for name, value in headers.items())),
        frame(_DATA, _END_STREAM, stream, message),
    ]


def frame(kind: int, flags: int, stream: int, payload: bytes, length: int | None = None) -> bytes:
    """One frame; `length` lies about its payload's."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size & 0xFFFFFF)[1:] + struct.pack(">BBI", kind & 0xFF, flags & 0xFF, stream) + payload


def spoilt(draw: Random, path: str, body: bytes) -> bytes:
    """What a client says that has gone wrong: nonsense, half a call, frames out of place, lengths that lie."""
    frames = conversation(path, body, draw.choice((1, 1, 1, 2, 3, 2**31 - 1)))
    match draw.randrange(7):
        case 0:
            return draw.randbytes(draw.choice((1, 9, 64, 4_096)))
        case 1:
            return b"".join(frames)[: draw.randrange(len(b"".join(frames)))]
        case 2:
            return b"".join(frames[:3]) + frame(_DATA, _END_STREAM, 1, _lying(draw, body))
        case 3:
            return PREFACE + b"".join(_any_frame(draw) for _ in range(draw.randrange(1, 20)))
        case 4:
            frames[draw.randrange(1, len(frames)) :] = [_any_frame(draw) for _ in range(5)]
            return b"".join(frames)
        case 5:
            draw.shuffle(frames)
            return b"".join(frames)
    whole = bytearray(b"".join(frames))
    for _ in range(draw.choice((1, 2, 8))):
        whole[draw.randrange(len(whole))] = draw.randrange(256)
    return bytes(whole)


def _lying(draw: Random, body: bytes) -> bytes:
    """A gRPC message whose prefix says something else than what follows, or that it is compressed."""
    said = draw.choice((0, 1, len(body) + 1, max(0, len(body) - 1), 2**31, 2**32 - 1))
    return bytes([draw.choice((0, 1, 2, 255))]) + struct.pack(">I", said) + body


def _any_frame(draw: Random) -> bytes:
    payload = draw.randbytes(draw.choice((0, 1, 4, 5, 8, 100)))
    length = None if draw.random() < 0.8 else draw.choice((0, 2**14, 2**14 + 1, 2**24 - 1))
    return frame(draw.randrange(12), draw.randrange(256), draw.choice((0, 1, 2, 3, 2**31 - 1)), payload, length)


def _literal(name: str, value: str) -> bytes:
    """A header as HPACK writes it without any table: both as plain text."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
