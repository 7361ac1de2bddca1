"""Compilation: once, before the first request, cached by everything that it depends on, and for one signature only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import config, event

import reranker
from reranker.candidates import Candidates
from reranker.engine import rerank, warm_up
from reranker.kernels import ahead, jit
from reranker.kernels.door import measure_rows
from reranker.kernels.rows import unit_rows
from reranker.policy import Policy
from reranker.strategies import STRATEGIES

PACKAGE = Path(reranker.__file__).parent
_CONFIG: Any = config  # its settings are made at run time, so no type checker can know them
njit: Any = numba.njit  # which has no types
needs_compiler = pytest.mark.skipif(bool(_CONFIG.DISABLE_JIT), reason="kernels run as plain Python")

FIRST_GAIN = """
import numpy as np
from reranker.candidates import Candidates
from reranker.engine import rerank
from reranker.kernels import cache
from reranker.policy import Policy
policy = Policy.from_dict({"name": "x", "objective": {"strategy": "relevance"}})
print(cache.source_key(), rerank(Candidates([1, 2], [2.0, 1.0]), policy, 1).gains[0])
"""


def run(code: str, root: Path, **environment: Any) -> list[str]:
    """What a fresh process prints that finds `reranker` in `root`."""
    clean = {key: value for key, value in os.environ.items() if key not in ("NUMBA_DISABLE_JIT", "NUMBA_CACHE_DIR")}
    variables = {**clean, "PYTHONPATH": str(root), **{key: str(value) for key, value in environment.items()}}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=variables, cwd=root)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def compiled_files(root: Path) -> int:
    return len(list(root.rglob("*.nbc")))


@needs_compiler
def test_an_edited_helper_reaches_callers_that_are_cached(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "reranker", ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    key, gain = run(FIRST_GAIN, tmp_path, RERANKER_CACHE_DIR=cache)
    first = compiled_files(cache)
    assert first > 0
    assert [key, gain] == run(FIRST_GAIN, tmp_path, RERANKER_CACHE_DIR=cache)
    assert compiled_files(cache) == first, "the second process loads what the first compiled"

    helper = tmp_path / "reranker" / "kernels" / "pick.py"
    helper.write_text(helper.read_text().replace("return rounded", "return rounded + 64.0"))
    new_key, new_gain = run(FIRST_GAIN, tmp_path, RERANKER_CACHE_DIR=cache)
    assert new_key != key
    assert float(new_gain) == float(gain) + 64.0


CACHE_ROOT = "from reranker.kernels import cache\nprint(cache._ROOT)"
MEASURED = (
    "import numpy as np\nfrom reranker.kernels.door import measure_rows\nnorms = np.empty(2)\n"
    "measure_rows(np.eye(2, dtype='f4'), norms)\nprint(norms[0])"
)


def test_the_cache_goes_where_it_is_told(tmp_path: Path) -> None:
    assert run(CACHE_ROOT, PACKAGE.parent, RERANKER_CACHE_DIR=tmp_path / "named") == [str(tmp_path / "named")]
    home = {"RERANKER_CACHE_DIR": "", "XDG_CACHE_HOME": tmp_path}
    assert run(CACHE_ROOT, PACKAGE.parent, **home) == [str(tmp_path / "diversity-reranker")]


def test_a_place_that_cannot_be_written_falls_back_to_the_temporary_folder(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, so no folder can be made below it, not even by root")
    (own,) = run(CACHE_ROOT, PACKAGE.parent, RERANKER_CACHE_DIR=blocked / "cache", TMPDIR=tmp_path)
    assert own == str(tmp_path / f"diversity-reranker-{os.getuid()}")
    assert Path(own).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_falls_back_too(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert run(CACHE_ROOT, PACKAGE.parent, RERANKER_CACHE_DIR=locked, TMPDIR=tmp_path) != [str(locked)]


@needs_compiler
def test_a_warm_cache_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """As in a container whose file system is read-only: copied where something can be written, else read in place."""
    baked, nowhere = tmp_path / "baked", tmp_path / f"diversity-reranker-{os.getuid()}"
    assert run(MEASURED, PACKAGE.parent, RERANKER_CACHE_DIR=baked) == ["1.0"]
    nowhere.write_text("a file, so nothing can be written below it")
    read = (
        "from reranker.kernels import cache\n"
        f"cache._writable = lambda root: str(root) != {str(baked)!r} and root.is_dir()\n"
        "cache._ROOT, cache._GROWS = cache._root()\n"
    )
    count = (
        "from numba.core import event\nwith event.install_recorder('numba:compile') as seen:\n"
        "    measure_rows.compile()\n"
        "print(cache._ROOT, cache._GROWS, len(seen.buffer))"
    )
    code = read + "from reranker.kernels.door import measure_rows\n" + count
    where = {"RERANKER_CACHE_DIR": baked, "TMPDIR": tmp_path}
    assert run(code, PACKAGE.parent, **where) == [str(baked), "False", "0"]
    nowhere.unlink()
    nowhere.mkdir()
    copied = tmp_path / f"diversity-reranker-{os.getuid()}"
    assert run(code, PACKAGE.parent, **where) == [str(copied), "True", "0"]
    assert compiled_files(copied) == compiled_files(baked)
    os.chmod(baked, 0o777)
    nowhere.rename(tmp_path / "elsewhere")
    nowhere.write_text("a file")
    assert run(code, PACKAGE.parent, **where)[:2] == ["None", "False"], "who may write there could have written that"


def test_with_nowhere_to_write_kernels_still_run(tmp_path: Path) -> None:
    blocked = tmp_path / f"diversity-reranker-{os.getuid()}"
    blocked.write_text("a file")
    nowhere = {"RERANKER_CACHE_DIR": blocked / "cache", "TMPDIR": tmp_path}
    assert run(CACHE_ROOT, PACKAGE.parent, **nowhere) == ["None"]
    assert run(MEASURED, PACKAGE.parent, **nowhere) == ["1.0"]


@needs_compiler
def test_the_first_calls_of_many_threads_compile_once(tmp_path: Path) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from numba.core import event
from reranker.kernels import ahead, jit
from reranker.kernels.door import measure_rows
assert not measure_rows.compiled
def length(n):
    norms = np.empty(1)
    measure_rows(np.full((1, 4), n, np.float32), norms)
    return norms[0]
with event.install_recorder("numba:compile") as seen, ThreadPoolExecutor(8) as pool:
    results = list(pool.map(length, range(64)))
assert results == [2.0 * n for n in range(64)], results
own = measure_rows._dispatcher
print(measure_rows.compiled, sum(e.is_start for _, e in seen.buffer if e.data["dispatcher"] is own))
"""
    assert run(code, PACKAGE.parent, RERANKER_CACHE_DIR=tmp_path) == ["True", "1"]


