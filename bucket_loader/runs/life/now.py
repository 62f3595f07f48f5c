"""What a run would do now: the source is read as a run reads it, and of its rows those that are meant are planned.

The plan is a real one, against what is remembered; it lies in a folder of its own, and is gone at the end. Nothing is
sent, and the state is only looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from bucket_loader.config import Pipeline, Stream
from bucket_loader.model import ArrayForm, UsageError, wire_timestamp
from bucket_loader.planning import Plan, PlanRequest, cursor, planner
from bucket_loader.reporting import Now, NowRow
from bucket_loader.runs.arrays import as_delivered
from bucket_loader.runs.job import Job
from bucket_loader.runs.life.comparing import differences
from bucket_loader.runs.life.letters import Finder
from bucket_loader.runs.life.picking import Picked, Picking
from bucket_loader.runs.life.remembered import Known, known_of, with_memory
from bucket_loader.runs.life.search import Hit
from bucket_loader.runs.life.sought import Sought, names_users
from bucket_loader.runs.plan import as_of, told_when_read
from bucket_loader.state import REJECTED, State, dead_letters, snapshots

_FOLDER: Final = "now"


def now_of(job: Job, state: State | None, sought: Sought, arrived: list[Hit]) -> Now:
    """Return what a run would do now with the rows of one stream that are about what is sought.

    Args:
        job: what would be run, and of which stream.
        state: what is remembered; None where there is none yet.
        sought: what is sought.
        arrived: the records of earlier runs that were delivered, oldest first.

    Raises:
        UsageError: no stream, or more than one, can be meant.
        SourceError: the source cannot be read.
    """
    stream = _stream_of(job, sought)
    if state is None:
        return _now(job, None, Finder(job.pipeline, sought), stream, arrived)
    return with_memory(state, stream.name, lambda: _now(job, state, Finder(job.pipeline, sought), stream, arrived))


def _stream_of(job: Job, sought: Sought) -> Stream:
    """Return the stream whose source is read: the one that is named, or the only one that can be meant."""
    named = job.options.streams
    meant = [one for one in job.pipeline.streams if (one.name in named if named else _is_meant(one, sought))]
    own = [one for one in meant if sought.subject is not None and one.kind.ids[:1] == (sought.subject.field,)]
    for found in (meant, own):
        if len(found) == 1:
            return found[0]
    names = " or ".join(f"--stream {one.name}" for one in meant or job.pipeline.streams)
    raise UsageError("--now reads the source of one stream", hint=f"say which: {names}")


def _is_meant(stream: Stream, sought: Sought) -> bool:
    return sought.way_of(stream.kind, is_keyed=bool(stream.key), names_users=names_users(stream)) is not None


def _now(job: Job, state: State | None, finder: Finder, stream: Stream, arrived: list[Hit]) -> Now:
    with TemporaryDirectory(prefix="bucket_loader-") as folder:
        request, notes = _request(job, state, stream, Path(folder) / _FOLDER), list[str]()
        picking = Picking(finder, stream, request.compiled, job.progress)
        with told_when_read(job):
            planned = planner.make_plan(replace(request, sample=picking, note=notes.append))
        judging = Judging(planned, state, stream, picking, arrived)
        rows = list(judging.rows())
        if not picking.rows:
            rows += judging.removed()
        notes += judging.notes(request)
    return Now(stream.name, planned.manifest.as_of, picking.read, rows, notes)


def _request(job: Job, state: State | None, stream: Stream, folder: Path) -> PlanRequest:
    """Return the request of a plan of one stream, against what is only looked at."""
    folder.mkdir(mode=0o700)
    options, now, name = job.options, job.outside.clock.utc(), stream.name
    request = PlanRequest(
        pipeline=_without_removals(job.pipeline, stream),
        base=job.base,
        folder=folder,
        run=_FOLDER,
        as_of=as_of(options, now),
        interval=options.interval,
        streams=(name,),
        made_at=wire_timestamp(now),
        arrays=_form_of_lists(job),
    )
    if state is None:
        return request
    parts = [state.part_of(name, file) for file, _ in state.ledger.runs_of_parts(name)]
    refused = state.refusals_of(name)
    return replace(
        request,
        memory={name: snapshots.Memory(parts)},
        cursors=state.ledger.cursors(),
        loaded=state.ledger.loaded_files(),
        refusals={name: refused} if refused is not None else {},
    )


def _without_removals(pipeline: Pipeline, stream: Stream) -> Pipeline:
    """Return a pipeline in which no row counts as removed: most rows are not even picked."""
    bare = stream.model_copy(update={"on_removed": None})
    streams = [bare if one.name == stream.name else one for one in pipeline.streams]
    return pipeline.model_copy(update={"streams": streams})


def _form_of_lists(job: Job) -> ArrayForm:
    if job.pipeline.destination.api != "front":
        return "flatten"
    return as_delivered(job).pipeline.arrays or "keep"


@dataclass(frozen=True)
class _Sent:
    """A record of the plan: its text, and what it is known by."""

    record: str
    key: bytes | None
    content: bytes | None
    is_refused: bool


@dataclass(frozen=True)
class Judging:
    """The rows that were picked, and the plan that was made of them.

    Attributes:
        planned: the plan.
        state: what is remembered.
        stream: the stream, with its `on_removed:`.
        picking: the rows.
        arrived: the records of earlier runs that were delivered, oldest first.
    """

    planned: Plan
    state: State | None
    stream: Stream
    picking: Picking
    arrived: list[Hit]

    def rows(self) -> Iterator[NowRow]:
        """Yield each row with what a run would do with it."""
        sent, reasons, held_back = self._sent(), self._reasons(), self._held_back()
        known = self._known({row.key for row in self.picking.rows if row.key is not None})
        last = self._last_rows(reasons)
        for row in self.picking.rows:
            place = (row.source, row.row)
            origin = {"source": row.source, "row": row.row}
            if row.is_filtered:
                yield NowRow(origin, "filtered", f"left out by `where: {self.stream.where}`", input=row.input)
            elif place in reasons:
                origin, why = reasons[place]
                yield NowRow(origin, "rejected", "would be rejected", reasons=why, input=row.input)
            elif place in held_back:
                text = f"not sent again today: run {held_back[place]} saw it refused with the same bytes"
                yield NowRow(origin, "refused before", text, input=row.input)
            elif place in sent:
                yield self._of_sent(row, sent[place], known.get(row.key or b""))
            elif row.key is not None and last.get(row.key, row) is not row:
                text = f"superseded by row {last[row.key].row}: the last row of a key wins"
                yield NowRow(origin, "superseded", text, input=row.input)
            else:
                yield NowRow(origin, "unchanged", self._unchanged(row), input=row.input)

    def _last_rows(self, reasons: Mapping[tuple[str, int], object]) -> dict[bytes, Picked]:
        """Return the last row of each key, where only that one counts."""
        if not (self.stream.ordered or (self.stream.key and self.stream.mode.remembers)):
            return {}
        rows = (row for row in self.picking.rows if not row.is_filtered and (row.source, row.row) not in reasons)
        return {row.key: row for row in rows if row.key is not None}

    def _of_sent(self, row: Picked, sent: _Sent, known: Known | None) -> NowRow:
        changes, text = None, self._why_sent(sent, known)
        if known is not None and known.content not in {None, snapshots.REMOVED, sent.content}:
            if (old := self._delivered(row.key, known)) is not None:
                is_timed = "timestamp" in self.stream.fields.given()
                changes = differences(old, sent.record, (is_timed, is_timed))
            else:
                text += "; what it was is not known: no plan of it is left, and values are not remembered"
        origin = {"source": row.source, "row": row.row}
        return NowRow(origin, "sent", text, input=row.input, record=_decoded(sent.record), changes=changes)

    def _why_sent(self, sent: _Sent, known: Known | None) -> str:
        if sent.is_refused:
            return "would be sent once more: an earlier run saw it refused with the same bytes"
        if not self.stream.mode.remembers:
            return f"would be sent: with `sync: {self.stream.mode.name}` each row is"
        if known is None:
            return "would be sent: it is new"
        if known.content is None:
            return "would be sent: it was sent before, and whether it arrived is not known"
        if known.content == snapshots.REMOVED:
            return "would be sent: it was told to be gone, and is there again"
        return f"would be sent: it has changed since {self._since(row_key=sent.key, known=known)}"

    def _unchanged(self, row: Picked) -> str:
        known = self._known({row.key}).get(row.key) if row.key is not None else None
        what = "its key was" if self.stream.mode.once else "it is as it was"
        since = f"{what} sent by {self._since(row_key=row.key, known=known)}" if known is not None else "it is known"
        return f"unchanged, and would not be sent: {since}"

    def _since(self, *, row_key: bytes | None, known: Known) -> str:
        own = [hit for hit in self._own(row_key) if hit.content in {known.content, None}]
        return f"run {own[-1].run}" if own else f"run {known.run} or one before it"

    def _own(self, key: bytes | None) -> list[Hit]:
        return [hit for hit in self.arrived if hit.stream.name == self.stream.name and hit.key == key]

    def _delivered(self, key: bytes | None, known: Known) -> str | None:
        """Return the record that is remembered: as a value, or in the plan that sent it."""
        if known.record is not None:
            return known.record
        return next((hit.text for hit in reversed(self._own(key)) if hit.content == known.content), None)

    def _known(self, keys: set[bytes]) -> dict[bytes, Known]:
        return known_of(self.state, self.stream.name, keys) if self.state is not None else {}

    def removed(self) -> Iterator[NowRow]:
        """Yield what becomes of a row that is not in the source, where that says something."""
        subject = self.picking.finder.sought.subject
        on_removed = self.stream.on_removed
        if on_removed is None or subject is None or self.stream.kind.subject != subject.field:
            return
        known = self._known(self.picking.finder.sought.keys(self.stream.kind))
        if any(one.content != snapshots.REMOVED for one in known.values()) and not self.picking.nameless:
            text = "its row is gone: what `on_removed:` says would be sent"
            yield NowRow({"source": "(removed)", "row": 0}, "removed", text)

    def notes(self, request: PlanRequest) -> Iterator[str]:
        """Yield what is to be said of the reading."""
        if not self.picking.rows:
            yield "the source has no row of it"
            if self.stream.on_removed is not None and self.picking.nameless:
                yield f"{self.picking.nameless:,} rejected rows do not say whose they are, so nothing counts as removed"
        if self.stream.cursor is not None:
            mark = request.cursors.get(self.stream.name)
            yield f"read from {cursor.shown(mark)} on, as a run would" if mark else "read from its `start:` on"

    # --- the plan ----------------------------------------------------------------------------------------------

    def _sent(self) -> dict[tuple[str, int], _Sent]:
        """Return the records of the plan by where their rows stand."""
        (stream,) = self.planned.manifest.streams
        names = ["source", "ordinal", "record", "key", "content"]
        rows = self.planned.rows(stream, range(stream.records), names)
        return {
            (row["source"], row["ordinal"]): _Sent(
                row["record"], row["key"], row["content"], place >= stream.refused_from
            )
            for place, row in enumerate(rows)
        }

    def _reasons(self) -> dict[tuple[str, int], tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Return where each rejected row stands, to the line where that is known, and why it is rejected."""
        file = self.planned.folder / REJECTED
        entries = dead_letters.read(file) if file.exists() else ()
        return {(str(one.origin["source"]), int(one.origin["row"])): (one.origin, one.reasons) for one in entries}

    def _held_back(self) -> dict[tuple[str, int], str]:
        (stream,) = self.planned.manifest.streams
        return {(row["source"], row["ordinal"]): row["run"] for row in self.planned.waiting(stream).to_pylist()}


def _decoded(record: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(record)
    return found
