"""Several workers under a supervisor, as processes: they are killed, replaced and stopped while callers call."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reranker.v1 import reranker_service_pb2 as messages
from reranker.v1.reranker_service_pb2_grpc import RerankerServiceStub
from tests.e2e.load import LIST, SLOTS, Load, SteadyLoad
from tests.e2e.processes import Process, run
from tests.waiting import wait_for

# As `python server.py`, with short waits for a worker's next start: a test has no minute to spend.
IMPATIENT = (
    "-c",
    "import sys; from reranker.runtime import backoff; backoff.FIRST = backoff.MOST = 0.02; "
    "from reranker import cli; sys.exit(cli.main(['serve', *sys.argv[1:]]))",
)
POISONED = (
    "-c",
    "import signal, sys; from reranker import cli, engine; real = engine.rerank_traced\n"
    "def trap(candidates, policy, size, **rest):\n"
    "    if size == 3: signal.raise_signal(signal.SIGSEGV)\n"
    "    return real(candidates, policy, size, **rest)\n"
    "engine.rerank_traced = trap; sys.exit(cli.main(['serve', *sys.argv[1:]]))",
)


class Service(Process):
    """A supervisor with two workers."""

    def page(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> dict[str, float]:
        """A metric's sum by worker."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.page("/metrics")[1]):
            for sample in family.samples:
                if sample.name == name:
                    worker = sample.labels["worker"]
                    found[worker] = found.get(worker, 0.0) + sample.value
        return found

    def restarts(self) -> float:
        return sum(self.metric("reranker_worker_restarts_total").values())

    def workers(self) -> dict[int, int]:
        """The processes of the workers that serve, by number."""
        rows = re.findall(r"<tr><td>(\d+)</td><td>(\d+)</td><td>SERVING</td>", self.page("/statusz")[1])
        return {int(number): int(pid) for number, pid in rows}

    def admin_process(self) -> int:
        (pid,) = children_of(self.process.pid) - set(self.workers().values())
        return pid

    def all_serve(self) -> bool:
        return set(self.workers()) == {0, 1} and self.metric("reranker_worker_up") == {"0": 1.0, "1": 1.0}

    def kill_worker(self, number: int) -> None:
        """End a worker without warning, and wait until all serve again."""
        before = self.restarts()
        os.kill(self.workers()[number], signal.SIGKILL)
        wait_for(lambda: self.restarts() == before + 1)
        wait_for(self.all_serve)

    def refusal(self) -> str:
        """What the status page says of a reload that was refused; empty without one."""
        found = re.search(r"[0-9: -]+: refused; the log says why", self.page("/statusz")[1])
        return found[0] if found else ""

    def reload_in_vain(self) -> None:
        """Reload, and wait until that is refused."""
        before = self.refusal()
        wait_for(lambda: time.strftime("%H:%M:%S") not in before)  # else two notes would be the same
        self.send(signal.SIGHUP)
        wait_for(lambda: self.refusal() not in ("", before))

    def replace_workers(self) -> None:
        """Reload, and wait until none of those who serve now is left."""
        old = self.workers().values()
        self.send(signal.SIGHUP)

        def is_done() -> bool:
            page = self.page("/statusz")[1]
            return ": done" in page and not any(f"<td>{pid}</td>" in page for pid in old)

        wait_for(is_done)


def started(*flags: str, start: tuple[str, ...] = ("server.py",), **environment: str) -> Service:
    service = Service("--workers", "2", *flags, start=start, **environment)
    try:
        service.warm()
        wait_for(service.all_serve)
    except AssertionError:
        service.kill()
        raise
    return service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    running = started(start=IMPATIENT)
    yield running
    running.kill()


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_reload_that_is_asked_for_while_it_compiles_is_done_when_it_serves() -> None:
    running = Service("--workers", "2")
    try:
        running.send(signal.SIGHUP)  # kernels are read from the cache by now: a second in which nobody serves
        running.warm()
        wait_for(lambda: ": done" in running.page("/statusz")[1])
        running.send(signal.SIGTERM)
        assert running.end()[0] == 0
    finally:
        running.kill()


def test_workers_share_a_port_the_work_and_one_admin_port(service: Service) -> None:
    supervisor = service.process.pid
    assert len(os.listdir(f"/proc/{supervisor}/task")) == 1  # whatever it forks begins sound
    before = service.metric("grpc_server_handled_total")
    with Load(service.address, callers=16) as load:
        load.await_answers(300)
    assert (load.failed, load.wrong) == (0, 0)
    handled = service.metric("grpc_server_handled_total")
    shares = [handled[worker] - before.get(worker, 0.0) for worker in ("0", "1")]
    assert sum(shares) == load.answered
    assert min(shares) > 0
    assert service.page("/readyz") == (200, "SERVING\n")
    assert service.page("/healthz") == (200, "ok\n")
    assert "workers = 2  # --workers" in service.page("/configz")[1]
    assert set(service.metric("process_resident_memory_bytes")) == {"0", "1"}
    assert set(service.workers().values()) < children_of(supervisor)


