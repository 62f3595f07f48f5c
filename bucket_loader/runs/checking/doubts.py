"""All doubts about a planned sample: of its streams, its ids, its fields, and the rows that it rejects."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bucket_loader.config import Stream
from bucket_loader.model import Counts, literal
from bucket_loader.planning import Plan, PlannedStream, dropped_part
from bucket_loader.reporting import Doubt
from bucket_loader.runs.checking.ids import Ids, doubts_of_ids, kept_ids
from bucket_loader.runs.checking.questions import FEW, HARMFUL, ODD, QUESTIONS, WRONG, Question, found_words
from bucket_loader.runs.checking.rejected import SCALE, Ends, RejectedRows
from bucket_loader.runs.checking.sample import Sample
from bucket_loader.runs.checking.subjects import ROWS, Subject, columns_of, rows_of, subjects_of
from bucket_loader.runs.job import Job
from bucket_loader.state import REJECTED, own_database

if TYPE_CHECKING:
    import duckdb

LIMIT: Final = "limit"
_FIELDS_AT_ONCE: Final = 12


@dataclass(frozen=True)
class Looked:
    """What is doubted: a sample, and the plan that was made of it."""

    job: Job
    planned: Plan
    sample: Sample

    def streams(self) -> Iterator[tuple[Stream, PlannedStream]]:
        """Yield the streams that were planned."""
        written = {stream.name: stream for stream in self.job.pipeline.streams}
        for planned in self.planned.manifest.streams:
            yield written[planned.name], planned

    def is_whole(self, stream: PlannedStream) -> bool:
        """Whether whoever is in a stream's source was seen: it was read to its end, and hardly a row is rejected."""
        counts = stream.counts
        few_rejected = counts.rejected * 100 <= counts.read
        return self.sample.is_whole(stream.name) and self.job.options.interval is None and few_rejected


def doubts_of(looked: Looked) -> list[Doubt]:
    """Return all doubts; of each stream those that may do most harm first."""
    with own_database(looked.planned.folder) as connection:
        found = [
            *(doubt for stream, planned in looked.streams() for doubt in _of_stream(looked, stream, planned)),
            *_of_values(looked, connection),
            *_unwritten_lists(looked),
        ]
    order = {planned.name: position for position, planned in enumerate(looked.planned.manifest.streams)}
    return sorted(
        _without_narrower(found),
        key=lambda doubt: (order[doubt.stream], -doubt.weight, -doubt.count / max(doubt.of, 1)),
    )


def _without_narrower(found: list[Doubt]) -> list[Doubt]:
    """Leave out what is doubted of the scores that are sent where it is doubted of all."""
    all_scores = {doubt.stream: doubt for doubt in sorted(found, key=lambda doubt: doubt.of) if doubt.name == SCALE}
    return [doubt for doubt in found if doubt.name != SCALE or doubt is all_scores[doubt.stream]]


def _of_values(looked: Looked, connection: "duckdb.DuckDBPyConnection") -> Iterator[Doubt]:
    subjects: dict[tuple[str, str], Subject] = {}
    kept: list[Ids] = []
    scores: dict[str, Ends] = {}
    for stream, planned in looked.streams():
        columns = columns_of(looked.planned, planned)
        if columns is None:
            continue
        found = subjects_of(stream, columns)
        subjects |= {(stream.name, subject.field): subject for subject in found}
        if planned.records:
            with rows_of(connection, looked.planned, planned):
                yield from _of_fields(connection, found, looked.planned.manifest.as_of)
                for subject in (one for one in found if one.about == "id"):
                    table, is_whole = f"ids{len(kept)}", looked.is_whole(planned)
                    kept.append(kept_ids(connection, subject, table, is_whole=is_whole))
                for subject in (one for one in found if one.about == "score"):
                    scores[stream.name] = _ends(connection, subject)
            yield from _dropped(found, planned.records)
            yield from _personal(looked.planned, planned, {one.field for one in found if one.spec.hash is not None})
    yield from doubts_of_ids(connection, kept)
    letters = looked.planned.folder / REJECTED
    if letters.exists():
        read = {planned.name: planned.counts.read for _, planned in looked.streams()}
        yield from RejectedRows(connection, letters, scores).doubts(subjects, read)


def _ends(connection: "duckdb.DuckDBPyConnection", subject: Subject) -> Ends:
    """Return the least and the greatest number that a field sends."""
    value = f"TRY_CAST({subject.sent} AS DOUBLE)"
    (found,) = connection.execute(f"SELECT min({value}), max({value}) FROM {ROWS}").fetchall()
    return found[0], found[1]


# --- streams -------------------------------------------------------------------------------------------------------


def _of_stream(looked: Looked, stream: Stream, planned: PlannedStream) -> Iterator[Doubt]:
    counts, limit = planned.counts, looked.job.pipeline.limits_of(stream).rejected

    def doubt(name: str, count: int, text: str, hint: str, weight: int = HARMFUL) -> Doubt:
        return Doubt(name, stream.name, None, count, counts.read, text, hint, weight=weight)

    if limit is not None and not limit.allows(counts.rejected, counts.read):
        text = (
            f"{counts.rejected:,} of {counts.read:,} rows are rejected, more than `limits: {{rejected: {limit}}}`: "
            "a run would stop before it sends anything"
        )
        yield doubt(LIMIT, counts.rejected, text, "mend what is below, or raise the limit", HARMFUL + 1)
    if not counts.read:
        yield doubt("no_rows", 0, "its source has no rows", "is it the right file, table or interval?", WRONG)
    elif counts.filtered == counts.read:
        yield doubt(
            "all_filtered", counts.filtered, f"all {counts.read:,} rows fail `where:`", "is the condition right?"
        )
    for sentence in planned.unmet:
        yield doubt("excluded", 0, sentence, "is the name right? capitals count, and what is called otherwise is sent")
    if counts.read >= FEW and counts.superseded * 2 >= max(1, counts.read - counts.filtered):
        yield doubt("superseded", counts.superseded, *_superseded(stream, counts))


