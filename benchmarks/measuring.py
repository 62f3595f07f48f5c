"""What a command costs: seconds, CPU, and the peak memory of all its processes together."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.05
MIB: Final = 1024 * 1024
PEAK: Final = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True)
class Cost:
    """What one command cost.

    Attributes:
        start_s: until it said that it began; 0 when it did not say.
        seconds: from then on, to its end.
        cpu_s: user and system, over the same time, of it and all its children.
        peak_mb: the most that each of its processes had resident, added up, in MiB.
        stdout: what it printed.
    """

    start_s: float
    seconds: float
    cpu_s: float
    peak_mb: float
    stdout: str


class CommandError(Exception):
    """A measured command failed."""


def measure(words: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command in a folder, and measure it.

    A command whose start should not count (its imports) writes one line to the file that BENCHMARK_BEGAN names:
    the monotonic clock and its own CPU seconds when it begins.
    """
    began_file = folder / "began"
    began_file.unlink(missing_ok=True)
    variables = os.environ | environment | {"BENCHMARK_BEGAN": str(began_file)}
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complained:
        started_s = began_s = time.monotonic()
        child = subprocess.Popen(words, cwd=folder, env=variables, stdout=printed, stderr=complained)  # noqa: S603
        memory = _Memory(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        ended_s = time.monotonic()
        child.returncode = os.waitstatus_to_exitcode(status)
        sampled_mb = memory.stop()
        complained.seek(0)
        if child.returncode:
            told = complained.read().decode(errors="replace")[-3000:]
            raise CommandError(f"{words[0]} ... ended with {child.returncode}:\n{told}")
        printed.seek(0)
        stdout = printed.read().decode(errors="replace")
    spared_cpu_s = 0.0
    if began_file.exists():
        began_s, spared_cpu_s = map(float, began_file.read_text().split())
    cpu_s = usage.ru_utime + usage.ru_stime - spared_cpu_s
    return Cost(began_s - started_s, ended_s - began_s, cpu_s, sampled_mb or _maxrss_mb(usage.ru_maxrss), stdout)


def _maxrss_mb(maxrss: int) -> float:
    """Take the peak from the kernel's account, which begins with what we ourselves had when we started it."""
    return maxrss / MIB if sys.platform == "darwin" else maxrss / 1024


class _Memory:
    """Looks at a process and its descendants now and then, each of which knows its peak; without /proc it sees none."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks_mb: dict[int, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Stop looking; gives the peaks' sum in MiB."""
        self._stopped.set()
        self._thread.join()
        return sum(self._peaks_mb.values())

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_EVERY_S):
            self._look(self._pid)

    def _look(self, pid: int) -> None:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:  # it has ended
            return
        if found := PEAK.search(status):
            self._peaks_mb[pid] = int(found[1]) / 1024
        for child in children:
            self._look(child)
