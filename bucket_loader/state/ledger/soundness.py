"""Whether a ledger's file is what SQLite wrote: all of it after an unclean end, else a part of it at each start.

A clean end leaves a mark in the file: the epoch of the owner that closed it, and which file it was. Whoever opens it
raises the epoch, so the mark is gone until the next clean end: also where that owner was killed, or is of a version
that knows no mark. A copy is another file, and so is one that was restored.

Without a mark, and while the file is small, all of it is read. Else every start reads what it trusts (the small tables,
and the rows of unfinished runs) and the next rows of all others, so that each row has its turn.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import lt
from types import NoneType
from typing import Final, get_args

from bucket_loader.state.ledger.database import NOTE, Row, Statement
from bucket_loader.state.ledger.rows import ChunkState, RunStatus

Query = Callable[..., list[Row]]
WHOLE_PAGES_MAX: Final = 1_000  # 4 MiB, which are read in some 30 ms
PART_ROWS: Final = 1_000  # some 3 ms
_CLOSED: Final = "closed"  # names of notes in `meta`
_LEFT: Final = "left unfinished"
_LOOKED: Final = "looked at"
_SMALL: Final = ("meta", "memory", "refused", "cursor")  # a run reads all of each
_BY_PARTS: Final = ("run", "stream", "chunk", "replay", "loaded_file")
_OF_RUN: Final = ("stream", "chunk", "replay")
_UNFINISHED: Final = "SELECT run FROM run WHERE status IN ('running', 'unfinished')"
_WORDS: Final = {("run", "status"): get_args(RunStatus), ("chunk", "state"): get_args(ChunkState)}
_KINDS: Final = {"INTEGER": int, "TEXT": str, "BLOB": bytes}


def _mark(epoch: int, file: object) -> str:
    return json.dumps([epoch, file])


class Soundness:
    """What is looked at of a file, and noted of it at a clean end."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._place = ""  # up to where its rows were looked at

    def closing_notes(self, epoch: int, file: object) -> list[Statement]:
        """Return the statements that mark a clean end.

        Args:
            epoch: of the owner that closes it.
            file: what tells the file from all others.
        """
        notes = {_CLOSED: _mark(epoch, file), _LEFT: self._unfinished(), _LOOKED: self._place}
        return [(NOTE, note) for note in notes.items()]

    def _unfinished(self) -> str:
        return json.dumps(sorted(run for (run,) in self._query(_UNFINISHED)))

    def _noted(self, name: str) -> str | None:
        rows = self._query("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def whole(self) -> str | None:
        """Read through all of it; return what is wrong."""
        ((verdict,),) = self._query("PRAGMA quick_check(1)")
        return None if verdict == "ok" else str(verdict)

    def at_start(self, file: object) -> str | None:
        """Read as much as a start has to; return what is wrong.

        Args:
            file: what tells the file from all others; None for whoever only looks, beside a run that may go on.
        """
        ((pages,),) = self._query("PRAGMA page_count")
        if pages <= WHOLE_PAGES_MAX or (file is not None and not self._was_closed(file)):
            return self.whole()
        return next(self._wrong(is_closed=file is not None), None)

    def _was_closed(self, file: object) -> bool:
        """Whether the last owner came to a clean end, and nothing happened to the file since."""
        if not self._query("PRAGMA table_info(owner)"):
            return False
        ((epoch,),) = self._query("SELECT epoch FROM owner")
        return self._noted(_CLOSED) == _mark(epoch, file)

    def _wrong(self, *, is_closed: bool) -> Iterator[str]:
        for name in _SMALL:
            yield from self._table(name).wrong("", ())
        if is_closed and self._noted(_LEFT) != self._unfinished():
            yield "not all of its unfinished runs are found"
        for (run,) in self._query(_UNFINISHED):
            for name in _OF_RUN:
                yield from self._table(name).wrong("WHERE run = ?", (run,))
        yield from self._next_part()

    def _next_part(self) -> Iterator[str]:
        """Look at the next rows, and keep the place."""
        left, (name, after) = PART_ROWS, _place(self._noted(_LOOKED) or "")
        for _ in range(len(_BY_PARTS) + 1):  # the first table may have its turn twice
            table = self._table(name)
            rows = table.after(after, left)
            yield from table.wrong_rows(rows)
            yield from table.lost(rows)
            left -= len(rows)
            if left <= 0:
                self._place = json.dumps([name, rows[-1][: table.keys]])
                return
            name, after = _BY_PARTS[(_BY_PARTS.index(name) + 1) % len(_BY_PARTS)], []
        self._place = ""

    def _table(self, name: str) -> "_Table":
        found = sorted(self._query(f"PRAGMA table_info({name})"), key=lambda column: (not column[5], column[5]))
        columns = tuple(  # none where an older ledger that is only looked at lacks the table
            _Column(str(label), _KINDS[kind], required=bool(required or key), words=_WORDS.get((name, label)))
            for _, label, kind, required, _, key in found
        )
        return _Table(self._query, name, columns, sum(bool(column[5]) for column in found))


def _place(noted: str) -> tuple[str, list[object]]:
    """Read the place up to where rows were looked at; the beginning where none is noted."""
    try:
        name, after = json.loads(noted)
    except (ValueError, TypeError):
        return _BY_PARTS[0], []
    return (name, after) if name in _BY_PARTS else (_BY_PARTS[0], [])


@dataclass(frozen=True)
class _Column:
    """What a value of a column may be."""

    name: str
    kind: type
    required: bool
    words: tuple[str, ...] | None

    def allows(self, values: Sequence[object]) -> bool:
        """Whether all of some values may be; all at once, since a start looks at thousands."""
        kinds = {self.kind} if self.required else {self.kind, NoneType}
        return kinds.issuperset(map(type, values)) and (self.words is None or set(values) <= {*self.words, None})


@dataclass(frozen=True)
class _Table:
    """A table that is looked at; its first columns are its key."""

    query: Query
    name: str
    columns: tuple[_Column, ...]
    keys: int

    def after(self, key: list[object], limit: int) -> list[Row]:
        """Return the rows after a key, in the order of their keys."""
        if not self.columns:
            return []
        names = ", ".join(column.name for column in self.columns[: self.keys])
        where = f"WHERE ({names}) > ({', '.join('?' * self.keys)})" if len(key) == self.keys else ""
        return self.query(f"{self._select} {where} ORDER BY {names} LIMIT ?", *(key if where else ()), limit)

    def wrong(self, where: str, parameters: tuple[object, ...]) -> Iterator[str]:
        """Yield what is wrong with some rows."""
        names = ", ".join(column.name for column in self.columns[: self.keys])
        yield from self.wrong_rows(self.query(f"{self._select} {where} ORDER BY {names}", *parameters))

    def wrong_rows(self, rows: list[Row]) -> Iterator[str]:
        """Yield what is wrong with rows that were read in the order of their keys."""
        for column, values in zip(self.columns, zip(*rows, strict=True), strict=bool(rows)):
            if not column.allows(values):
                yield f"a value of {self.name}.{column.name} is none"
        keys = [row[: self.keys] for row in rows]
        if not all(map(lt, keys, keys[1:])):
            yield f"a row of {self.name} is not in its place"

    def lost(self, rows: list[Row]) -> Iterator[str]:
        """Yield which indexes do not lead to all of some rows, which were read in the order of their keys."""
        if not rows:
            return
        names = ", ".join(column.name for column in self.columns[: self.keys])
        marks = ", ".join("?" * self.keys)
        for _, index, _, origin, _ in self.query(f"PRAGMA index_list({self.name})"):
            if origin == "pk":
                continue
            same = " AND ".join(
                f"i.{name} IS r.{name}" for _, _, name, *_ in self.query(f"PRAGMA index_xinfo({index})")
            )
            found = f"SELECT 1 FROM {self.name} i INDEXED BY {index} WHERE {same}"
            within = f"({names}) >= ({marks}) AND ({names}) <= ({marks})"
            statement = f"SELECT 1 FROM {self.name} r WHERE {within} AND NOT EXISTS ({found}) LIMIT 1"
            if self.query(statement, *rows[0][: self.keys], *rows[-1][: self.keys]):
                yield f"its index {index} does not lead to every row"

    @property
    def _select(self) -> str:
        return f"SELECT {', '.join(column.name for column in self.columns)} FROM {self.name}"
