"""Harm at the program's system calls: the orders for shim.c, and the names that it gives to files."""

import ctypes
import os
import stat
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

WRITES, SYNCS, SENDS, RECEIVES, NAMES = 1, 2, 4, 8, 16  # what is counted; the same as in shim.c
COUNTS, KILLS, NO_SPACE, IO_ERROR, TEARS, STOPS = range(6)  # what is done


def shim(folder: Path) -> Path:
    """Compile the library that counts system calls and does harm at some (see shim.c)."""
    path = folder / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(path), str(HERE / "shim.c"), "-ldl"], check=True)
    return path


def identity(path: Path) -> str:
    """Name a file or folder as shim.c does: by its inode and its birth."""
    library = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer(256)
    # struct statx of linux/stat.h: mode at 28, inode at 32, birth at 80 (seconds) and 88 (nanoseconds)
    if library.statx(-100, os.fsencode(path), 0x100, 0x901, buffer):
        raise FileNotFoundError(path)
    (mode,), (inode,) = struct.unpack_from("H", buffer, 28), struct.unpack_from("Q", buffer, 32)
    seconds, nanoseconds = struct.unpack_from("qI", buffer, 80)
    return f"{'d' if stat.S_ISDIR(mode) else 'f'}{inode}-{seconds}.{nanoseconds:09}"


@dataclass(frozen=True)
class Harm:
    """What is done to some of the program's system calls.

    Attributes:
        shim: the library; the starter has it preloaded.
        action: one of `COUNTS`, `KILLS` (before the call), `NO_SPACE`, `IO_ERROR`, `TEARS` (half of it, then dead),
            `STOPS` (before the call, until it is continued).
        first: the first call that is harmed, from 1, among those that are counted.
        last: the last one.
        classes: which calls are counted.
        within: only calls on files in this folder of the load; sockets are counted always.
        match: only those on files whose path has this in it.
        durable: an empty folder, to keep there what every sync has made durable.
    """

    shim: Path
    action: int = COUNTS
    first: int = 1
    last: int = 2**62
    classes: int = WRITES | SYNCS | SENDS | RECEIVES | NAMES
    within: str = ""
    match: str = ""
    durable: Path | None = None

    def on(self, folder: Path) -> list[Any]:
        """Return the order for a load in a folder; its calls are written to `calls` beside the folder."""
        log = folder.with_name(folder.name + ".calls")
        log.unlink(missing_ok=True)
        places = str(self.shim), str(folder.resolve() / self.within), str(log)
        calls = self.classes, self.action, self.first, self.last, self.match
        return [*places, *calls, str(self.durable or "")]
