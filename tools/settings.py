"""Writes docs/settings.md from the settings themselves, or checks that it is current.

.venv/bin/python tools/settings.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import Field, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from reranker.runtime.configuration import flag_of, is_switch, variable_of  # noqa: E402  # from this checkout
from reranker.runtime.settings import Settings  # noqa: E402

PAGE = ROOT / "docs" / "settings.md"
_HEAD = """# Settings

<!-- Generated from reranker/runtime/settings.py: python tools/settings.py -->

Each setting is a flag, a variable and a key in a TOML file that `--config FILE` (or `RERANKER_CONFIG`) names. **A flag
wins over its variable, a variable over the file, the file over the default.** `reranker serve --check` validates all of
them, with the policies, the keys and the catalog that they name, compiles every kernel and opens no port.

```toml
# reranker.toml
listen = "127.0.0.1:50051"
policies = "policies"          # a relative path in the file starts at the file's folder
worker_threads = 8
grace = 10.0
```

A misspelt setting must not pass for a default: a `RERANKER_*` variable that is no setting, a key that is none, and a
value that cannot be, stop the start with code 2. All of them are named at once, those of the file with their line.
An empty text stands for none, but is refused for `token_file` and `tls_client_ca`: an unset variable lets nobody in.

| key | flag | variable | default | |
|---|---|---|---|---|
"""
_TAIL = """
`RERANKER_CACHE_DIR` is no setting of the server but of the kernels: the folder in which compiled ones are kept, by
default `~/.cache/diversity-reranker`. On a read-only image, point it at a folder that was filled by
[`reranker warm-cache`](operations.md#the-first-start).
"""


def main() -> int:
    """Write the page, or with --check compare; 1 when it is not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the page is current")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print("docs/settings.md is not what the settings say; run: python tools/settings.py", file=sys.stderr)
    return 1


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(map(_row, fields(Settings))) + _TAIL


def _row(setting: Field[object]) -> str:
    name, help_, shown = setting.name, setting.metadata["help"], setting.metadata["shown"]
    flag = flag_of(name)
    flags = f"`{flag}`, `--no-{flag[2:]}`" if is_switch(setting.type) else f"`{flag}`"
    default = shown or f"`{_as_toml(setting.default)}`"
    return f"| `{name}` | {flags} | `{variable_of(name)}` | {default} | {help_} |\n"


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
