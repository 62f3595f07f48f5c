"""Run the tutorial and the pages of exports: `python docs/play.py` puts what the commands print today below them.

In a `console` block each line that begins with `$` is a command, and the lines below it are what it prints. A `yaml`
block whose first line is a comment with a file's name is that file. An emulator is started beside the others.
A test plays each page and compares; what differs at every run (names of runs, seconds, paths) does not count.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree

ROOT = Path(__file__).parents[1]
EXPORTS = ROOT / "docs" / "how-to" / "exports"
PAGES = (ROOT / "docs" / "tutorial.md", *sorted(EXPORTS.glob("*.md")))
PORT = "8123"  # as the page says; a free one is taken
_BLOCK = re.compile(r"^```(console|yaml)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_CHANGES = (
    (r"\b\d{8}T\d{9}Z\b", "RUN"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?", "TIME"),
    (r"\b\d+(\.\d+)? ?(ms|s|seconds?|minutes?)\b", "A WHILE"),
    (r"\b\d[\d.,]* [kMGT]?B\b", "A SIZE"),
    (r" {2,}", "  "),  # a column is as wide as what stands in it
)


def main() -> None:
    """Play the pages, and write them anew where they say something else than their commands do."""
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder:
            page.write_text(played(page.read_text("utf-8"), Path(folder)), "utf-8")


@dataclass
class Terminal:
    """Where the commands of a page run: a folder, what was exported so far, and the programs that stay.

    Attributes:
        folder: the folder; it has the sample data, and the samples of exports.
        staying: ends the programs that stay.
        port: stands for the port of the page.
        exports: the commands that set variables.
        code: how the last command ended.
    """

    folder: Path
    staying: ExitStack
    port: str
    exports: list[str] = field(default_factory=list)
    code: int = 0

    def run(self, command: str) -> str:
        """Return what a command prints."""
        if command.startswith("export "):
            self.exports.append(command.replace(PORT, self.port))
            return ""
        if command.startswith("bucket-loader emulator"):
            return self._shown(self.staying.enter_context(_started(command.replace(PORT, self.port), self)))
        script = "\n".join([*self.exports, f"(exit {self.code})", command.replace(PORT, self.port)])
        ended = subprocess.run(  # noqa: S603
            ["/bin/bash", "-c", script], cwd=self.folder, env=self.variables(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        self.code = ended.returncode
        return self._shown(ended.stdout)

    def variables(self) -> dict[str, str]:
        """Return the environment: this one's programs, and nothing that would change what they say."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {"PATH": path, "HOME": str(self.folder), "COLUMNS": "100", "LANG": "C.UTF-8", "TZ": "UTC"}

    def _shown(self, text: str) -> str:
        here = {str(self.folder), str(self.folder.resolve())}
        for path in here:
            text = text.replace(path, "/home/you/bucket_loader")
        return text.replace(self.port, PORT)


@contextmanager
def _started(command: str, terminal: Terminal) -> Iterator[str]:
    """Start a program, and return the first line that it prints."""
    started = subprocess.Popen(  # noqa: S602  # a command of our own page
        f"exec {command}", shell=True, cwd=terminal.folder, env=terminal.variables(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert started.stdout is not None  # noqa: S101  # it is a pipe
        yield started.stdout.readline()
    finally:
        started.send_signal(signal.SIGTERM)
        started.communicate()


def played(page: str, folder: Path) -> str:
    """Return a page with what its commands print today; a block that says the same stays as it is."""
    copytree(ROOT / "sample_data", folder / "sample_data")
    copytree(EXPORTS / "samples", folder, dirs_exist_ok=True)
    with ExitStack() as staying:
        terminal = Terminal(folder, staying, _free_port())
        return _BLOCK.sub(lambda found: _block(found, terminal), page)


def _free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def _block(found: re.Match[str], terminal: Terminal) -> str:
    kind, text = found.groups()
    if kind == "yaml":
        name = text.partition("\n")[0].removeprefix("# ")
        (terminal.folder / name).write_text(text, "utf-8")
        return found[0]
    lines = [line for line in text.splitlines() if line.startswith("$ ")]
    printed = "".join(f"{line}\n{terminal.run(line[2:])}" for line in lines)
    return found[0] if steady(printed) == steady(text) else f"```console\n{printed}```\n"


def steady(text: str) -> str:
    """Return a text without what differs at every run."""
    for pattern, word in _CHANGES:
        text = re.sub(pattern, word, text)
    return text


if __name__ == "__main__":
    main()