def small(attributes: bool = True) -> Candidates:
    rng = np.random.default_rng(1)
    columns: dict[str, Any] = {"tone": ["a", "b", None, "c"] * 5, "genre": [["x"], ["x", "y"], [], ["y"]] * 5}
    rows = rng.normal(size=(20, 6)).astype(np.float32)
    return Candidates(range(20), rng.normal(size=20), rows, columns if attributes else None)


QUOTAS: list[list[dict[str, Any]]] = [
    [],
    [{"attribute": "tone", "min_share": {"a": 0.3}}],
    [{"attribute": "tone", "min_share": {"a": 0.3}, "max_share": {"b": 0.2}}],
    [{"attribute": "tone", "min_count": {"a": 4, "b": 4}, "within": 5}],
    [{"attribute": "tone", "max_per_value": 1, "window": 3}, {"attribute": "genre", "min_count": {"x": 2}}],
    [{"attribute": "genre", "at_least_one_of_each": True, "within": 3}],
]


@needs_compiler
@pytest.mark.parametrize("quotas", QUOTAS)
def test_nothing_compiles_after_warm_up(quotas: list[dict[str, Any]]) -> None:
    warm_up()
    assert jit.is_warm()
    guard = {"guard": {"min_score": 0.0}, "placement": {"keep_top": 1}}
    with event.install_recorder("numba:compile") as seen:
        for strategy in (*STRATEGIES, "sampled"):
            objective = {"strategy": strategy} if strategy in STRATEGIES else {"sample": True}
            words = {"calibration": {"attribute": "tone", "target": "pool"}} if strategy == "calibrated" else {}
            policy = Policy.from_dict({"name": "x", "objective": objective, "quotas": quotas, **guard, **words})
            for explain in (False, True):
                assert rerank(small(), policy, 9, explain=explain).report.measures
                rerank(Candidates([], []), policy, 9, explain=explain)
                rerank(small(attributes=False), policy, 100, explain=explain)
    assert seen.buffer == []


