"""Contexts before and after a plan: what was said of each subject, merged as the API merges it.

An attribute is what was last said of it: by what is remembered, in the order in which streams are delivered, and then
by the plan. What a record does not name stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import Edition, as_numpy, flatten, int64_array
from bucket_loader.runs.impact.asked import Asked, holders, why_outside
from bucket_loader.runs.impact.columns import Column, Numbers, Truths, Unknown, Value
from bucket_loader.runs.impact.engine import Table
from bucket_loader.runs.impact.gathered import BEFORE, NOT_REMEMBERED, Gathered

_AT_ONCE: Final = 1 << 15
_ABSENT: Final = -1
_CONFLICT: Final = "!"  # no JSON: records of one stream say different things, and nobody knows which came last
_LOST: Final = {
    NOT_REMEMBERED: "what was delivered is not remembered (`remember: values`, then `run --full`, learns it)",
    _CONFLICT: "the records of its users say different things, and which came last is not known",
}


@dataclass(frozen=True)
class Contexts:
    """Some contexts, before and after: each is a row twice, first all as they were, then all as they will be.

    Attributes:
        table: the contexts.
        companies: the company of each; None for a user who is in none.
        users: the user of each; None where a company is looked at alone.
    """

    table: Table
    companies: Sequence[str | None]
    users: Sequence[str | None]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.companies)


@dataclass(frozen=True)
class ContextsOf:
    """The contexts that a plan touches.

    Attributes:
        found: what is known of its companies and users.
        edition: how lists are kept.
        outside: what else rules ask for.
    """

    found: Gathered
    edition: Edition
    outside: Sequence[str]

    def companies(self) -> Iterator[Contexts]:
        """Yield the companies, each alone: for rules that ask for nothing of users."""
        for part in _parts(self.found.count("touched_company")):
            said = _said(self.found, "company", f"SELECT id FROM touched_company WHERE {part}")
            columns = dict(_Rows.all_of(said).columns(self.edition, self.found.sent["company"]))
            yield self._with_outside(columns, said.ids, [None] * len(said.ids))

    def users(self) -> Iterator[Contexts]:
        """Yield users with each company that they are known with; companies and users without any stand alone."""
        database = self.found.database
        database.execute(
            "CREATE OR REPLACE TABLE contexts AS SELECT company, member FROM pairs "
            "UNION ALL SELECT id, NULL FROM touched_company WHERE id NOT IN (SELECT company FROM pairs) "
            "UNION ALL SELECT NULL, id FROM touched_user WHERE id NOT IN (SELECT member FROM pairs)"
        )
        for part in _parts(self.found.count("contexts"), "coalesce(company, member)"):
            database.execute(f"CREATE OR REPLACE TABLE block AS SELECT * FROM contexts WHERE {part}")
            pairs = database.sql("SELECT company, member FROM block ORDER BY ALL").to_arrow_table()
            names, members = pairs["company"].to_pylist(), pairs["member"].to_pylist()
            columns = dict[str, Column]()
            for whose, column, ids in (("company", "company", names), ("user", "member", members)):
                rows = _Rows.of(_said(self.found, whose, f"SELECT {column} FROM block"), ids)
                columns |= rows.columns(self.edition, self.found.sent[whose])
            yield self._with_outside(columns, names, members)

    def _with_outside(
        self, columns: dict[str, Column], companies: Sequence[str | None], users: Sequence[str | None]
    ) -> Contexts:
        rows = 2 * len(companies)
        unknown = {name: Column.of_one(Unknown(why_outside(name) or name), rows) for name in self.outside}
        return Contexts(Table(rows, columns | unknown), companies, users)


def _parts(count: int, id_: str = "id") -> Iterator[str]:
    """Yield conditions that each hold for about so many of all rows as may be held together."""
    parts = -(-count // _AT_ONCE)
    yield from (f"hash({id_}) % {parts} = {number}" if parts > 1 else "true" for number in range(parts))


# --- what was said, merged -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Said:
    """What is known of some subjects.

    Attributes:
        asked: what is asked of them.
        ids: the subjects, ascending.
        before: for each attribute and subject the place of what was last said; `_ABSENT` for nothing.
        after: the same, after the plan.
        texts: for each attribute what is said, as JSON.
    """

    asked: Asked
    ids: Sequence[str]
    before: Sequence[Numbers]
    after: Sequence[Numbers]
    texts: Sequence[Sequence[str]]


def _said(found: Gathered, whose: str, ids: str) -> _Said:
    """Merge what was said of some subjects, of whom nothing may be known."""
    asked = found.asked[whose]
    values = "".join(f", v{number}" for number in range(len(asked.attributes)))
    nothing = ", NULL" * len(asked.attributes)
    table = found.database.sql(
        f"SELECT id, side, place{values} FROM ("
        f"SELECT id, side, place, number{values} FROM said_{whose} WHERE id IN ({ids}) "
        f"UNION ALL SELECT DISTINCT *, {BEFORE}, -1, -1{nothing} FROM ({ids}) AS ids (id) WHERE id IS NOT NULL"
        ") ORDER BY id, side, place, number"
    ).to_arrow_table()
    if not table.num_rows:
        return _Said(asked, [], [], [], [])
    groups = _Groups.of(table)
    merged = [groups.merged(table[f"v{number}"]) for number in range(len(asked.attributes))]
    ids = table["id"].take(int64_array(groups.first)).to_pylist()
    return _Said(asked, ids, [one[0] for one in merged], [one[1] for one in merged], [one[2] for one in merged])


@dataclass(frozen=True)
class _Groups:
    """The rows of each subject, in the order in which they were said.

    Attributes:
        first: the first row of each.
        last: the last.
        before: the last that is remembered.
        repeats: which rows stand behind another one of the same subject and stream that is remembered.
    """

    first: Numbers
    last: Numbers
    before: Numbers
    repeats: Truths

    @classmethod
    def of(cls, table: pa.Table) -> "_Groups":
        """Find them in rows that are in order: at least one, and the first of each is remembered."""
        ids, sides, places = table["id"].combine_chunks(), _numbers(table["side"]), _numbers(table["place"])
        is_same = np.append(False, _truths(pc.equal(ids[1:], ids[:-1])))
        first = np.flatnonzero(~is_same)
        last = np.append(first[1:], len(ids)) - 1
        after = np.add.reduceat(sides, first)
        is_of_stream = np.append(False, places[1:] == places[:-1])
        return cls(first, last, last - after, is_same & is_of_stream & (sides == BEFORE))

    def merged(self, column: pa.ChunkedArray) -> tuple[Numbers, Numbers, list[str]]:
        """Return what was last said before, and after, as places in the texts that are said."""
        whole = column.combine_chunks().dictionary_encode()
        codes = _numbers(whole.indices.fill_null(_ABSENT))
        texts = [*whole.dictionary.to_pylist(), _CONFLICT]
        said_at = np.maximum.accumulate(np.where(codes != _ABSENT, np.arange(len(codes)), -1))
        codes = self._with_conflicts(codes, said_at, texts)
        return self._at(self.before, codes, said_at), self._at(self.last, codes, said_at), texts

    def _at(self, rows: Numbers, codes: Numbers, said_at: Numbers) -> Numbers:
        where = said_at[rows]
        return np.where(where >= self.first, codes[np.maximum(where, 0)], _ABSENT)

    def _with_conflicts(self, codes: Numbers, said_at: Numbers, texts: Sequence[str]) -> Numbers:
        """Mark what differs from what another record of the same stream says of the subject."""
        if not self.repeats.any():
            return codes
        conflict = len(texts) - 1
        lost = texts.index(NOT_REMEMBERED) if NOT_REMEMBERED in texts else conflict
        earlier = np.append(-1, said_at[:-1])
        there = codes[np.maximum(earlier, 0)]
        starts = np.zeros(len(codes), np.int64)
        starts[self.first] = self.first
        is_there = self.repeats & (codes != _ABSENT) & (earlier >= np.maximum.accumulate(starts)) & (there != lost)
        return np.where(is_there & (there != codes), conflict, codes)


def _numbers(column: pa.Array | pa.ChunkedArray) -> Numbers:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return as_numpy(whole.cast(pa.int64()))


def _truths(column: pa.BooleanArray) -> Truths:
    """Return truths, none of them null, as numpy has them."""
    found: Truths = as_numpy(column.cast(pa.int64())) == 1
    return found


# --- columns ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """Subjects, a row each.

    Attributes:
        said: what is known of them.
        places: for each row the place of its subject; -1 for none.
    """

    said: _Said
    places: Numbers

    @classmethod
    def all_of(cls, said: _Said) -> "_Rows":
        """Return each subject once."""
        return cls(said, np.arange(len(said.ids)))

    @classmethod
    def of(cls, said: _Said, ids: Sequence[str | None]) -> "_Rows":
        """Return the rows that have these subjects."""
        where = {id_: place for place, id_ in enumerate(said.ids)}
        return cls(said, np.array([-1 if id_ is None else where[id_] for id_ in ids], np.int64))

    def columns(self, edition: Edition, sent: set[str]) -> Iterator[tuple[str, Column]]:
        """Yield the fields, of all rows before and then of all rows after."""
        whose, rows = self.said.asked.whose, len(self.places)
        out_of_sight = f"no {whose} is in sight"
        ids: list[Value] = [*self.said.ids, Unknown(f"{whose}.id: {out_of_sight}")]
        yield f"{whose}.id", Column(np.tile(self.places % len(ids), 2), ids)
        for field in self.said.asked.fields:
            is_sent = not sent.isdisjoint(holders(field))
            column = self._column(field, edition) if is_sent else Column.of_one(_never_sent(field), 2 * rows)
            values: list[Value] = [*column.values, Unknown(f"{field}: {out_of_sight}")]
            is_nobody = np.tile(self.places < 0, 2)
            spelt = [*column.spelt, None] if column.spelt else ()
            yield field, Column(np.where(is_nobody, len(column.values), column.codes), values, spelt)

    def _column(self, field: str, edition: Edition) -> Column:
        names = holders(field)
        numbers = [self.said.asked.attributes.index(name) for name in names]
        if not self.said.ids:
            return Column.of_one(None, 2 * len(self.places))
        codes = [
            np.concatenate([side[number][self.places] for side in (self.said.before, self.said.after)])
            for number in numbers
        ]
        texts = [[*self.said.texts[number], None] for number in numbers]  # the last stands at `_ABSENT`
        if len(names) == 1 or all((one == _ABSENT).all() for one in codes[1:]):
            values = [_value(field, names[:1], (text,), edition) for text in texts[0]]
            return Column(codes[0] % len(values), values, texts[0])
        together, places = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
        found = [tuple(some[code] for some, code in zip(texts, one, strict=True)) for one in together.tolist()]
        return Column(places.reshape(-1), [_value(field, names, one, edition) for one in found])


def _never_sent(field: str) -> Unknown:
    return Unknown(f"{field}: no stream of this pipeline sends it")


def _value(field: str, names: Sequence[str], texts: Sequence[str | None], edition: Edition) -> Value:
    """Return the value of a field: of the attribute with its whole name, else of what is inside of a shorter one."""
    whose, _, path = field.partition(".")
    for name, text in zip(names, texts, strict=True):
        if text is None:
            continue
        if text in _LOST:
            return Unknown(f"{field}: {_LOST[text]}")
        value = msgspec.json.decode(text)
        if isinstance(value, str) and name == path:  # as most are
            return value
        found = flatten({whose: {name: value}}, edition).get(field)
        if found is not None:
            return found
    return None
