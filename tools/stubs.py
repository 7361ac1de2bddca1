"""Writes the protobuf and gRPC stubs of reranker/v1 with the pinned toolchain, or checks that they are current.

Runs in the environment of its own that holds the toolchain: .venv-proto/bin/python tools/stubs.py [--check]
"""

from __future__ import annotations

import argparse
import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("reranker") / "v1"


def main() -> int:
    """Generate in place, or with --check compare with a fresh generation; 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; name the stubs that are not current")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        differing = differences(Path(folder) / PACKAGE, ROOT / PACKAGE)
    for name in differing:
        print(f"{PACKAGE / name} is not what proto/ says; run: make proto", file=sys.stderr)
    return 1 if differing else 0


def generate(target: Path) -> None:
    """Messages and their types for every file, service classes only where there is a service."""
    files = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    services = [name for name in files if name.endswith("_service.proto")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    subprocess.run([*protoc, f"--python_out={target}", f"--pyi_out={target}", *files], check=True)
    subprocess.run([*protoc, f"--grpc_python_out={target}", *services], check=True)


def differences(fresh: Path, committed: Path) -> list[str]:
    """Names of stubs that differ, are missing, or are left over from a proto file that is gone."""
    names = {path.name for folder in (fresh, committed) for path in folder.glob("*_pb2*.py*")}
    return sorted(
        name
        for name in names
        if not (fresh / name).exists()
        or not (committed / name).exists()
        or not filecmp.cmp(fresh / name, committed / name, shallow=False)
    )


if __name__ == "__main__":
    sys.exit(main())
