"""A list that may be long: it lies on disk, and is read line by line."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self, cast

import msgspec


class Lines:
    """Entries of features, in the order in which they are added; gone at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._counts = folder, Counter[str]()

    def __enter__(self) -> Self:
        """Make the file."""
        self._file = cast("IO[bytes]", TemporaryFile(dir=self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of it."""
        self._file.close()

    def takes(self, feature: str, most: int | None) -> bool:
        """Whether there is room for one more of a feature."""
        return most is None or self._counts[feature] < most

    def add(self, feature: str, entry: dict[str, Any]) -> None:
        """Add an entry of a feature."""
        self._counts[feature] += 1
        self._file.write(msgspec.json.encode(entry) + b"\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the entries."""
        self._file.seek(0)
        yield from map(msgspec.json.decode, self._file)
