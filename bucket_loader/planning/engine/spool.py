"""Rejections on their way between processes: in a file for each slice, beside its staged records."""

import pickle
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from bucket_loader.model import Rejection, Slice
from bucket_loader.planning.engine.stage import Ended, Stage, StagedPart, Step


def spooled(stage: Stage, made: Iterable[Step | StagedPart | Ended]) -> Iterator[Step | StagedPart | Ended]:
    """Pass on what was staged, with the rejections in files of their own."""
    spools: dict[Slice, BinaryIO] = {}
    with ExitStack() as stack:
        for one in made:
            if isinstance(one, Step):
                if one.rejections and one.slice not in spools:
                    spools[one.slice] = stack.enter_context(_path(stage, one.slice).open("wb"))
                if one.rejections:
                    pickle.dump(list(one.rejections), spools[one.slice])
                yield replace(one, rejections=())
            elif isinstance(one, StagedPart) and one.slice in spools:
                spools.pop(one.slice).close()
                yield replace(one, rejected=_path(stage, one.slice))
            else:
                yield one


def _path(stage: Stage, place: Slice) -> Path:
    return stage.path(place).with_suffix(".rejected")


def rejections_in(path: Path) -> Iterator[Rejection]:
    """Return the rejections of a slice, in the order of its rows."""
    with path.open("rb") as file:
        while file.peek(1):
            yield from pickle.load(file)  # noqa: S301  # this plan's own file
