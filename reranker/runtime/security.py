"""Certificate and tokens while the server runs: a thread looks whether their files changed, and takes them over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from reranker.errors import FileViolation, InvalidInput, Violation
from reranker.observability.logs import log
from reranker.observability.security import SecurityMetrics
from reranker.runtime.settings import Settings
from reranker.runtime.tls import Certificate, Certificates
from reranker.service.doors import Doors
from reranker.service.tokens import MOST_BYTES, Tokens

_SECONDS = 1.0  # between two looks


def read_tokens(settings: Settings) -> Tokens | None:
    """The tokens of the settings; None when they name none. Raises `InvalidInput`."""
    if settings.token_file is None:
        return None
    tokens = Tokens.read(_content(settings.token_file), str(settings.token_file))
    if tokens.certificates and settings.tls_client_ca is None:
        reason = "no client shows its certificate without tls_client_ca, the authorities that vouch for them"
        raise InvalidInput([FileViolation("certificates", reason, 0, str(settings.token_file))])
    return tokens


class SecurityWatch:
    """Keeps what connections and callers meet current, from `start` to `close`.

    A change is taken over when two looks in a row have found the same, so that a certificate never meets the key of
    another. One that is wrong is refused, and logged once; what was good serves on.
    """

    def __init__(
        self,
        settings: Settings,
        doors: Doors,
        certificates: Certificates | None,
        metrics: SecurityMetrics,
        seconds: float = _SECONDS,
    ) -> None:
        self._seconds = seconds
        self._files: list[_Files] = []

        def take_certificate() -> None:
            fresh = Certificate.read(settings)
            if fresh is not None and certificates is not None:
                certificates.current = fresh
                metrics.serves(fresh.expires)

        def take_tokens() -> None:
            doors.replace(read_tokens(settings))

        if certificates is not None:
            metrics.serves(certificates.current.expires)
            paths = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
            self._files.append(_Files("certificate", paths, take_certificate, metrics))
        if settings.token_file is not None:
            self._files.append(_Files("tokens", (settings.token_file,), take_tokens, metrics))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="security", daemon=True)

    def start(self) -> None:
        """Begin to look, if there is anything to look at."""
        if self._files:
            self._thread.start()

    def close(self) -> None:
        """Look no more; returns at once."""
        self._end.set()

    def look(self) -> None:
        """Take over what has changed."""
        for files in self._files:
            files.look()

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self.look()
            except Exception as error:  # whatever it is, the next look may be better
                log(logging.ERROR, "looking at certificates and tokens failed", error)


class _Files:
    """Files that belong together, and what to do when they have changed."""

    def __init__(
        self, kind: str, paths: tuple[Path | None, ...], take: Callable[[], None], metrics: SecurityMetrics
    ) -> None:
        self._kind, self._take, self._metrics = kind, take, metrics
        self._paths = [path for path in paths if path is not None]
        self._seen = self._decided = self._fingerprint()

    def look(self) -> None:
        fingerprint = self._fingerprint()
        settled, self._seen = fingerprint == self._seen, fingerprint
        if not settled or fingerprint == self._decided:
            return
        self._decided = fingerprint
        try:
            self._take()
        except InvalidInput as error:
            self._metrics.loaded(self._kind, "refused")
            log(logging.ERROR, f"{self._kind} refused", problem=str(error), serving="what was read before")
        else:
            self._metrics.loaded(self._kind, "loaded")
            log(logging.INFO, f"{self._kind} replaced")

    def _fingerprint(self) -> bytes:
        digest = blake2b(digest_size=16)
        for path in self._paths:
            try:
                data = _content(path)
            except InvalidInput:
                data = b""
            digest.update(b"%d:" % len(data) + data)
        return digest.digest()


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput([Violation("token_file", f"{path} cannot be read: {error.strerror}")]) from None
