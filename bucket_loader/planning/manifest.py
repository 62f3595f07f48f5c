"""What a plan says of itself and of its streams, and how that is spelt on disk."""

from typing import Any, Final

import msgspec

from bucket_loader.model import PLANNED, Api, ArrayForm, Counts, LoadedFile, RecordKind
from bucket_loader.planning.facts import Facts

VERSION: Final = 2
_ONE_FILE: Final = 1  # the version in which a stream was one file


class RefusedBefore(msgspec.Struct, frozen=True):
    """What is known of the rows of a stream that an earlier run saw refused, with the same bytes.

    Attributes:
        run: the first of the runs that saw one of them refused.
        day: the day of that run's plan.
        file: the Parquet file of those that are not sent again now, beside the manifest; None when all are.
        digest: that file's sha256.
    """

    run: str
    day: str
    file: str | None = None
    digest: str | None = None


class Part(msgspec.Struct, frozen=True):
    """A part of a stream's records: chunking begins anew with it, and one sender at a time delivers it.

    Attributes:
        file: its Parquet file, beside the manifest.
        first: the sequence of its first record.
        records: how many it has.
        digest: the file's sha256.
    """

    file: str
    first: int
    records: int
    digest: str

    @property
    def sequences(self) -> range:
        """The sequences of its records."""
        return range(self.first, self.first + self.records)


class PlannedStream(msgspec.Struct, frozen=True):
    """One stream of a plan.

    Attributes:
        position: its place in the order of delivery, from 0.
        counts: where its rows go; those that are `pending` are the records to be sent.
        known: keys that the stream's memory held; of those, `changed` are sent with another content.
        parts: its records, one part behind the other; at least one.
        mapping: the mapping's fingerprint.
        shares_ids: whether two of its records can name the same user or company.
        remembers: whether its memory grows by what is delivered.
        keyed: whether `key:` identifies its records.
        known_ids: known keys whose ids are remembered too: those that count as removed are some of them.
        nameless: rejected rows that do not say whose they are, so that nothing may be taken for removed.
        without_ids: known keys whose ids are not remembered: delivered before anybody asked for them.
        remembers_ids: whether its memory holds ids.
        cursor: the high-water mark that its rows reached; None where it has none, or does not move.
        files: the files that are not to be loaded again; none without `new_files:`.
        reformed: fingerprints that the mapping had with older forms of values, and what has changed since each.
        is_rekeyed: whether such a form touches its `key:`, so that rows are not known again.
        refused: how many of its records were refused by an earlier run, with the same bytes; they are the last ones.
        known_refused: what is known of them, and of those that are not sent; None when there is none of either.
        times: whether each record has a time of its own, so that none has the plan's.
        lists: the attributes in which lists were seen, each with the length of its longest.
        unmet: what is to be said of names that `exclude:` leaves out and that no row has.
        otherwise: the fingerprint that the mapping has with the other form of lists; None where that is the same.
        names: the fields that it can send, and how each is made, where what is delivered is remembered as values; else
            nothing.
        changed_fields: of the records that have `changed`, how many have changed in each field, where that is known.
        facts: what is known of its reading; None where nothing was read, as when no new file has arrived.
    """

    position: int
    name: str
    kind: RecordKind
    mode: str
    on_unknown: str
    counts: Counts
    known: int
    changed: int
    parts: tuple[Part, ...]
    mapping: str
    shares_ids: bool
    remembers: bool
    keyed: bool
    known_ids: int = 0
    nameless: int = 0
    without_ids: int = 0
    remembers_ids: bool = False
    cursor: str | None = None
    files: tuple[LoadedFile, ...] = ()
    reformed: dict[str, str] = msgspec.field(default_factory=dict)
    refused: int = 0
    is_rekeyed: bool = False
    known_refused: RefusedBefore | None = None
    times: bool = False
    lists: dict[str, int] = msgspec.field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    otherwise: str | None = None
    names: dict[str, str] = msgspec.field(default_factory=dict)
    changed_fields: dict[str, int] = msgspec.field(default_factory=dict)
    facts: Facts | None = None

    @property
    def remembers_values(self) -> bool:
        """Whether its memory holds what was delivered, and not only hashes of it."""
        return bool(self.names)

    @property
    def records(self) -> int:
        """How many records are to be sent."""
        return self.counts.pending

    @property
    def refused_from(self) -> int:
        """How many of them are new; each from that sequence on was refused before."""
        return self.records - self.refused


