"""A supervisor that may not fork for a while, or is busy when a worker ends: it goes on, and tries again."""

from __future__ import annotations

import os
import signal
import time

from tests.e2e.load import Load
from tests.e2e.test_workers import started
from tests.waiting import wait_for

# As `python server.py`. The system has no room for the fourth and the sixth process: a crashed worker's next one, and
# a first successor.
CRAMPED = (
    "-c",
    "import errno, itertools, os, sys; real, count = os.fork, itertools.count(1)\n"
    "def fork():\n"
    "    if next(count) in (4, 6): raise OSError(errno.EAGAIN, 'Resource temporarily unavailable')\n"
    "    return real()\n"
    "os.fork = fork; from reranker import cli; sys.exit(cli.main(['serve', *sys.argv[1:]]))",
)
# Reloads are refused after a while, and leave a thread behind that lives for another while.
DISTRACTED = (
    "-c",
    "import sys, threading, time\n"
    "from reranker.errors import RerankerError; from reranker.runtime.rolling import Rolling\n"
    "def read(_):\n"
    "    time.sleep(0.5); threading.Thread(target=time.sleep, args=(0.5,)).start(); raise RerankerError('no')\n"
    "Rolling._fresh_generation = read; from reranker import cli; sys.exit(cli.main(['serve', *sys.argv[1:]]))",
)


def test_a_system_without_room_for_a_process_is_tried_again() -> None:
    running = started(start=CRAMPED)
    try:
        os.kill(running.workers()[0], signal.SIGKILL)
        wait_for(lambda: running.metric("reranker_worker_restarts_total") == {"0": 2.0, "1": 0.0})
        wait_for(running.all_serve)
        workers = running.workers()
        running.send(signal.SIGHUP)
        wait_for(lambda: "failed after 0 of 2 workers" in running.page("/statusz")[1])
        assert running.workers() == workers
        running.replace_workers()
        running.send(signal.SIGTERM)
        code, errors = running.end()
        assert code == 0
        assert "no worker started" in errors
        assert "reload failed" in errors
        assert errors.count("there is no room for another process: Resource temporarily unavailable") == 2
    finally:
        running.kill()


def test_a_worker_that_ends_while_the_supervisor_is_busy_or_may_not_fork_costs_nothing_else() -> None:
    running = started(start=DISTRACTED, OPENBLAS_NUM_THREADS="1")
    try:
        with Load(running.address) as load:
            # While one signal is seen to, the next one and the end of a worker wait, in this order.
            running.send(signal.SIGHUP)
            time.sleep(0.1)
            os.kill(running.workers()[0], signal.SIGKILL)
            wait_for(lambda: running.restarts() >= 2)  # the end, and a start that was refused
            wait_for(running.all_serve)
            load.await_answers(50)
        assert load.wrong == 0
        running.send(signal.SIGTERM)
        code, errors = running.end()
        assert (code, "threads cannot fork safely" in errors) == (0, True), errors
    finally:
        running.kill()
