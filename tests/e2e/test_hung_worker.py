"""A worker that neither works nor ends, under a supervisor that notices."""

from __future__ import annotations

import os
import signal

from tests.e2e.load import Load
from tests.e2e.test_workers import IMPATIENT, started
from tests.waiting import wait_for

HASTY = (IMPATIENT[0], f"from reranker.runtime import supervisor; supervisor.MOST_SILENCE = 5; {IMPATIENT[1]}")


def test_a_worker_that_hangs_is_killed_and_started_anew() -> None:
    running = started(start=HASTY, OPENBLAS_NUM_THREADS="1")
    try:
        hung = running.workers()[0]
        os.kill(hung, signal.SIGSTOP)
        wait_for(lambda: running.workers().get(0, hung) != hung)
        wait_for(running.all_serve)
        with Load(running.address) as load:
            load.await_answers(50)
        assert (load.failed, load.wrong) == (0, 0)
        running.send(signal.SIGTERM)
        code, errors = running.end()
        assert (code, "it gave no sign of life" in errors) == (0, True)
    finally:
        running.kill()
