from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from reranker.errors import InvalidInput
from reranker.runtime.configuration import Configuration, add_flags, resolve
from reranker.runtime.settings import Settings, cores

ROOT = Path(__file__).resolve().parents[3]


def configured(*arguments: str, **environment: str) -> Configuration:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return resolve(vars(parser.parse_args(arguments)), environment)


def parse(*arguments: str, **environment: str) -> Settings:
    return configured(*arguments, **environment).settings


def test_defaults() -> None:
    assert parse() == Settings()
    assert Settings().listen == "127.0.0.1:50051"
    assert Settings().admin == "127.0.0.1:9090"


def test_a_flag_wins_over_its_variable_and_that_over_the_default(tmp_path: Path) -> None:
    assert parse(RERANKER_WORKER_THREADS="3").worker_threads == 3
    assert parse("--worker-threads", "5", RERANKER_WORKER_THREADS="3").worker_threads == 5
    assert parse(RERANKER_POLICIES=str(tmp_path)).policies == tmp_path
    assert parse("--catalog", str(tmp_path)).catalog == parse(RERANKER_CATALOG=str(tmp_path)).catalog == tmp_path
    (key_file := tmp_path / "keys").write_text("never read here")
    assert parse(RERANKER_CURSOR_KEY_FILE=str(key_file)).cursor_key_file == key_file
    assert parse("--cursor-key-file", "", RERANKER_CURSOR_KEY_FILE=str(key_file)).cursor_key_file is None


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as raised:
        parse(
            "--listen",
            "nowhere",
            "--grace",
            "-1",
            "--policies",
            "/does/not/exist",
            "--cursor-key-file",
            "/does/not/exist/either",
            RERANKER_WORKER_THREADS="many",
            RERANKER_REFLECTION="perhaps",
            RERANKER_ADMIN="host:99999",
            RERANKER_LOG_LEVEL="loud",
            RERANKER_WORKER="4",
        )
    assert {violation.path for violation in raised.value.violations} == {
        "RERANKER_WORKER",
        "--listen",
        "RERANKER_ADMIN",
        "--policies",
        "--cursor-key-file",
        "RERANKER_REFLECTION",
        "RERANKER_WORKER_THREADS",
        "--grace",
        "RERANKER_LOG_LEVEL",
    }


def test_foreign_variables_are_left_alone() -> None:
    assert parse(PATH="/bin", RERANKER_CACHE_DIR="/tmp/x") == Settings()


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        ("127.0.0.1:0", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("h:1", False),
    ],
)
def test_loopback_decides_reflection_and_the_drain_delay(listen: str, loopback: bool) -> None:
    settings = parse("--listen", listen, "--insecure")
    assert settings.reflects is loopback
    assert settings.seconds_to_drain == (0.0 if loopback else 5.0)
    assert parse("--listen", listen, "--insecure", "--reflection").reflects
    assert not parse("--listen", listen, "--insecure", RERANKER_REFLECTION="off").reflects
    assert parse("--listen", listen, "--insecure", "--drain-delay", "2").seconds_to_drain == 2.0


def test_an_address_of_ipv6_is_in_brackets() -> None:
    # gRPC takes ::1:50051 for the address ::1:50051 and port 443.
    with pytest.raises(InvalidInput, match="in brackets"):
        parse("--listen", "::1:50051")
    with pytest.raises(InvalidInput, match="in brackets"):
        parse("--admin", "::1:9090")


def test_every_worker_that_has_a_port_of_its_own_needs_one_that_there_is() -> None:
    assert parse("--listen", "127.0.0.1:65534", "--port-per-worker", "--workers", "2").workers == 2
    with pytest.raises(InvalidInput, match="--listen: leaves too few ports"):
        parse("--listen", "127.0.0.1:65534", "--port-per-worker", "--workers", "3")
    assert parse("--listen", "127.0.0.1:0", "--port-per-worker", "--workers", "256").workers == 256
    assert parse("--listen", "127.0.0.1:65535", "--workers", "3").workers == 3


@pytest.mark.parametrize("name", ["TOKEN_FILE", "TLS_CLIENT_CA"])
def test_no_text_does_not_let_everybody_in(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"RERANKER_{name}: must be a file that exists; to do without"):
        parse(**{f"RERANKER_{name}": ""})


def test_the_queue_grows_with_the_workers_unless_it_is_set() -> None:
    assert parse().queue_length == 512
    assert parse("--worker-threads", "2").queue_length == 128
    assert parse("--queue", "0", RERANKER_QUEUE="7").queue_length == 0


