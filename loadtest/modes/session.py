"""Everything a mode needs, open at once and closed whatever happens: generator, server, and the echo of its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.generator.fleet import hired
from loadtest.modes.trial import Trial
from loadtest.servers.affinity import staying_on
from loadtest.servers.echo import running_echo
from loadtest.servers.service import answers_of, check_process, is_address, running
from loadtest.servers.target import Target
from loadtest.workload.bodies import Workload, build
from loadtest.workload.gathered import gathered
from loadtest.workload.scenario import Scenario


@dataclass(frozen=True)
class Session:
    """A generator and its targets: the servers in the order in which they were named, and the echo if there is one."""

    scenario: Scenario
    trial: Trial
    servers: tuple[Target, ...]
    echo: Target | None


@contextmanager
def opened(
    scenario: Scenario,
    servers: Sequence[str],
    *,
    flags: Sequence[str] = (),
    pid: int | None = None,
    echo: bool = True,
    cores: tuple[int, int] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Session]:
    """Start all of it. `servers` are what `service.running` takes; `flags` go to those that are started here.

    Every request is asked once before anything is measured, so a policy that a server does not know stops the test
    with a `LoadtestError`. `pid` is the process of a server that was found, so that its CPU can be reported too.
    With `cores` the servers stay on the first and the clients on the second.
    `say` is told how long each server took to start, which is no part of any figure.
    """
    if pid is not None:
        for what in servers:
            check_process(pid, what)
    workload = build(scenario)
    with ExitStack() as stack:
        policies, needed = stack.enter_context(gathered(scenario))
        targets = []
        for what in servers:
            target = stack.enter_context(_awaited(what, policies, (*needed, *flags), say, cores[0] if cores else None))
            targets.append(Target(target.name, target.address, target.pid or pid))
        answers = [answers_of(target, workload.bodies) for target in targets]
        floor = stack.enter_context(running_echo(workload.bodies, answers[0])) if echo else None
        fleet = stack.enter_context(hired(scenario.run.processes, workload.bodies, cores[1:] if cores else ()))
        yield Session(scenario, Trial(fleet, workload, scenario.arrivals, scenario.run), tuple(targets), floor)


@contextmanager
def _awaited(
    what: str, policies: Path, flags: Sequence[str], say: Callable[[str], None], core: int | None
) -> Iterator[Target]:
    """A server, and how long it took to start, which nobody should take for a part of the test."""
    began = time.monotonic()
    if not is_address(what):
        say("starting a server; the first start of a tree compiles its kernels, which takes a minute or more")
    with ExitStack() as stack:
        with staying_on(core):
            target = stack.enter_context(running(what, policies, flags))
        if target.pid is not None:
            say(f"{target.name}: ready after {time.monotonic() - began:.0f} s")
        yield target


@contextmanager
def echo_alone(scenario: Scenario, cores: Sequence[int]) -> Iterator[tuple[Trial, Target]]:
    """The generator and an echo with nothing else beside them; the real server is asked for its answers and stopped.

    With two `cores`, the clients stay on the first and the echo on the second.
    """
    workload = build(scenario)
    answers = _recorded(scenario, workload)
    client, server = (cores[:1], cores[1]) if len(cores) > 1 else ((), None)
    with running_echo(workload.bodies, answers, server) as echo, hired(1, workload.bodies, client) as fleet:
        yield Trial(fleet, workload, scenario.arrivals, scenario.run), echo


def _recorded(scenario: Scenario, workload: Workload) -> list[bytes]:
    with gathered(scenario) as (policies, flags), running(".", policies, flags) as server:
        return answers_of(server, workload.bodies)
