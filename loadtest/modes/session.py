"""Everything a mode needs, open at once and closed whatever happens: generator, server, and the echo of its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from loadtest.generator.fleet import hired
from loadtest.modes.trial import Trial
from loadtest.servers.echo import running_echo
from loadtest.servers.service import answers_of, running
from loadtest.servers.target import Target
from loadtest.workload.bodies import Workload, build
from loadtest.workload.policies import gathered
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
    scenario: Scenario, servers: Sequence[str], *, flags: Sequence[str] = (), pid: int | None = None, echo: bool = True
) -> Iterator[Session]:
    """Start all of it. `servers` are what `service.running` takes; `flags` go to those that are started here.

    Every request is asked once before anything is measured, so a policy that a server does not know stops the test
    with a `LoadtestError`. `pid` is the process of a server that was found, so that its CPU can be reported too.
    """
    workload = build(scenario)
    with ExitStack() as stack:
        policies = stack.enter_context(gathered(scenario.policies))
        targets = []
        for what in servers:
            target = stack.enter_context(running(what, policies, flags))
            targets.append(Target(target.name, target.address, target.pid or pid))
        answers = [answers_of(target, workload.bodies) for target in targets]
        floor = stack.enter_context(running_echo(workload.bodies, answers[0])) if echo else None
        fleet = stack.enter_context(hired(scenario.run.processes, workload.bodies))
        yield Session(scenario, Trial(fleet, workload, scenario.arrivals, scenario.run), tuple(targets), floor)


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
    with gathered(scenario.policies) as policies, running(".", policies) as server:
        return answers_of(server, workload.bodies)
