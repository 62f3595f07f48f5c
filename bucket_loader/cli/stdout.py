"""What is written to stdout while a command runs: where it is closed or full, the command goes on and ends as it does.

The program that reads it may end before the command does (`| head`), and a disk may be full. Neither says anything
about what was sent, so neither changes an exit code.
"""

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import click


@contextmanager
def lenient_stdout() -> Iterator[None]:
    """Make stdout one that takes everything, and write of it what there is a place for."""
    if sys.stdout is None:  # closed: else the next file that is opened would be stdout to every library
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # open until the process ends
    before = sys.stdout
    if not hasattr(before, "buffer"):  # a host's own, in memory
        yield
        return
    with contextlib.suppress(OSError):
        before.flush()
    sys.stdout = stdout = LenientStdout(before)
    try:
        yield
    finally:
        stdout.flush()
        sys.stdout = before


def write_utf8(pieces: Iterable[str]) -> None:
    """Write texts to stdout one behind the other: as UTF-8, whatever a terminal's encoding is."""
    for piece in pieces:
        click.echo(piece.encode(), nl=False)


def refusal() -> str | None:
    """Return why stdout did not take what was written so far; None when it did, or its reader has gone."""
    stdout = sys.stdout
    stdout.flush()
    refused = stdout.raw.refused if isinstance(stdout, LenientStdout) else None
    return None if refused in {None, errno.EPIPE} else os.strerror(refused or 0)


class LenientStdout(io.TextIOWrapper):
    """A text file over another one's bytes, which forgets what those refuse."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401  # what a host may have put in stdout's place
        self.raw = _LenientBytes(getattr(file.buffer, "raw", file.buffer))
        super().__init__(io.BufferedWriter(self.raw), file.encoding, file.errors, line_buffering=file.isatty())


class _LenientBytes(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.refused: int | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    def write(self, data: Any) -> int:  # noqa: ANN401  # bytes of any kind
        try:
            while self.refused is None:
                written: int | None = self._file.write(data)
                if written is not None:
                    return written
                select.select([], [self._file], [])  # it does not block, and has no room now
        except OSError as error:
            self.refused = error.errno
        return len(data)
