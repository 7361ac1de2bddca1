"""A server process and `reranker policy` as processes of their own, with a real Valkey between them."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from loadtest.servers.valkey import running_valkey
from reranker.client import Client, from_columns, request_context
from reranker.v1 import reranker_service_pb2 as messages
from tests.e2e.processes import Process, run
from tests.waiting import wait_for

CANDIDATES = from_columns([f"i{i}" for i in range(20)], [float(20 - i) for i in range(20)])


def test_from_a_file_to_every_answer_and_back(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (tmp_path / "routes.toml").write_text('[[routes]]\nwhen = { surface = ["search"] }\narms = { default = 1 }\n')
    with running_valkey() as valkey:
        password = tmp_path / "password"
        password.write_text(valkey.password)
        environment = {
            "RERANKER_STORE": f"redis://127.0.0.1:{valkey.port}",
            "RERANKER_STORE_PASSWORD_FILE": str(password),
            "RERANKER_PROFILE": "production",
        }
        server = Process("--policies", str(folder), **environment)
        try:
            server.warm()

            def policy(*arguments: str) -> str:
                done = run("-m", "reranker.cli", "policy", *arguments, **environment)
                assert done.returncode == 0, done.stderr
                return done.stdout

            def line_of(name: str) -> str:
                with urllib.request.urlopen(f"http://{server.admin}/metrics", timeout=20) as page:
                    return next((line for line in page.read().decode().splitlines() if line.startswith(name)), "")

            with Client(server.address, deadline=20, on_error="raise") as client:

                def answer(surface: str) -> messages.RerankResponse:
                    slate = client.rerank(CANDIDATES, 5, context=request_context(surface=surface))
                    assert slate.response is not None
                    return slate.response

                assert (answer("search").arm, answer("home").policy_name) == ("", "default")
                assert "publication 1;" in policy("publish", str(tmp_path / "routes.toml"), "--by", "alice")
                policy("approve", "1", "--by", "bob")
                wait_for(lambda: answer("search").arm == "default")
                assert answer("home").policy_name == "upstream"
                assert line_of("reranker_policy_register_line") == "reranker_policy_register_line 2.0"
                policy("rollback", "routes.toml", "--by", "bob")
                wait_for(lambda: answer("home").policy_name == "default")
                (folder / "default.toml").write_text("[objective]\ndiversity = 0.1\n")
                wait_for(lambda: line_of("reranker_policy_reloads_total").endswith(" 3.0"))
            assert password.read_text() not in policy("history")
            server.process.terminate()
            assert server.end()[0] == 0
        finally:
            server.kill()