def test_killed_workers_take_only_their_own_calls_along_and_come_back(service: Service) -> None:
    callers, kills = 8, 6
    before = service.metric("reranker_worker_restarts_total")
    with Load(service.address, callers=callers) as load:
        load.await_answers(50)
        for number in range(kills):
            service.kill_worker(number % 2)
            load.await_answers(50)
    assert load.wrong == 0
    assert set(load.codes) <= {"OK", "UNAVAILABLE"}
    # Beside what was in flight, a caller may send one more over a connection before it hears that it is dead.
    assert load.failed <= 2 * kills * callers
    after = service.metric("reranker_worker_restarts_total")
    assert {worker: after[worker] - before[worker] for worker in after} == {"0": 3.0, "1": 3.0}


def test_a_reload_replaces_every_worker_and_fails_no_request(service: Service) -> None:
    before, restarts = service.workers(), service.restarts()
    with Load(service.address) as load:
        load.await_answers(50)
        for _ in range(3):
            service.replace_workers()
        load.await_answers(50)
    assert (load.codes, load.wrong) == ({"OK": load.answered}, 0)
    assert not set(before.values()) & set(service.workers().values())
    assert service.restarts() == restarts


def test_reloads_under_steady_load_fail_no_request_of_our_client(service: Service) -> None:
    """Requests go out when they are due: some always meet a worker in the moment in which it closes."""
    with SteadyLoad(service.address, rate=300.0) as load:
        load.await_answers(50)
        for _ in range(10):
            service.replace_workers()
        load.await_answers(50)
    assert (load.codes, load.wrong) == ({"OK": load.answered}, 0)


def test_a_bad_reload_leaves_the_workers_alone_and_a_good_one_brings_what_is_new(tmp_path: Path) -> None:
    folder, file = tmp_path / "policies", tmp_path / "reranker.toml"
    folder.mkdir()
    file.write_text('workers = 2\npolicies = "policies"\n')
    running = Service("--config", str(file))

    def policy_used() -> str:
        with grpc.insecure_channel(running.address) as channel:
            request = messages.RerankRequest(candidates=LIST, slate_size=SLOTS, policy_name="fresh")
            return str(RerankerServiceStub(channel).Rerank(request, timeout=10).policy_name)

    try:
        running.warm()
        wait_for(running.all_serve)
        workers = running.workers()
        elsewhere = 'workers = 2\nstore = "redis://127.0.0.1:1"\n'
        for bad in ("workers = 3\n", "wrokers = 2\n", "workers = 2\nqueue = -1\n", elsewhere):
            file.write_text(bad)
            running.reload_in_vain()
            assert running.workers() == workers
        assert "worker_threads = 8" in running.page("/configz")[1]
        file.write_text('workers = 2\nworker_threads = 3\npolicies = "policies"\nprofile = "production"\n')
        (folder / "new.toml").write_text('name = "fresh"\n')
        running.replace_workers()
        assert policy_used() == "fresh"
        wait_for(lambda: f"worker_threads = 3  # {file}, line 2\n" in running.page("/configz")[1])
        assert "<td>production</td>" in running.page("/statusz")[1]
        # A worker that crashes while the folder is in disorder comes back with what was sound.
        (folder / "new.toml").write_text("nonsense\n")
        running.kill_worker(0)
        assert policy_used() == "fresh"
        running.send(signal.SIGTERM)
        code, errors = running.end()
        assert code == 0
        for said in (
            "workers: cannot change while",
            "store: cannot change",
            "did you mean workers?",
            "queue: must be",
            '"files refused"',
        ):
            assert said in errors
    finally:
        running.kill()


def test_sigterm_fails_no_request_and_ends_everybody() -> None:
    running = started("--drain-delay", "2")
    processes = children_of(running.process.pid)
    try:
        with Load(running.address) as load:
            load.await_answers(50)
            running.send(signal.SIGTERM)
            wait_for(lambda: running.page("/readyz") == (503, "DRAINING\n"))
            load.stop()  # as a balancer does that has noticed
        code, errors = running.end()
        assert code == 0
        assert (load.codes, load.wrong) == ({"OK": load.answered}, 0)
        assert errors.count('"event": "stopped"') == 3
        assert "Traceback" not in errors
        assert not any(map(is_alive, processes))
    finally:
        running.kill()


def code_of_poison(address: str) -> grpc.StatusCode:
    with grpc.insecure_channel(address) as channel:
        request = messages.RerankRequest(candidates=LIST, slate_size=3)
        call = RerankerServiceStub(channel).Rerank.future(request, timeout=20, wait_for_ready=True)
        code = call.code()
        assert isinstance(code, grpc.StatusCode)
        return code


