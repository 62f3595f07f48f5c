"""Lists as values of their own, and what Bucket stores of them and of names (its API since autumn 2026)."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import ClassVar, Final

import pyarrow as pa

from bucket_loader.model import Code, Slice, javascript
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.spelling import DEPTH_MAX, Entries, Local, NoFormError

ITEMS_MAX: Final = 1_000  # of a stored list; beyond it the value becomes the text `[TRUNCATED]`
CHARACTERS_MAX: Final = 2_000  # of a stored list, as JSON of its items as texts
_DROPPED: Final = frozenset({"__proto__", "constructor", "prototype"})
_NAMES_MAX: Final = 1_000  # lists whose lengths are kept: JSON may hold a new name in each row
_ROWS_MAX: Final = 3  # rows that a note names

INSIDE: Final = "hold objects or lists inside a list, which Bucket stores as JSON text"


class TruncatedError(NoFormError):
    """A list is longer than Bucket stores lists."""

    code: ClassVar[Code] = "truncated"


class DroppedError(NoFormError):
    """A value has a name that Bucket drops."""

    code: ClassVar[Code] = "dropped"


@dataclass(frozen=True)
class Arrays:
    """How lists are sent.

    Attributes:
        keep: whether they stay lists; else each item has a dotted name.
        rejects: whether a row is rejected of which Bucket would store less than is sent.
    """

    keep: bool = False
    rejects: bool = False


FLATTENED: Final = Arrays()


@dataclass
class Seen:
    """What was seen in a nested column so far: how long its lists are, and what Bucket makes of them.

    Attributes:
        lists: the longest length of each list, by its dotted name.
        rows: how many rows are told of, by what is told.
        first: the first of them, each with its slice.
    """

    lists: dict[str, int] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[tuple[Slice, int]]] = field(default_factory=dict)
    _row: set[str] = field(default_factory=set)
    _ended: list[tuple[int, str]] = field(default_factory=list)

    def __add__(self, other: "Seen") -> "Seen":
        """Return what was seen in two pieces of a column, whichever of them came first."""
        found = Seen(dict(self.lists), self.rows + other.rows)
        for name, length in other.lists.items():
            found.list_of(name, length)
        for what in found.rows:
            rows = [*self.first.get(what, ()), *other.first.get(what, ())]
            found.first[what] = sorted(rows, key=itemgetter(0))[:_ROWS_MAX]
        return found

    def list_of(self, name: str, length: int) -> None:
        """Keep how long a list is. Of too many names the first ones stay, in the order of the alphabet."""
        if length <= self.lists.get(name, -1):
            return
        self.lists[name] = length
        if len(self.lists) > _NAMES_MAX:
            del self.lists[max(self.lists)]

    def tell(self, what: str) -> None:
        """Keep what is to be told of the row that is being spelt."""
        self._row.add(what)

    def end_row(self, index: int, *, rejected: bool) -> None:
        """Go on to the next row of a batch; a rejected one is told in another way."""
        if self._row and not rejected:
            self._ended += ((index, what) for what in sorted(self._row))
        self._row.clear()

    def end_batch(self, ordinals: pa.Int64Array, of_slice: Slice = (0, 0)) -> None:
        """Name the rows of a batch by their numbers."""
        for index, what in self._ended:
            self.rows[what] += 1
            if len(known := self.first.setdefault(what, [])) < _ROWS_MAX:
                known.append((of_slice, ordinals[index].as_py()))
        self._ended.clear()

    def sentences(self) -> Iterator[str]:
        """Say what was seen, and in which rows."""
        for what, count in sorted(self.rows.items()):
            rows = ", ".join(f"{row:,}" for _, row in self.first[what])
            yield f"{count:,} rows {what} (row {rows}{' ...' if count > len(self.first[what]) else ''})"


@dataclass(frozen=True)
class ListForm:
    """How what stands inside a list is spelt.

    Attributes:
        send_nulls: whether null members of its objects are spelt; null items always are.
        local: moves a time without a zone to UTC.
        seen: told what Bucket makes of it.
        rejects: whether a row with a name that Bucket drops is rejected.
        prunes: whether an object without members is left out.
    """

    send_nulls: bool = False
    local: Local | None = None
    seen: Seen | None = None
    rejects: bool = False
    prunes: bool = False

    def spell(self, value: object, depth: int = 0) -> str:
        """Return the JSON text of a value with all that stands in it; the members of objects sorted by name.

        Raises:
            NoFormError: something in it has none.
        """
        if depth > DEPTH_MAX:
            raise NoFormError("is nested too deeply")
        if isinstance(value, Mapping):
            return self._object(value.items(), depth)
        if isinstance(value, Entries):
            return self._object(value, depth)
        if isinstance(value, (list, tuple)):
            return "[" + ",".join(self.spell(item, depth + 1) for item in value) + "]"
        return spelling.spell(value, self.local)

    def items(self, value: Sequence[object]) -> list[str]:
        """Return the JSON texts of a list's items."""
        return [self.spell(item, 1) for item in value]

    def _object(self, pairs: Iterable[tuple[object, object]], depth: int) -> str:
        members: dict[str, str] = {}
        for key, child in pairs:
            name = spelling.key_text(key, self.local)
            self._check_name(name)
            spelt = self.spell(child, depth + 1)
            if (spelt == "null" and not self.send_nulls) or (spelt == "{}" and self.prunes):
                continue
            if name in members:
                raise NoFormError("has two values with one name, and one would hide the other")
            members[name] = f"{spelling.spell(name)}:{spelt}"
        return "{" + ",".join(members[name] for name in sorted(members)) + "}"

    def _check_name(self, name: str) -> None:
        if self.seen is not None and (part := dropped_part(name)):
            refuse_or_tell(self.seen, DroppedError(named(part)), rejects=self.rejects)


def refuse_or_tell(seen: Seen, error: NoFormError, *, rejects: bool) -> None:
    """Raise what Bucket would store less of, or keep it to be told."""
    if rejects:
        raise error
    seen.tell(str(error).replace("holds", "hold", 1))


@lru_cache(maxsize=4096)
def dropped_part(name: str) -> str | None:
    """Return the part of a dotted name for which Bucket drops the value; None where it drops nothing."""
    return next((part for part in name.replace("\0", "").split(".") if part in _DROPPED), None)


def named(part: str) -> str:
    """Say what Bucket drops."""
    return f"holds a value with the name {part!r}, which Bucket drops"


def require_stored(items: Sequence[str], seen: Seen, *, rejects: bool) -> None:
    """Hold a list against what Bucket stores of lists.

    Raises:
        TruncatedError: it is longer, and such rows are rejected.
    """
    if any(item[0] in "[{" for item in items):
        seen.tell(INSIDE)
    if len(items) > ITEMS_MAX:
        which = f"a list of more than {ITEMS_MAX:,} items"
    elif _characters(items) > CHARACTERS_MAX:
        which = f"a list of more than {CHARACTERS_MAX:,} characters"
    else:
        return
    refuse_or_tell(seen, TruncatedError(f"holds {which}, which Bucket stores as `[TRUNCATED]`"), rejects=rejects)


def _characters(items: Sequence[str]) -> int:
    """Return the length of a list as JSON, once its items are texts."""
    return sum(map(_stored, items)) + len(items) + 1


def _stored(item: str) -> int:
    length = len(item) if item.isascii() else len(item.encode("utf-16-le")) // 2  # as JavaScript counts
    if item[0] == '"':
        return length
    if item[0] in "[{":
        return length + item.count('"') + item.count("\\") + 2
    return len(javascript.text(json.loads(item))) + 2
