"""Source to plan: the steps of planning, one behind the other.

    source --> read, map, stage --> removals --> compact, compare --> PLAN

Everything is read, judged and compared before the first byte is sent. Nothing here talks to the API.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from bucket_loader.config import Stream, mapping_fingerprint
from bucket_loader.model import ArrayForm, BucketLoaderError, wire_timestamp
from bucket_loader.planning import plan_file
from bucket_loader.planning.compact import Compacted, compact
from bucket_loader.planning.effects import changed_fields
from bucket_loader.planning.fact_finding import facts_of
from bucket_loader.planning.facts import Facts
from bucket_loader.planning.manifest import VERSION, Manifest, PlannedStream
from bucket_loader.planning.names import names_of
from bucket_loader.planning.plan_file import Plan
from bucket_loader.planning.reading import Sources
from bucket_loader.planning.removals import add_removals
from bucket_loader.planning.request import PlanRequest
from bucket_loader.planning.staging import Read, Rejected, read_stream
from bucket_loader.planning.stream_files import StreamFiles
from bucket_loader.state import snapshots


def make_plan(request: PlanRequest) -> Plan:
    """Read, map, validate, compact and compare every stream, and write the plan.

    Raises:
        SourceError: a source is refused, cannot be reached, or changed while it was read.
        UpstreamError: a source is made from what is not as it requires.
        UsageError: the pipeline file does not fit a source's columns.
    """
    sources = Sources(request)
    sources.require_upstream()
    streams = [_plan_stream(request, sources, stream, position) for position, stream in enumerate(request.wanted())]
    sources.require_unchanged()
    sources.clear()
    return plan_file.finish(request.folder, _manifest(request, sources, streams))


def _plan_stream(request: PlanRequest, sources: Sources, stream: Stream, position: int) -> PlannedStream:
    """Take a stream through every step; each step hands on a finished value."""
    files = StreamFiles(request.folder, position, stream.name)
    rejected = Rejected(request, stream, partial(sources.locator, stream))
    with _named(stream):
        read = read_stream(request, sources, rejected, files.base)
    removed = add_removals(request, read, rejected, files)
    compacted = compact(request, stream, read, files)
    facts = facts_of(sources, stream, read)
    return _planned(request, stream, position, _Steps(read, removed, compacted, facts))


class _Steps(NamedTuple):
    """What each step came to."""

    read: Read
    removed: snapshots.Removed
    compacted: Compacted
    facts: Facts | None


def _planned(request: PlanRequest, stream: Stream, position: int, steps: _Steps) -> PlannedStream:
    read, removed, compacted, facts = steps
    return PlannedStream(
        position=position,
        name=stream.name,
        kind=stream.record,
        mode=stream.mode.name,
        on_unknown=stream.on_unknown,
        counts=read.counts + removed.counts + compacted.counts,
        known=compacted.known,
        changed=compacted.changed,
        parts=compacted.parts,
        mapping=_mapping(request, stream, read),
        shares_ids=read.schema is not None and _shares_ids(stream, removed=removed.counts.removed),
        remembers=stream.mode.remembers,
        keyed=stream.key is not None,
        known_ids=removed.known_ids,
        nameless=read.nameless,
        without_ids=removed.without_ids,
        remembers_ids=stream.on_removed is not None,
        cursor=read.mark,
        files=read.files,
        reformed=_reformed(request, stream, read),
        is_rekeyed=read.is_rekeyed,
        refused=compacted.refused,
        known_refused=compacted.known_refused,
        times=_has_times(stream),
        lists=read.lists,
        unmet=read.unmet,
        otherwise=_mapping_otherwise(request, stream, read),
        names=names_of(stream) if stream.remember == "values" else {},
        changed_fields=changed_fields(request, stream, compacted),
        facts=facts,
    )


def _has_times(stream: Stream) -> bool:
    """Whether no record has the plan's time; asked of what is not hashed when it is planned."""
    return not stream.mode.remembers and not stream.ordered and "timestamp" in stream.fields.given()


def _version(read: Read) -> int:
    return max((version for version, _ in read.changed_forms), default=1)


def _mapping(request: PlanRequest, stream: Stream, read: Read, *, forms: int | None = None) -> str:
    keeps_lists = read.has_lists and request.arrays == "keep"
    forms = _version(read) if forms is None else forms
    return mapping_fingerprint(stream, request.pipeline.hmac_key, forms=forms, keeps_lists=keeps_lists)


def _mapping_otherwise(request: PlanRequest, stream: Stream, read: Read) -> str | None:
    """Return the fingerprint with the other form of lists; None where that makes no difference."""
    if not read.has_lists:
        return None
    other: ArrayForm = "flatten" if request.arrays == "keep" else "keep"
    return _mapping(replace(request, arrays=other), stream, read)


def _reformed(request: PlanRequest, stream: Stream, read: Read) -> dict[str, str]:
    """Return the fingerprints that the mapping had with older forms, and what has changed since each."""
    return {
        _mapping(request, stream, read, forms=older): "; ".join(
            what for version, what in read.changed_forms if version > older
        )
        for older in range(1, _version(read))
    }


def _shares_ids(stream: Stream, *, removed: int) -> bool:
    return any(name in stream.fields.given() or removed > 0 for name in stream.kind.ids[1:])


@contextmanager
def _named(stream: Stream) -> Iterator[None]:
    """Name the stream in an error that does not."""
    try:
        yield
    except BucketLoaderError as error:
        if repr(stream.name) not in error.message:
            error.message = f"stream {stream.name!r}: {error.message}"
        raise


def _manifest(request: PlanRequest, sources: Sources, streams: list[PlannedStream]) -> Manifest:
    chunk = request.pipeline.destination.chunk
    interval = None
    if request.interval is not None:
        interval = (wire_timestamp(request.interval[0]), wire_timestamp(request.interval[1]))
    return Manifest(
        version=VERSION,
        run=request.run,
        pipeline=request.pipeline.name,
        created_at=request.made_at,
        as_of=wire_timestamp(request.as_of),
        interval=interval,
        after=request.after,
        chunk_records=chunk.records,
        chunk_bytes=chunk.bytes,
        streams=tuple(streams),
        sources=sources.fingerprints(),
        api=request.pipeline.destination.api,
        arrays=request.arrays,
        unfinished=request.unfinished,
    )


def notes(manifest: Manifest) -> Iterator[str]:
    """Say where a plan could not tell whether a row is gone from the source, and why."""
    for stream in manifest.streams:
        if stream.nameless:
            yield (
                f"{stream.name}: {stream.nameless:,} rejected rows do not say whose they are, so nothing counts as "
                "removed this time"
            )
        if stream.without_ids:
            yield (
                f"{stream.name}: of {stream.known_ids + stream.without_ids:,} known records {stream.without_ids:,} "
                "were delivered before `on_removed:` was there; should they go, nobody knows their ids. `run --full` "
                "learns those of all that are still there"
            )
