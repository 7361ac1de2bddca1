"""The scripts behind `make setup` and `make proto`."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

from tools import environment, stubs


def test_an_old_python_gets_advice_instead_of_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/python3.12" if name == "python3.12" else None)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer.*make PYTHON=python3\.12"):
        environment.check_python()


def test_without_a_newer_python_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match=r"install Python 3\.11 or newer"):
        environment.check_python()


def test_progress_is_one_line_where_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    progress = environment.Progress(2, ".venv")
    progress.saw("Collecting numpy==2.4.6\n")
    progress.saw("Installing collected packages: numpy\n")
    progress.finish()
    assert out.getvalue() == ".venv: installing 2 packages, a minute or so …\n"


def test_stub_differences_name_changed_missing_and_left_over_files(tmp_path: Path) -> None:
    fresh, committed = tmp_path / "fresh", tmp_path / "committed"
    for folder in (fresh, committed):
        folder.mkdir()
        (folder / "same_pb2.py").write_text("a")
        (folder / "changed_pb2.pyi").write_text(folder.name)
        (folder / "__init__.py").write_text(folder.name)
    (fresh / "missing_pb2.py").write_text("a")
    (committed / "left_over_pb2_grpc.py").write_text("a")
    assert stubs.differences(fresh, committed) == ["changed_pb2.pyi", "left_over_pb2_grpc.py", "missing_pb2.py"]