class Manifest(msgspec.Struct, frozen=True):
    """What a plan says of itself.

    Attributes:
        after: the number of the last run when it was made.
        api: the one that its records are spelt for.
        arrays: how their lists are.
        unfinished: a run that was unfinished when it was made: rows which that one was yet to send are in it too.
    """

    version: int
    run: str
    pipeline: str
    created_at: str
    as_of: str
    interval: tuple[str, str] | None
    after: int
    chunk_records: int
    chunk_bytes: int
    streams: tuple[PlannedStream, ...]
    sources: dict[str, str]
    api: Api = "front"
    arrays: ArrayForm = "flatten"
    unfinished: str | None = None

    @property
    def day(self) -> str:
        """The day on which the plan was made, in UTC."""
        return self.created_at[:10]

    @property
    def bare(self) -> bool:
        """Whether each record is a request of its own, and its body."""
        return self.api != "front"


_FIRST: Final = tuple(count.name for count in PLANNED if not count.is_later)
_LATER: Final = tuple(count.name for count in PLANNED if count.is_later)
# Left out where there is nothing to say: plans without them are the same bytes in every version.
_SELDOM: Final = (
    "reformed",
    "refused",
    "is_rekeyed",
    "refused_before",
    "known_refused",
    "times",
    "lists",
    "unmet",
    "otherwise",
    "names",
    "changed_fields",
    "facts",
)
_BEFORE_LATER: Final = "keyed"  # the members that the first plans lacked come after this one


def encoded(manifest: Manifest) -> bytes:
    """Spell a manifest for the disk; the counts stand among a stream's own members."""
    streams = [_members(stream) for stream in manifest.streams]
    members = msgspec.structs.asdict(manifest) | {"streams": streams}
    if manifest.arrays == "flatten":
        del members["arrays"]
    if manifest.unfinished is None:
        del members["unfinished"]
    return msgspec.json.format(msgspec.json.encode(members), indent=1)


def _members(stream: PlannedStream) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(stream).items():
        if name == "counts":
            found |= {"records": stream.records} | {one: getattr(stream.counts, one) for one in _FIRST}
        elif value or name not in _SELDOM:
            found[name] = value
        if name == _BEFORE_LATER:
            later = {one: getattr(stream.counts, one) for one in _LATER}
            found |= {one: value for one, value in later.items() if value or one not in _SELDOM}
    return found


def decoded(data: bytes) -> Manifest:
    """Read a manifest, of an older version of the program too: what it did not count is 0, and one file is one part.

    Raises:
        msgspec.MsgspecError: it is none.
        UnicodeDecodeError: it is no text.
    """
    found = msgspec.json.decode(data, type=dict[str, Any])
    streams = msgspec.convert(found.get("streams"), list[dict[str, Any]])
    for stream in streams:
        counts = {"pending": stream.pop("records", None)} | {name: stream.pop(name, None) for name in _FIRST}
        stream["counts"] = counts | {name: stream.pop(name, 0) for name in _LATER}
        if found.get("version") == _ONE_FILE:
            whole = {"first": 0, "records": counts["pending"]}
            stream["parts"] = [whole | {name: stream.pop(name, None) for name in ("file", "digest")}]
    if found.get("version") == _ONE_FILE:
        found["version"] = VERSION
    return msgspec.convert(found | {"streams": streams}, Manifest)
