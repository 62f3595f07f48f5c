"""What a file to read is, wherever it lies: on the disk, in a store, behind a URL."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from typing import IO, BinaryIO, Final, Protocol, cast
from urllib.parse import unquote

from bucket_loader.model import SourceError, side_by_side

HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
# Objects asked for their state at once: what is slow is the way there and back.
_ASKED_AT_ONCE: Final = 8
# Bytes asked of a store at once by what reads from the beginning to the end.
_READ_BYTES: Final = 1024 * 1024

Partitions = tuple[tuple[str, str | None], ...]
"""What the folders of a file say: its columns beside those that it holds, in order."""


class InputFile(Protocol):
    """A file to read, wherever it lies.

    Attributes:
        name: as the user would recognise it; never holds a credential.
        partitions: the `key=value` folders that the path did not spell out.
        travels: whether other processes can open it, being told no secret: it pickles then.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def partitions(self) -> Partitions: ...  # noqa: D102

    @property
    def travels(self) -> bool: ...  # noqa: D102

    def open(self, *, at_once: bool = False) -> BinaryIO:
        """Open it for reading; it can be sought in. `at_once`: all of it is wanted, and in no certain order."""
        ...

    def size(self) -> int | None:
        """Return its bytes, as far as they are known without opening it."""
        ...

    def identity(self) -> Sequence[object]:
        """Return what is different when its bytes are, cheaply."""
        ...

    def content(self) -> tuple[int, str]:
        """Return its size in bytes, and a digest of all of them."""
        ...

    def trouble(self, error: OSError) -> SourceError | None:
        """Say why reading it failed; None when it is not the place it lies in that failed."""
        ...


class NothingFoundError(SourceError):
    """A path means no file at all."""


def partitions_of(folders: Iterable[str]) -> Partitions:
    """Read `key=value` from the names of folders."""
    pairs = [part.split("=", 1) for part in folders if "=" in part]
    return tuple({unquote(key): None if value == HIVE_NULL else unquote(value) for key, value in pairs}.items())


def digest_of(stream: IO[bytes]) -> str:
    """Read a stream to its end, and return the digest of what it had."""
    digest = hashlib.sha256()
    while data := stream.read(_READ_BYTES):
        digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def in_order(stream: BinaryIO) -> BinaryIO:
    """Return a stream that is read from its beginning to its end, so that a store is asked for much at a time."""
    return stream if isinstance(stream, io.IOBase) else cast("BinaryIO", io.BufferedReader(stream, _READ_BYTES))


def fingerprint(files: Sequence[InputFile]) -> str:
    """Identify the bytes of files: names, identities, sizes, times, and the bytes at both ends; or a store's tags.

    A file added, removed, replaced, appended to or rewritten changes it. What it cannot see is a change in the middle
    of a big local file that also restores its modification time.
    """
    digest = hashlib.sha256()
    for file, identity in zip(files, side_by_side(lambda file: file.identity(), files, _ASKED_AT_ONCE), strict=True):
        digest.update(repr((file.name, *identity)).encode())
    return digest.hexdigest()
