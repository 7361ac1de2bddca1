from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from reranker.errors import InvalidInput
from reranker.runtime.settings import Settings, add_flags, resolve


def parse(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return resolve(vars(parser.parse_args(arguments)), environment)


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
            RERANKER_WORKERS="4",
        )
    assert {violation.path for violation in raised.value.violations} == {
        "RERANKER_WORKERS",
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
    settings = parse("--listen", listen)
    assert settings.reflects is loopback
    assert settings.seconds_to_drain == (0.0 if loopback else 5.0)
    assert parse("--listen", listen, "--reflection").reflects
    assert not parse("--listen", listen, RERANKER_REFLECTION="off").reflects
    assert parse("--listen", listen, "--drain-delay", "2").seconds_to_drain == 2.0


def test_the_queue_grows_with_the_workers_unless_it_is_set() -> None:
    assert parse().queue_length == 512
    assert parse("--worker-threads", "2").queue_length == 128
    assert parse("--queue", "0", RERANKER_QUEUE="7").queue_length == 0


def test_the_admin_port_can_be_off() -> None:
    assert parse("--admin", "off").admin == ""
