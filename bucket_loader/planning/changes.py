"""What a plan changes: each record that it sends, beside what its stream remembers of it.

the plan's records --by their keys--> what is remembered --> created, changed, removed, the same again
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa

from bucket_loader.config import Stream
from bucket_loader.model import KINDS, int64_array
from bucket_loader.planning import plan_file
from bucket_loader.planning.names import values_in
from bucket_loader.planning.request import PlanRequest
from bucket_loader.state import snapshots

What = Literal["created", "changed", "removed", "unchanged"]
"""What becomes of a record: `unchanged` is one that is sent again as it was, as `--full` does."""
NOTHING: Final = msgspec.UNSET  # in the place of a value that a record lacks
_WITH_RECORDS: Final = snapshots.part_schema(records=True)


@dataclass(frozen=True)
class Change:
    """What a plan does to one record.

    Attributes:
        what: what becomes of it.
        new: the record as it is sent; JSON.
        old: the record as it was delivered; None where it was not, or is not remembered.
        is_timed: whether the row gives its timestamp; else that is the plan's, and no part of the comparison.
    """

    what: What
    new: str
    old: str | None
    is_timed: bool

    def ids(self, kind: str) -> dict[str, Any]:
        """Return the ids that it is known by."""
        found = dict(values_in(self.new))
        return {name: found[name] for name in KINDS[kind].ids if name in found}

    def fields(self) -> dict[str, tuple[Any, Any]] | None:
        """Return what differs: by the field's path its old and its new value, `NOTHING` for none.

        None where nobody knows: it has changed, and what it was is not remembered.
        """
        if self.what == "changed" and self.old is None:
            return None
        new, old = self._values(self.new), self._values(self.old)
        gone = () if self.what == "removed" else (path for path in old if path not in new)  # those stay as they are
        pairs = {path: (old.get(path, NOTHING), new.get(path, NOTHING)) for path in (*new, *gone)}
        return {path: pair for path, pair in pairs.items() if not _is_same(*pair)}

    def _values(self, record: str | None) -> dict[str, Any]:
        found = {} if record is None else dict(values_in(record))
        if not self.is_timed:
            found.pop("timestamp", None)
        return found


def _is_same(one: object, other: object) -> bool:
    """Whether two values are the same JSON: 1 is neither 1.0 nor true."""
    if isinstance(one, list | dict):
        return one == other and msgspec.json.encode(one) == msgspec.json.encode(other)
    return type(one) is type(other) and one == other


def changes(batches: Iterable[pa.RecordBatch], memory: snapshots.Memory, *, is_timed: bool) -> Iterator[Change]:
    """Yield what a plan does to each of its records, in their order.

    Args:
        batches: the records: `key`, `content`, `record`.
        memory: what their stream remembers.
        is_timed: whether the rows give the timestamps.
    """
    for batch in batches:
        found = _remembered(batch["key"], memory)
        rows = zip(*(batch[name].to_pylist() for name in ("key", "content", "record")), strict=True)
        for key, content, record in rows:
            known, old = found.get(key, (snapshots.REMOVED, None))
            yield Change(_what(content, known), record, old, is_timed)


def _what(content: bytes | None, known: bytes | None) -> What:
    """Return what becomes of a record, by its content and the one that is remembered; None is one that is claimed."""
    if content == snapshots.REMOVED:
        return "removed"
    if known == snapshots.REMOVED:
        return "created"
    return "unchanged" if content == known else "changed"


def _remembered(keys: pa.Array, memory: snapshots.Memory) -> Mapping[bytes, tuple[bytes | None, str | None]]:
    """Return what is remembered of some keys: the content, and the record where that is kept."""
    table = memory.find(np.unique(snapshots.as_keys(keys)), _WITH_RECORDS)
    values = zip(table["content"].to_pylist(), table["record"].to_pylist(), strict=True)
    return dict(zip(table["key"].to_pylist(), values, strict=True))


def changed_fields(request: PlanRequest, stream: Stream, file: Path) -> dict[str, int]:
    """Count the known records of a plan's file that have changed, by field; none where nobody knows what they were."""
    memory = request.memory_of(stream)
    if "record" not in memory.schema.names:
        return {}
    known = (_known(batch, memory) for batch in plan_file.records_in(file))
    is_timed = "timestamp" in stream.fields.given()
    found = Counter(
        path for change in changes(known, memory, is_timed=is_timed)
        if change.what == "changed" for path in change.fields() or ()
    )  # fmt: skip
    return dict(sorted(found.items()))


def _known(batch: pa.RecordBatch, memory: snapshots.Memory) -> pa.RecordBatch:
    """Return the rows of a batch whose keys are remembered."""
    return batch.take(int64_array(np.flatnonzero(memory.names(batch["key"]).to_numpy(zero_copy_only=False))))
