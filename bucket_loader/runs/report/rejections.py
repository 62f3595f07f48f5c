"""What a run rejected, by reason: how many rows, where, the shapes of the values that are wrong, and what mends it."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast

import duckdb
import pyarrow as pa

from bucket_loader.model import REASONS, Code, counted
from bucket_loader.planning import PlannedStream
from bucket_loader.reporting import Rejection, Rejections
from bucket_loader.runs.checking.rejected import Reason, RejectedRows
from bucket_loader.runs.checking.subjects import Subject, columns_of, subjects_of
from bucket_loader.runs.report.ending import replay_of
from bucket_loader.runs.report.known import NAME_MAX, TEXT_MAX, Known, cut
from bucket_loader.state import own_database

REASONS_MAX: Final = 25
_SHAPE_MAX: Final = 60  # characters of a shape, with how many have it


def rejections_of(known: Known) -> Rejections:
    """Return what was rejected."""
    rows = known.total.rejected
    if known.letters is None or not rows:
        return Rejections(rows, gone=_gone(known) if rows else "")
    if not (found := _read(known.letters, _subjects(known))):
        return Rejections(rows, gone=f"The dead letters cannot be read: {known.letters}")
    before = known.total.refused_before
    return Rejections(
        rows,
        reasons=tuple(_rejection(reason, shapes) for reason, shapes in found[:REASONS_MAX]),
        more=len(found[REASONS_MAX:]),
        file="" if known.asked.thrown_away else str(known.letters.absolute()),
        steps=(replay_of(known),) if known.letters_left and not known.asked.thrown_away else (),
        gone=f"{_counted_before(before)} The dead letters of that run say why." if before else "",
    )


def _read(letters: Path, subjects: dict[tuple[str, str], Subject]) -> list[tuple[Reason, list[str]]]:
    """Return the reasons in a file of dead letters, most first, with the shapes of what is wrong; none if damaged."""
    with (
        suppress(duckdb.Error, OSError),
        TemporaryDirectory(prefix="bucket_loader-") as folder,
        own_database(Path(folder)) as connection,
    ):
        return list(RejectedRows(connection, letters, {}).reasons(subjects))
    return []


def _gone(known: Known) -> str:
    """Return why there are no dead letters."""
    if (before := known.total.refused_before) == known.total.rejected:
        return f"{_counted_before(before)} The dead letters of that run say why; `--retry-refused` sends them again."
    return "The dead letters are gone, by `keep:` or by `prune`: why these rows were rejected can no longer be told."


def _counted_before(rows: int) -> str:
    verb = "was" if rows == 1 else "were"
    return f"{counted(rows, 'row')} {verb} refused in an earlier run, with the same content, and not sent again."


def _subjects(known: Known) -> dict[tuple[str, str], Subject]:
    """Return the fields of the pipeline file as it is today, by stream and name."""
    planned = {} if known.planned is None else {one.name: one for one in known.planned.manifest.streams}
    return {
        (stream.name, subject.field): subject
        for stream in known.job.pipeline.streams
        for subject in subjects_of(stream, _columns(known, planned.get(stream.name)))
    }


def _columns(known: Known, planned: PlannedStream | None) -> pa.Schema:
    """Return the columns of a stream's source; none where its plan is gone, or damaged."""
    found = None
    if known.planned is not None and planned is not None:
        with suppress(OSError, pa.ArrowException):
            found = columns_of(known.planned, planned)
    return pa.schema([]) if found is None else found


def _rejection(reason: Reason, shapes: list[str]) -> Rejection:
    meaning = REASONS.get(cast("Code", reason.code))
    noun = reason.noun if reason.count == 1 else f"{reason.noun}s"
    more = ", ..." if reason.count > len(reason.rows) else ""
    return Rejection(
        stream=cut(reason.stream, NAME_MAX),
        field=cut(reason.field or "", NAME_MAX),
        code=reason.code,
        message=cut(reason.message, TEXT_MAX),
        rows=reason.count,
        places=f"{noun} {', '.join(map(str, reason.rows))}{more}",
        shapes=tuple(cut(shape, _SHAPE_MAX) for shape in shapes),
        mend=meaning.mend if meaning else "",
    )
