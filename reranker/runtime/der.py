"""When a certificate expires: the one field of X.509 that we need and that Python's `ssl` tells of strangers only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

_UTC_TIME = 0x17
_VERSION = 0xA0


def expiry(certificate: bytes) -> float:
    """`notAfter` of a certificate in DER (RFC 5280, 4.1), in seconds of the epoch. Raises `ValueError` otherwise.

    Certificate, TBSCertificate and Validity are sequences; the version, tag [0], may be left out.
    """
    try:
        (_, whole), *_ = _elements(certificate)
        (_, body), *_ = _elements(whole)
        fields = [content for tag, content in _elements(body) if tag != _VERSION]
        _serial, _algorithm, _issuer, validity, *_ = fields
        _, (tag, text) = _elements(validity)
        return _seconds(tag, text.decode("ascii"))
    except IndexError:
        raise ValueError("not a certificate") from None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, in order."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            digits = size & 0x7F
            size, at = int.from_bytes(data[at : at + digits]), at + digits
        if at + size > len(data):
            raise ValueError("not a certificate")
        yield tag, data[at : at + size]
        at += size


def _seconds(tag: int, text: str) -> float:
    """UTCTime has two digits for the year, 1950 to 2049; GeneralizedTime has four."""
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