@needs_compiler
@pytest.mark.parametrize(
    "matrix",
    [np.ones((2, 3)), np.ones((2, 3), np.float16), np.ones((2, 3), np.int32), np.ones(3, np.float32),
     np.asfortranarray(np.ones((2, 3), np.float32)), np.ones((4, 3), np.float32)[::2], [[1.0, 2.0]], None],
)  # fmt: skip
def test_a_kernel_refuses_what_it_was_not_compiled_for(matrix: Any) -> None:
    jit.warm_up()
    with pytest.raises(TypeError):
        measure_rows(matrix, np.empty(3))


@needs_compiler
def test_a_kernel_never_writes_into_a_read_only_array() -> None:
    jit.warm_up()
    rows = np.ones((2, 3), np.float32)
    out = np.empty((2, 4), np.float32)
    out.flags.writeable = False
    with pytest.raises(TypeError):
        unit_rows(rows, np.full(2, 3.0**0.5), np.arange(2, dtype=np.int32), True, out)


def test_warm_up_counts_the_kernels_and_may_be_called_again() -> None:
    assert jit.warm_up() == jit.warm_up() >= 10
    assert jit.is_warm()


def test_a_kernel_keeps_its_words() -> None:
    assert measure_rows.name == "reranker.kernels.door.measure_rows"
    assert "Euclidean length" in (measure_rows.__doc__ or "")


TOGETHER = """
import os, sys
from reranker.kernels import ahead, cache, door, jit, ranking
os.sched_getaffinity = lambda _: {{0, 1}}
sys.executable = {executable!r}
print(jit.warm_up(), cache.entries(), jit.is_warm())
"""


@needs_compiler
@pytest.mark.parametrize("executable", [sys.executable, "/bin/false", "/nowhere/python"])
def test_an_empty_cache_is_filled_whatever_becomes_of_helpers(tmp_path: Path, executable: str) -> None:
    code = TOGETHER.format(executable=executable)
    kernels, entries, is_warm = run(code, PACKAGE.parent, RERANKER_CACHE_DIR=tmp_path)
    assert entries == kernels
    assert is_warm == "True"


def test_two_processes_never_compile_the_same_file(tmp_path: Path) -> None:
    names, taken = [f"module{number}" for number in range(50)], list[str]()
    claims = tmp_path / "claims"
    claims.mkdir()
    for name in names[:20]:
        (claims / name).touch()  # somebody else has them
    ahead._take_turns(claims, names, taken.append)
    assert taken == names[20:]
    ahead._take_turns(claims, names, taken.append)
    assert taken == names[20:]


@needs_compiler
def test_whole_numbers_of_any_size_share_one_form_of_a_helper() -> None:
    @jit.linked
    def twice(number: int) -> int:
        return 2 * number

    def callers(small: Any, large: Any) -> Any:
        return twice(small) + twice(large) + twice(1)

    assert njit(callers)(np.int32(3), np.int64(2**40)) == 2 * (3 + 2**40 + 1)
    assert len(twice.signatures) == 1  # type: ignore[attr-defined]