def test_cores_are_shared_out_among_workers_unless_it_is_said_how_many_requests_are_worked_on() -> None:
    alone = parse().computes_at_once
    assert alone == cores()
    assert parse("--workers", "2").computes_at_once == max(1, alone // 2)
    assert parse("--workers", "200").computes_at_once == 1
    assert parse("--workers", "2", "--at-once", "3").computes_at_once == 3


def test_the_admin_port_can_be_off() -> None:
    assert parse("--admin", "off").admin == ""


def test_a_variable_wins_over_the_file_and_each_value_knows_its_source(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    file = tmp_path / "reranker.toml"
    file.write_text('# settings\nworker_threads = 3\nqueue = 9\ngrace = 1.5\n\npolicies = "rules"\nreflection = true\n')
    found = configured("--config", str(file), "--worker-threads", "5", RERANKER_QUEUE="7")
    settings = found.settings
    assert (settings.worker_threads, settings.queue, settings.grace, settings.reflection) == (5, 7, 1.5, True)
    assert settings.policies == tmp_path / "rules"  # relative to the file, wherever the server is started
    sources = {name: source for name, source in found.sources.items() if source != "default"}
    assert sources == {
        "worker_threads": "--worker-threads",
        "queue": "RERANKER_QUEUE",
        "grace": f"{file}, line 4",
        "policies": f"{file}, line 6",
        "reflection": f"{file}, line 7",
    }
    assert configured(RERANKER_CONFIG=str(file)).settings.queue == 9


def test_every_mistake_of_the_file_is_named_with_its_line_beside_those_of_flags(tmp_path: Path) -> None:
    file = tmp_path / "reranker.toml"
    file.write_text('wroker_threads = 3\ngrace = "soon"\nqueue = [1]\n[limits]\nmax_candidates = 5\n')
    with pytest.raises(InvalidInput) as raised:
        parse("--config", str(file), "--streams", "0")
    said = str(raised.value)
    for expected in (
        f"{file}, line 1: wroker_threads: no such setting; did you mean worker_threads?",
        f"{file}, line 2: grace: must be seconds from 0 to 3600",
        f"{file}, line 3: queue: must be text in quotes, a number, true or false",
        f"{file}, line 4: limits: no such setting",
        "--streams: must be a whole number from 1 to 1024",
    ):
        assert expected in said
    assert len(raised.value.violations) == 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"listen = \n", r"line 1: config: is not TOML"),
        (b"grace = 1\ngrace = 2\n", r"line 2: config: is not TOML: Cannot overwrite a value"),
        (b"listen = '\xff'\n", r"config: is not UTF-8"),
        (b"#" * 70_000, r"config: must be at most 65536 bytes"),
        (None, r"--config: .* cannot be read: No such file"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "reranker.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        parse("--config", str(file))


def test_production_has_no_reflection_and_takes_no_inline_policies() -> None:
    settings = parse("--profile", "production")
    assert settings.production
    assert not settings.reflects
    with pytest.raises(InvalidInput, match=r'RERANKER_REFLECTION: must be false where profile = "production"'):
        parse("--profile", "production", RERANKER_REFLECTION="true")
    with pytest.raises(InvalidInput) as raised:  # what does not go together is not asked of what cannot be read
        parse("--profile", "prod", "--reflection")
    assert [violation.path for violation in raised.value.violations] == ["--profile"]


def test_the_reference_is_what_the_settings_say() -> None:
    run = subprocess.run([sys.executable, ROOT / "tools" / "settings.py", "--check"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_other_machines_are_answered_over_tls_unless_the_operator_insists(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_text("never read here")
    with pytest.raises(InvalidInput, match=r"--listen: other machines can reach it: it needs tls_certificate"):
        parse("--listen", "0.0.0.0:1")
    assert parse("--listen", "0.0.0.0:1", "--insecure").insecure
    assert parse("--listen", "0.0.0.0:1", "--tls-certificate", str(pem), "--tls-key", str(pem)).tls_key == pem
    with pytest.raises(InvalidInput) as raised:
        parse("--tls-certificate", str(pem), RERANKER_TLS_CLIENT_CA=str(pem))
    assert [violation.path for violation in raised.value.violations] == ["--tls-certificate"]
    with pytest.raises(InvalidInput, match=r"RERANKER_TLS_CLIENT_CA: goes with tls_certificate"):
        parse(RERANKER_TLS_CLIENT_CA=str(pem))
