"""The emulator in a process of its own, started as a person would: this process imports nothing of it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, Final

import pytest

_STOP_S_MAX: Final = 5
# No folder of the tests comes before the libraries (-P), and the package that runs is this very one.
_COMMAND: Final = (sys.executable, "-P", "-m", "bucket_loader", "emulator", "--port", "0", "--ends-with-stdin")


class Process:
    """An emulator that ends with this process, however that ends.

    Attributes:
        url: where it listens.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # it is open for as long as the process runs
        self._process = subprocess.Popen(  # noqa: S603  # this very package
            [*_COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )
        assert self._process.stdout is not None  # noqa: S101  # narrows the type
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise OSError(f"the local Bucket API did not start: {self._complaint}")
        self.url: Final[str] = json.loads(line)["url"]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._stderr.seek(0)
        self._complaint = self._stderr.read().decode(errors="replace").strip()
        self._stderr.close()


def start(config: pytest.Config) -> Process:
    """Start an emulator as the options of a session say."""
    evaluation = option(config, "evaluation")
    words = [] if evaluation is None else ["--evaluation", evaluation]
    return Process([*words, *(["--strict"] if option(config, "strict") else [])])


def option(config: pytest.Config, name: str) -> Any:  # noqa: ANN401  # a text or a truth
    """Return an option of the command line, or of the ini file."""
    given = config.getoption(f"bucket_{name}")
    return config.getini(f"bucket_{name}") or None if given is None else given  # pytest 7 finds [] where there is none