def test_poison_costs_a_worker_and_not_the_service() -> None:
    running = started(start=POISONED, OPENBLAS_NUM_THREADS="1")
    try:
        with Load(running.address) as load:
            for _ in range(3):
                assert code_of_poison(running.address) == grpc.StatusCode.UNAVAILABLE
                load.await_answers(50)
        assert load.wrong == 0
        wait_for(lambda: running.restarts() == 3)
        wait_for(running.all_serve)
        running.send(signal.SIGTERM)
        code, errors = running.end()
        assert (code, errors.count('"ending": "SIGSEGV"')) == (0, 3)
    finally:
        running.kill()


def test_nothing_grows_when_processes_come_and_go(service: Service) -> None:
    def sizes() -> tuple[int, int, int]:
        supervisor, admin = open_files(service.process.pid), open_files(service.admin_process())
        return supervisor, admin, len(service.page("/metrics")[1].splitlines())

    service.kill_worker(0)
    before = sizes()
    for _ in range(int(os.environ.get("RESTARTS", "10"))):
        service.kill_worker(0)
    wait_for(lambda: sizes() == before)
    # The admin process is replaced as well, and finds the workers.
    admin = service.admin_process()
    os.kill(admin, signal.SIGKILL)
    wait_for(lambda: len(children_of(service.process.pid) - {admin}) == 3)
    wait_for(service.all_serve)


def test_nobody_is_left_when_the_supervisor_is_killed() -> None:
    running = started()
    processes = children_of(running.process.pid)
    assert len(processes) == 3
    running.kill()
    wait_for(lambda: not any(map(is_alive, processes)))


def test_a_port_for_each_worker() -> None:
    running = started("--port-per-worker")
    try:
        assert len(set(running.addresses)) == 2
        with Load(*running.addresses) as load:
            load.await_answers(100)
        assert (load.failed, load.wrong) == (0, 0)
        assert min(running.metric("grpc_server_handled_total").values()) > 0
        taken = run("server.py", "--workers", "2", "--listen", running.address, "--admin", "off")
        assert taken.returncode == 2
        assert taken.stderr == f"reranker: gRPC cannot listen on {running.address}: Address already in use\n"
    finally:
        running.kill()


def test_a_certificate_is_swapped_and_tokens_turn_over_under_load(tmp_path: Path) -> None:
    pems = Path(__file__).parents[1] / "integration" / "certificates"
    certificate, key, tokens = tmp_path / "current.pem", tmp_path / "current.key", tmp_path / "tokens.toml"

    def place(name: str) -> None:
        shutil.copy(pems / f"{name}.pem", certificate)
        shutil.copy(pems / f"{name}.key", key)

    def admit(*secrets: str) -> None:
        block = '[[tokens]]\nsha256 = "{}"\ntenant = "search"\npermissions = ["rerank"]\n'
        tokens.write_text("".join(block.format(sha256(secret.encode()).hexdigest()) for secret in secrets))

    def loads(kind: str) -> int:
        text = running.page("/metrics")[1]
        return len(re.findall(rf'reranker_security_loads_total{{kind="{kind}",result="loaded",worker="."}} 1', text))

    def name_shown() -> str:
        host, _, port = running.address.rpartition(":")
        shown = ssl.get_server_certificate((host, int(port)))
        return "renewed" if shown.strip() == (pems / "renewed.pem").read_text().strip() else "server"

    place("server")
    admit("old")
    files = ("--tls-certificate", str(certificate), "--tls-key", str(key), "--token-file", str(tokens))
    running = started(*files)
    try:
        assert name_shown() == "server"
        with Load(running.address, authority=pems / "authority.pem", token="old") as load:
            load.await_answers(50)
            place("renewed")
            admit("old", "new")
            wait_for(lambda: loads("certificate") == loads("tokens") == 2)  # both workers
            assert name_shown() == "renewed"
            with Load(running.address, authority=pems / "authority.pem", token="new") as fresh:
                fresh.await_answers(50)
            running.replace_workers()
            load.await_answers(50)
        assert (load.codes, fresh.codes) == ({"OK": load.answered}, {"OK": fresh.answered})
        assert load.wrong == fresh.wrong == 0
        with Load(running.address, authority=pems / "authority.pem", callers=1) as nobody:
            wait_for(lambda: nobody.codes)
        assert set(nobody.codes) == {"UNAUTHENTICATED"}
    finally:
        running.kill()


def test_a_start_that_cannot_succeed_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[objective]\ndiversity = 3\n")
    done = run("server.py", "--workers", "2", "--policies", str(tmp_path), "--listen", "127.0.0.1:0", "--admin", "off")
    assert done.returncode == 2
    assert "objective.diversity" in done.stderr
    assert done.stdout == ""
    with_threads = "import numpy, sys; from reranker import cli; sys.exit(cli.main(['serve', *sys.argv[1:]]))"
    flags = ("--workers", "2", "--listen", "127.0.0.1:0", "--admin", "off")
    done = run("-c", with_threads, *flags, OPENBLAS_NUM_THREADS="2")
    assert done.returncode == 2
    assert "cannot fork safely" in done.stderr
    assert "OPENBLAS_NUM_THREADS=1" in done.stderr
