"""Makes a virtual environment from a pinned list, and shows that it is alive while pip works.

Runs on whatever `python3` is there, so it keeps to syntax that Python 3.7 reads: an old one then gets a message instead
of a traceback.
"""

from __future__ import annotations

import argparse
import collections
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWEST_TRIED = (3, 13)


def check_python() -> None:
    """Leave with a message that says what to do when this Python is too old."""
    if sys.version_info >= OLDEST:
        return
    newer = [f"python3.{minor}" for minor in range(NEWEST_TRIED[1], OLDEST[1] - 1, -1)]
    found = next((name for name in newer if shutil.which(name)), None)
    advice = "try: make PYTHON=" + found if found else "install Python 3.11 or newer, then: make PYTHON=/path/to/it"
    sys.exit(f"this project needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}; {advice}")


def main() -> None:
    """Make the environment anew when its Python differs, install the pinned list, then write the stamp."""
    check_python()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", help="folder of the environment, e.g. .venv")
    parser.add_argument("requirements", help="pinned list, e.g. requirements/dev.txt")
    parser.add_argument("--project", action="store_true", help="install this project too, in place")
    options = parser.parse_args()

    python = os.path.join(options.environment, "bin", "python")
    stamp = os.path.join(options.environment, ".stamp")
    if os.path.exists(stamp):
        os.remove(stamp)
    create(options.environment, python)
    pinned = [line for line in read_lines(options.requirements) if line and not line.startswith("#")]
    install(python, ["--requirement", options.requirements], len(pinned), options.environment)
    if options.project:
        # Its dependencies and its build backend are in the pinned list already.
        install(python, ["--no-deps", "--no-build-isolation", "--editable", "."], 0, options.environment)
    with open(stamp, "w") as file:
        file.write(sys.version + "\n")


def create(environment: str, python: str) -> None:
    """Make the environment unless one of this very Python version is there."""
    if os.path.exists(python):
        question = [python, "-c", "import sys; print(sys.version)"]
        if subprocess.run(question, capture_output=True, text=True, check=False).stdout.strip() == sys.version:
            return
    print(f"making {environment} with Python {sys.version.split()[0]} …", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", environment], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\ncould not make {environment}; on Debian: apt-get install python3-venv")


def install(python: str, what: list[str], expected: int, environment: str) -> None:
    """Run pip, one line of progress for a person, its last words when it fails."""
    command = [python, "-m", "pip", "install", "--no-input", "--progress-bar", "off", *what]
    alive = Progress(expected, environment)
    tail: collections.deque[str] = collections.deque(maxlen=30)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            tail.append(line)
            alive.saw(line)
    alive.finish()
    if pip.returncode:
        sys.exit("".join(tail) + f"pip could not install {' '.join(what)}")


class Progress:
    """One rewritten line on a terminal; elsewhere a line at the start and a line for the slow last step."""

    def __init__(self, expected: int, environment: str) -> None:
        self.expected, self.environment, self.seen = expected, environment, 0
        self.terminal = sys.stdout.isatty()
        if expected and not self.terminal:
            print(f"{environment}: installing {expected} packages, a minute or so …", flush=True)

    def saw(self, line: str) -> None:
        """Take notice of one line of pip's."""
        if line.startswith("Collecting "):
            self.seen += 1
            self._show(f"fetching {min(self.seen, self.expected)} of {self.expected}: {line.split()[1]}")
        elif line.startswith("Installing collected packages"):
            self._show("unpacking …")

    def finish(self) -> None:
        """Leave the terminal's line clean."""
        if self.terminal:
            print("\r\033[K", end="", flush=True)

    def _show(self, text: str) -> None:
        if self.terminal and self.expected:
            width = shutil.get_terminal_size().columns - 1
            print("\r\033[K" + f"{self.environment}: {text}"[:width], end="", flush=True)


def read_lines(path: str) -> list[str]:
    """The lines of a text file without their ends."""
    with open(path) as file:
        return file.read().splitlines()


if __name__ == "__main__":
    main()