def _superseded(stream: Stream, counts: Counts) -> tuple[str, str]:
    """Say that most rows are of somebody whom another row is of as well."""
    text = f"{counts.superseded:,} of {counts.read:,} rows are superseded: a later row has the same "
    if not stream.ordered:
        return text + "`key:`", f"is {' and '.join(stream.key or ())} different for each {stream.record}?"
    hint = f"is each row really {stream.kind.a_name}? of each only the last row is sent"
    return text + " and ".join(name for name in stream.kind.ids if name in stream.fields.given()), hint


# --- fields --------------------------------------------------------------------------------------------------------


def _of_fields(connection: "duckdb.DuckDBPyConnection", subjects: list[Subject], as_of: str) -> Iterator[Doubt]:
    """Ask every question of every field that it is about, of some fields in one query: many take much memory."""
    moment = f"TIMESTAMP {literal(as_of[:23])}"
    for first in range(0, len(subjects), _FIELDS_AT_ONCE):
        some = subjects[first : first + _FIELDS_AT_ONCE]
        asked = [
            (question, subject, f"sent[{number}]")
            for number, subject in enumerate(some, start=1)
            for question in QUESTIONS
            if question.about == subject.about and question.asks(subject)
        ]
        if asked:
            selected = ", ".join(question.selected(subject, sent, moment) for question, subject, sent in asked)
            paths = ", ".join(subject.path for subject in some)  # of all at once: each record is parsed once
            rows = f"(SELECT *, json_extract_string(record, [{paths}]) AS sent FROM {ROWS})"
            (numbers,) = connection.execute(f"SELECT {selected} FROM {rows}").fetchall()
            for position, (question, subject, _) in enumerate(asked):
                yield from _answered(question, subject, *numbers[3 * position : 3 * position + 3])


def _answered(question: Question, subject: Subject, count: int, of: int, found: int | None) -> Iterator[Doubt]:
    """Make a doubt of the answer, if it is one."""
    if question.when(count, of):
        words = found_words(found)
        yield Doubt(
            name=question.name,
            stream=subject.stream.name,
            column=subject.name,
            count=count,
            of=of,
            text=f"{count:,} of {of:,} {question.text_of(subject, words)}",
            hint=question.hint_of(subject),
            line=question.line_of(subject, words),
            weight=question.weight,
        )


def _dropped(subjects: list[Subject], records: int) -> Iterator[Doubt]:
    """Name the attributes that Bucket drops."""
    for subject in subjects:
        if (part := dropped_part(subject.field)) is not None:
            text = f"all {records:,} of {subject.field} are sent in vain: Bucket drops every attribute {part!r}"
            yield Doubt("dropped", subject.stream.name, subject.name, records, records, text, "give it another name")


# --- personal data -------------------------------------------------------------------------------------------------

# The API's documents ask that ids and attributes hold no personal data. Source: S1, S2.
_PERSONAL_NAME: Final = re.compile(
    r"e[-_]?mail|phone|mobile|birth|\bdob\b|passport|\bssn\b|social_?security|street|postal|zip_?code|iban|card_?number|"
    r"(first|last|full|given|family|sur)_?name|ip_?addr",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LOOKED_AT: Final = 200  # records of each stream


def _personal(planned: Plan, stream: PlannedStream, hashed: set[str]) -> Iterator[Doubt]:
    """Name the ids and attributes that look like personal data, by their names or their values."""
    rows = planned.rows(stream, range(min(_LOOKED_AT, stream.records)), ["record"])
    found: dict[str, int] = {}
    for row in rows:
        record = json.loads(row["record"])
        for name, value in _values(record).items():
            if name in hashed or f"attributes.{name}" in hashed:
                continue
            is_address = isinstance(value, str) and _EMAIL.fullmatch(value)
            if is_address or (name not in {"userId", "companyId"} and _PERSONAL_NAME.search(name)):
                found[name] = found.get(name, 0) + 1
    for name, count in found.items():
        text = f"{name!r} looks like personal data, in {count:,} of {len(rows):,} records"
        yield Doubt("personal", stream.name, name, count, len(rows), text, "leave it out, or send `hash: hmac` of it")


def _values(record: Mapping[str, object]) -> dict[str, object]:
    attributes = record.get("attributes", {})
    assert isinstance(attributes, dict)  # noqa: S101  # narrows the type
    return {name: record.get(name) for name in ("userId", "companyId")} | attributes


# --- lists ---------------------------------------------------------------------------------------------------------

_LISTS_NAMED: Final = 3


def _unwritten_lists(looked: Looked) -> Iterator[Doubt]:
    """Ask for `arrays:` where lists occur and it is not written."""
    pipeline = looked.job.pipeline
    if pipeline.arrays is not None or pipeline.destination.api != "front":
        return
    for _, planned in looked.streams():
        if planned.lists:
            named = ", ".join(map(repr, list(planned.lists)[:_LISTS_NAMED]))
            text = f"lists occur (in {named}), and the file does not say how they are sent"
            hint = f"write `arrays: {looked.planned.manifest.arrays}` at its top, as they are now"
            yield Doubt("lists", planned.name, None, len(planned.lists), len(planned.lists), text, hint, weight=ODD)
