"""The three functions as tasks of Spark: an item a task, or a few, wherever Spark runs it.

A task may run twice, or run on after it was given up. So it writes files of its own, in a folder that is there only
while the plan is made. What the plan keeps of them is moved out of it by the caller, who was told their names.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from msgspec.structs import replace as replace_member

from bucket_loader.model import UsageError
from bucket_loader.planning.engine.select import Select, Selection
from bucket_loader.planning.engine.spool import spooled
from bucket_loader.planning.engine.stage import Stage
from bucket_loader.planning.manifest import Part
from bucket_loader.sources import SparkTasks

_ITEMS_MOST: Final = 4  # staged by one task
_TASKS_LEAST: Final = 16  # before any has more than one


@dataclass(frozen=True)
class OnSpark:
    """Spark's tasks, as far as items can be handed to them."""

    tasks: SparkTasks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tasks.clear()

    def run(self, function: Callable[[Iterable[Any]], Iterator[Any]], items: Iterable[Any]) -> Iterator[Any]:
        """Yield what is made of items, in their order."""
        if not getattr(function, "travels", False):
            yield from function(items)
        elif isinstance(function, Stage):
            _require_no_key(function)
            for made in self.tasks.map(_Staging(function, self.tasks.folder), _together(list(items))):
                yield from made
        elif isinstance(function, Select):
            given: list[Selection] = list(items)
            found = self.tasks.map(_Selecting(function, self.tasks.folder), given)
            yield from (_moved(part, self.tasks.folder, one.file) for one, part in zip(given, found, strict=True))
        else:
            for made in self.tasks.map(_Each(function), list(items)):
                yield from made


def _together(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Return what one task stages each: it makes the mapping ready once, which takes as long as 25,000 rows."""
    count = min(_ITEMS_MOST, max(1, len(items) // _TASKS_LEAST))
    return [items[first : first + count] for first in range(0, len(items), count)]


def _require_no_key(stage: Stage) -> None:
    """Refuse values that are hashed with a key: it would have to travel.

    Raises:
        UsageError: some are.
    """
    if keyed := stage.keyed:
        raise UsageError(
            f"`hash: hmac` ({', '.join(keyed)}) needs `hash_key:`, a secret that does not travel to Spark",
            hint="plan without --engine spark",
        )


def _moved(part: Part, folder: Path, file: Path) -> Part:
    """Take a part out of the folder of the tasks."""
    (folder / part.file).rename(file)
    return replace_member(part, file=file.name)


@dataclass(frozen=True)
class _Staging:
    """Stages some items."""

    stage: Stage
    folder: Path

    def __call__(self, items: Sequence[Any]) -> list[Any]:
        base = self.folder / self.stage.base.name
        stage = replace(self.stage, base=base, attempt=f"-{secrets.token_hex(8)}")
        return list(spooled(stage, stage(items)))


@dataclass(frozen=True)
class _Selecting:
    """Writes one part."""

    select: Select
    folder: Path

    def __call__(self, item: Selection) -> Part:
        own = self.folder / f"{item.file.stem}-{secrets.token_hex(8)}{item.file.suffix}"
        (part,) = self.select([replace(item, file=own)])
        return part


@dataclass(frozen=True)
class _Each:
    """Calls a function that names its own files with one item."""

    function: Callable[[Iterable[Any]], Iterator[Any]]

    def __call__(self, item: Any) -> list[Any]:  # noqa: ANN401  # whatever the function takes
        return list(self.function([item]))
