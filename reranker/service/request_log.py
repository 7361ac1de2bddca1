"""The request log of a server: a sample of what was asked and answered, on disk, for replays."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence

from reranker.observability.logs import log
from reranker.observability.request_log import RequestLogMetrics
from reranker.requestlog.rotation import RotatingLog
from reranker.requestlog.veil import Veil
from reranker.service.after import Answered


class RequestLogger:
    """Writes `sample` of the answers, chosen by chance before anything of them is copied.

    A disk that is full, or a folder that cannot be written to, costs records and nothing else: they are counted, one
    line says so, and another one when records can be written again.
    """

    name = "request_log"

    def __init__(
        self,
        folder: RotatingLog,
        veil: Veil,
        metrics: RequestLogMetrics,
        sample: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._folder, self._veil, self._metrics = folder, veil, metrics
        self._sample, self._chance = sample, chance
        self._is_failing = self._is_tidy = False

    def wants(self, answered: Answered) -> bool:
        """Whether it is of the sample. Later pages are not: no replay could open the cursor that they go on from."""
        return self._chance() < self._sample and not answered.context.cursor

    def take(self, batch: Sequence[Answered]) -> None:
        """Write them; what cannot be written is lost and counted."""
        records = [self._veil.record(answered.time, answered.request, answered.response) for answered in batch]
        try:
            if not self._is_tidy:
                self._folder.tidy()
                self._is_tidy = True
            written = self._folder.append(records)
        except OSError as error:
            self._metrics.lost(len(records))
            self._fails(error)
            return
        self._metrics.written(len(records), written)
        if self._is_failing:
            log(logging.INFO, "request log is written again")
        self._is_failing = False

    def rest(self) -> None:
        """End a file that is old enough, and delete those that are too old."""
        try:
            self._folder.keep_up()
        except OSError as error:
            self._fails(error)

    def close(self) -> None:
        """End the file that is being written."""
        try:
            self._folder.rotate()
        except OSError as error:
            log(logging.ERROR, "request log cannot be written", problem=error.strerror or type(error).__name__)

    def _fails(self, error: OSError) -> None:
        if not self._is_failing:
            log(logging.ERROR, "request log cannot be written", problem=error.strerror or type(error).__name__)
        self._is_failing = True
