"""What becomes of a record that a plan sends: what it was, what it is now, and which of its fields differ."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Any, Final, Literal

import msgspec

from bucket_loader.model import KINDS
from bucket_loader.planning.names import values_in
from bucket_loader.state import snapshots

What = Literal["created", "changed", "removed", "unchanged"]
"""What becomes of a record: `unchanged` is one that is sent again as it was, as `--full` does."""
NOTHING: Final = msgspec.UNSET  # in the place of a value that a record lacks
_STAMP: Final = re.compile(r',"timestamp":"[^"]*"(?=(?:,"context":\{[^{}]*\})?\}$)')
_OPENINGS: Final = ("{", *(f'{{"type":"{kind.wire}",' for kind in KINDS.values() if kind.ordered))


@dataclass(frozen=True)
class Change:
    """What a plan does to one record.

    Attributes:
        what: what becomes of it.
        new: the record as it is sent; JSON.
        old: the record as it was delivered; None where it was not, or is not remembered.
        times: whether the row gives the time in the old and in the new one; else it is a plan's, and says nothing.
    """

    what: What
    new: str
    old: str | None
    times: tuple[bool, bool] = (False, False)

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
        new, old = _values(self.new, is_timed=self.times[1]), _values(self.old or "{}", is_timed=self.times[0])
        paths = unlike(self.new, self.old, self.times) if self.old is not None else [*dict(values_in(self.new))]
        if self.what == "removed":
            paths = [path for path in paths if path in new]  # what a removed record does not say stays as it is
        pairs = {path: (old.get(path, NOTHING), new.get(path, NOTHING)) for path in paths}
        return {path: pair for path, pair in pairs.items() if pair != (NOTHING, NOTHING)}


def _values(record: str, *, is_timed: bool) -> dict[str, Any]:
    """Return the values of a record by their paths, also the one that the stream gives: whether it is active."""
    found = dict(values_in(record))
    if not is_timed:
        found.pop("timestamp", None)
    context = _parts_of(record).context
    return found | {f"context.{name}": msgspec.json.decode(value) for name, value in context.items()}


# --- what differs between two records of a key -----------------------------------------------------------------------


class _Parts(msgspec.Struct, gc=False):
    """What may differ between two records of a key, each value as it is spelt: a million of them are compared."""

    attributes: dict[str, msgspec.Raw] = {}
    context: dict[str, msgspec.Raw] = {}
    timestamp: msgspec.Raw = msgspec.Raw()


_parts_of: Final = msgspec.json.Decoder(_Parts).decode


def unlike(new: str, old: str, times: tuple[bool, bool]) -> list[str]:
    """Return the paths of what differs between two records of a key.

    Args:
        new: the record as it is sent.
        old: the record as it was delivered.
        times: whether the row gives the time in the old and in the new one.
    """
    now, then = _parts_of(new), _parts_of(old)
    found = [f"attributes.{name}" for name in _unlike(now.attributes, then.attributes)]
    if now.context != then.context:
        found += [f"context.{name}" for name in _unlike(now.context, then.context)]
    if times != (False, False) and (times[0] != times[1] or now.timestamp != then.timestamp):
        found.append("timestamp")
    return found


def _unlike(new: Mapping[str, msgspec.Raw], old: Mapping[str, msgspec.Raw]) -> list[str]:
    """Return the names of values that differ: what is spelt alike is alike, and most of it is."""
    found = [
        name
        for name, value in new.items()
        if (before := old.get(name)) != value and (before is None or not _is_same(value, before))
    ]
    return found if old.keys() <= new.keys() else [*found, *(name for name in old if name not in new)]


def _is_same(one: msgspec.Raw, other: msgspec.Raw) -> bool:
    """Whether two values are the same JSON, however it is spelt: 1 is neither 1.0 nor true."""
    return msgspec.json.encode(msgspec.json.decode(one)) == msgspec.json.encode(msgspec.json.decode(other))


def is_own_time(record: str | None, content: bytes | None) -> bool:
    """Whether the row gives the time in a record: a plan's time is no part of the content; without one, it counts."""
    if record is None or content == snapshots.REMOVED:
        return False
    rest = _STAMP.sub("", record)
    return all(md5((one + rest[1:]).encode(), usedforsecurity=False).digest() != content for one in _OPENINGS)
