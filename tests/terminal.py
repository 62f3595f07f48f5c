"""A terminal for tests: the real program in a pty of so many columns, and what its screen shows."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyte

LINES = 60
_MASKS = (
    (re.compile(r"\b20\d{6}T\d{9}Z\b"), "RUN"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b(\d+ (d|h|min|s) )?\d+(\.\d+)? (d|h|min|s)\b"), "SECONDS"),
    (re.compile(r"(?<=127\.0\.0\.1[:_])\d+"), "PORT"),
    (re.compile(r"--port \d+"), "--port PORT"),
    (re.compile(r"\b[\d,]+/s\b"), "RATE"),
    (re.compile(r"\bTry \d+ (in SECONDS|now)"), "Try N in SECONDS"),
    (re.compile(r"\b\d+(?=/400)"), "N"),
    (re.compile(r"\b\d+ (retries|retry)\b"), "N RETRIES"),
    (re.compile(r" *[━─]+ *"), " BAR "),
    (re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"), "TURNS"),
)


def masked(line):
    """Return a line without what differs from time to time."""
    for pattern, word in _MASKS:
        line = pattern.sub(word, line)
    return line


@dataclass
class Session:
    """A program that runs in a terminal.

    Attributes:
        written: all that it wrote, as it came.
    """

    process: int
    end: int
    screen: pyte.Screen
    stream: pyte.Stream
    written: str = ""
    exit_code: int | None = None
    _decoder: object = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def read(self, seconds):
        """Take in what it writes in so many seconds; return whether it still runs."""
        if not select.select([self.end], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.end, 65_536)
        except OSError:  # Linux says so when the program has ended
            data = b""
        text = self._decoder.decode(data)
        self.written += text
        self.stream.feed(text)
        return bool(data)

    def until(self, text, timeout_s=40.0):
        """Read on until the screen shows a text, or one that matches a pattern."""
        ends = time.monotonic() + timeout_s
        while not re.search(text, "\n".join(self.lines)):
            assert time.monotonic() < ends, "\n".join(self.lines)
            assert self.read(0.2), "\n".join(self.lines)
        return self

    def interrupt(self):
        """Press Ctrl-C."""
        os.write(self.end, b"\x03")

    def gone(self):
        """Close the terminal's window; return the exit code that the program ends with."""
        os.close(self.end)
        self.end = None
        _, status = os.waitpid(self.process, 0)
        self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code

    def ended(self, timeout_s=40.0):
        """Read on to the end, and return the exit code."""
        ends = time.monotonic() + timeout_s
        while self.exit_code is None:
            assert time.monotonic() < ends, "\n".join(self.lines)
            if not self.read(0.2):
                _, status = os.waitpid(self.process, 0)
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code

    @property
    def lines(self):
        """What the screen shows, line by line, without the empty ones at its end."""
        found = [line.rstrip() for line in self.screen.display]
        while found and not found[-1]:
            found.pop()
        return found

    @property
    def masked(self):
        """The same, without what differs from time to time."""
        return [masked(line) for line in self.lines]


@contextmanager
def session(folder, *words, columns=80, **variables):
    """Run the program in a terminal of so many columns; it is killed at the end if it has not ended."""
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    environment |= {"TERM": "xterm-256color", "LANG": "C.UTF-8"} | variables
    process, end = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-m", "bucket_loader", *words], environment)  # noqa: S606
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
    screen = pyte.Screen(columns, LINES)
    found = Session(process, end, screen, pyte.Stream(screen))
    try:
        yield found
    finally:
        if found.exit_code is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if found.end is not None:
            os.close(end)
