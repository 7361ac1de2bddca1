"""The project's own promises: commands, pins, links, licences, and examples in the texts that really run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from reranker.policy import Policy

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "data" / "README.md"]
TEXTS += sorted((ROOT / "docs").rglob("*.md"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def targets() -> set[str]:
    shown = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^ +make ([a-z-]+) ", shown, re.MULTILINE))


def test_make_alone_lists_the_pinned_targets() -> None:
    assert {"setup", "demo", "test", "serve", "bench", "loadtest", "lint"} <= targets()


def test_every_make_command_in_the_texts_exists() -> None:
    mentioned = {
        command
        for text in TEXTS
        for command in re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", text.read_text(), re.MULTILINE)
    }
    assert mentioned <= targets()


def test_ci_is_lint_and_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail\n" in script.read_text()
    assert script.read_text().endswith("make lint\nmake test\n")


def pins(name: str) -> list[Requirement]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", ["dev.txt", "proto.txt"])
def test_pins_name_no_machine_and_no_index(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    assert not re.search(r"https?:|file:|--|@|^/", text, re.MULTILINE)
    assert all(str(pin.specifier).startswith("==") for pin in pins(name))


def test_every_dependency_is_pinned_within_its_range() -> None:
    pinned = {canonicalize_name(pin.name): pin for pin in pins("dev.txt")}
    extras = project()["project"]["optional-dependencies"]
    optional = [*extras["loadtest"], *extras["parquet"], *extras["report"]]
    for dependency in map(Requirement, [*project()["project"]["dependencies"], *optional]):
        version = next(iter(pinned[canonicalize_name(dependency.name)].specifier)).version
        assert dependency.specifier.contains(version), dependency


def test_the_stub_toolchain_is_no_newer_than_the_oldest_runtime() -> None:
    tools = next(pin for pin in pins("proto.txt") if pin.name == "grpcio-tools")
    oldest = next(Requirement(text) for text in project()["project"]["dependencies"] if text.startswith("grpcio>="))
    floor = next(part.version for part in oldest.specifier if part.operator == ">=")
    assert Version(next(iter(tools.specifier)).version).release[:2] == Version(floor).release


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(text: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text.read_text())
    missing = [link for link in targets if "://" not in link and not (text.parent / link).exists()]
    assert missing == []


def blocks(text: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text.read_text(), re.MULTILINE | re.DOTALL)


def test_python_in_the_readme_runs() -> None:
    code = blocks(ROOT / "README.md", "python")[0]  # the second block needs a server: tests/e2e/test_demo.py
    assert len(code.splitlines()) <= 30
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("number", range(len(blocks(ROOT / "README.md", "toml"))))
def test_policies_in_the_readme_parse(number: int) -> None:
    assert Policy.from_toml(blocks(ROOT / "README.md", "toml")[number]).revision


def test_each_data_set_has_its_licence_and_all_of_them_are_small() -> None:
    folders = [path for path in (ROOT / "examples" / "data").iterdir() if (path / "catalog.npz").exists()]
    assert {folder.name for folder in folders} == {"shades", "occupations", "books"}
    assert all((folder / "LICENSE").stat().st_size > 500 for folder in folders)
    assert sum(path.stat().st_size for folder in folders for path in folder.iterdir()) < 8_000_000


def test_the_arrival_times_have_their_licence_and_are_small() -> None:
    folder = ROOT / "examples" / "data" / "arrivals"
    assert "Creative Commons Attribution 4.0" in (folder / "LICENSE").read_text()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 60_000


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_holds_two_sides_of_a_merge(text: Path) -> None:
    assert not re.findall(r"^(?:<{7}|={7}$|>{7})", text.read_text(), re.MULTILINE)


def test_each_decision_has_a_number_of_its_own() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [path.name[:4] for path in records] == [f"{number:04}" for number in range(1, len(records) + 1)]
    assert [path.read_text().split(".")[0] for path in records] == [f"# {int(path.name[:4])}" for path in records]


def test_no_file_is_longer_than_400_lines() -> None:
    own = [
        path
        for room in ("reranker", "examples", "fuzz", "loadtest", "tools", "tests", "benchmarks")
        for path in (ROOT / room).rglob("*.py")
        if not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))
    ]
    assert [path for path in own if len(path.read_text().splitlines()) > 400] == []


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("diversity_reranker-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"reranker"}
    assert {"reranker/py.typed", "reranker/cli/__init__.py", "reranker/v1/policy_pb2.pyi"} <= set(names)
    scripts = next(name for name in names if name.endswith("entry_points.txt"))
    assert "reranker = reranker.cli:main" in zipfile.ZipFile(wheel).read(scripts).decode()
