"""The text of the SELECT, from the compiled values: levels of letters, then the record, its key, its verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bucket_loader.model import contract, literal, wire_timestamp
from bucket_loader.planning.mapping.checks import BITS, Check
from bucket_loader.planning.mapping.columns import named_columns
from bucket_loader.planning.mapping.members import Member, NestedColumn, Value
from bucket_loader.planning.mapping.spec import MappingSpec


@dataclass(frozen=True)
class Select:
    """Everything the SELECT is made of.

    Attributes:
        spec: what is compiled.
        members: the members of each field.
        values: the single values among them, by number.
        checks: what can be wrong with a row.
        columns: the numbers of the columns that are read.
        named: the numbers of the columns that expressions use, by name.
        gathered: what limits ask of the rows: SQL by the name of its column.
    """

    spec: MappingSpec
    members: Mapping[str, Sequence[Member]]
    values: Sequence[Value]
    checks: Sequence[Check]
    columns: Sequence[int]
    named: Mapping[str, int]
    gathered: Mapping[str, str]

    def text(self) -> str:
        """Return the statement: one row out for each row in, in order."""
        level = self._guarded("input")
        level = _over(level, [f"{value.base} AS s{value.number}" for value in self.values if not value.guarded])
        level = _over(level, [f"{value.nullable} AS n{value.number}" for value in self.values])
        level = _over(level, [f"{value.fill(value.form.parsed)} AS p{value.number}" for value in self.values])
        level = _over(level, [f"{value.fill(value.form.value)} AS v{value.number}" for value in self.values])
        level = _over(level, [f"{self._object(name)} AS {name}" for name in self._objects()])
        level = self._spelt(level)
        filtered = "coalesce(w.v IS NOT TRUE AND w IS NOT NULL, false)" if self.spec.where is not None else "false"
        subject = [f"{self._subject()} AS subject"] if self.spec.stream.on_removed is not None else []
        return (
            f"SELECT i, record, {self._key()} AS key, {self._content()} AS content, {filtered} AS filtered, "
            f"{', '.join([*subject, *self._gathered(), *self._masks()])} FROM {level}"
        )

    def _gathered(self) -> list[str]:
        return [f"{sql} AS {name}" for name, sql in self.gathered.items()]

    def _spelt(self, level: str) -> str:
        """Add the record, and the text that is its content where that is asked for and is another."""
        head, tail = self._head(), literal(self._tail())
        stamp = f"coalesce({self._timestamp()}, {literal(self._as_of())})"
        if self.spec.api == "front" and (not self._compares or self._is_content):
            return _over(level, [f"{_joined([*head, stamp, tail])} AS record"])
        level = _over(level, [f"{_joined(head)} AS head", f"{self._timestamp()} AS stamp"])
        record = _joined([self._sent_head(), f"coalesce(stamp, {literal(self._as_of())})", tail])
        return _over(level, [f"{record} AS record", f"{_joined(['head', 'stamp', tail])} AS content"])

    @property
    def _compares(self) -> bool:
        """Whether anybody asks what a record holds, besides whose it is: the comparison, a receipt, the refusals."""
        return self.spec.stream.mode.remembers or self.spec.hashed

    @property
    def _is_content(self) -> bool:
        """Whether the record is its content: the moment in it is its own, and a row without one is rejected."""
        return "timestamp" in self.members and not self.spec.stream.ordered and self.spec.api == "front"

    def _content(self) -> str:
        """Return the content, hashed."""
        if not self._compares:
            return "CAST(NULL AS BLOB)"
        return f"unhex(md5({'record' if self._is_content else 'content'}))"

    def _guarded(self, level: str) -> str:
        """Evaluate what a person wrote, where nothing of ours has a name that a column could have."""
        guarded = [f"{value.source} AS s{value.number}" for value in self.values if value.guarded]
        if self.spec.where is not None:
            guarded.append(f"TRY({{'v': ({self.spec.where}\n)}}) AS w")
        if not guarded:
            return level
        hidden = "_"
        while any(name.startswith(hidden) for name in self.named):
            hidden += "_"
        ours = ["i", *(f"c{index}" for index in self.columns)]
        ours += [f"{letter}{member.number}" for member in self._nested() for letter in "jx"]
        renamed = [f'{name} AS "{hidden}{name}"' for name in ours] + named_columns(self.named)
        shown = [f'"{hidden}{name}" AS {name}' for name in ours] + guarded
        return f"(SELECT {', '.join(shown)} FROM (SELECT {', '.join(renamed)} FROM {level}))"

    def _nested(self) -> list[NestedColumn]:
        return [member for field in self.members.values() for member in field if isinstance(member, NestedColumn)]

    def _objects(self) -> list[str]:
        rules = contract.rules(self.spec.stream.record)
        return [name for name, rule in rules.items() if rule.form == "values" and name in self.members]

    def _object(self, name: str) -> str:
        """Spell an object's members, commas between them; empty when all are null."""
        if self.spec.is_whole(name):
            return self._tree([(member.target.split(".")[1:], member) for member in self.members[name]])
        texts = [self._member(member, member.target.partition(".")[2]) for member in self.members[name]]
        return f"concat_ws(',', {', '.join(texts)})" if texts else "''"

    def _tree(self, members: Sequence[tuple[Sequence[str], Member]]) -> str:
        """Spell members as objects in one another, by the parts of their names; empty objects are left out."""
        below: dict[str, list[tuple[Sequence[str], Member]]] = {}
        for path, member in members:
            below.setdefault(path[0], []).append((path[1:], member))
        texts = []
        for name, inner in sorted(below.items()):
            if len(inner) == 1 and not inner[0][0]:
                texts.append(self._member(inner[0][1], name))
            else:
                opening = literal(f"{json.dumps(name, ensure_ascii=False)}:{{")
                texts.append(f"{opening} || nullif({self._tree(inner)}, '') || '}}'")
        return f"concat_ws(',', {', '.join(texts)})" if texts else "''"

    def _member(self, member: Member, name: str, before: str = "") -> str:
        """Spell one member, or several of a nested column; null when there is none."""
        if isinstance(member, NestedColumn) and member.list_of is None and not member.is_whole:
            return f"j{member.number}"
        opening = f"{before}{json.dumps(name, ensure_ascii=False)}:"
        if isinstance(member, NestedColumn):
            return f"{literal(opening)} || j{member.number}"
        spelt = f"{literal(opening)} || {member.fill(member.form.json)}"
        nulls_are_sent = self.spec.stream.nulls == "send" and "." in member.target
        return f"coalesce({spelt}, {literal(opening + 'null')})" if nulls_are_sent else spelt

    def _head(self) -> list[str]:
        texts = [literal(self._opening())]
        for name in contract.rules(self.spec.stream.record):
            if name in self._objects():
                opening = f',"{name}":{{'
                texts += [f"CASE WHEN {name} <> '' THEN {literal(opening)} END", name]
                texts.append(f"CASE WHEN {name} <> '' THEN '}}' END")
            elif name in self.members and name != "timestamp":
                texts += [self._member(member, name, ",") for member in self.members[name]]
        return texts

    def _opening(self) -> str:
        return f'{{"type":"{self.spec.stream.kind.wire}"'

    def _sent_head(self) -> str:
        """Return the head as it is sent: the legacy APIs know no `type`, and it is member of the content all the same.

        What was delivered through one API is then known again when the other is used.
        """
        return "head" if self.spec.api == "front" else f"'{{' || substr(head, {len(self._opening()) + 2})"

    def _timestamp(self) -> str:
        if "timestamp" not in self.members:
            return "CAST(NULL AS VARCHAR)"
        (member,) = self.members["timestamp"]
        return self._member(member, "timestamp", ",")

    def _as_of(self) -> str:
        if "timestamp" not in contract.rules(self.spec.stream.record, self.spec.api):
            return ""
        return f',"timestamp":"{wire_timestamp(self.spec.as_of)}"'

    def _tail(self) -> str:
        active = self.spec.stream.active
        if active is None and self.spec.stream.ordered:
            active = False  # a background sync is no activity. Source: S4, context.active
        return "}" if active is None else f',"context":{{"active":{json.dumps(active)}}}}}'

    def _key(self) -> str:
        """Return the identity, hashed: the ids, or `key:`, or the content. The `1` is the encoding's version."""
        names = self.spec.stream.kind.ids if self.spec.stream.ordered else ("key.",)
        members = [member for name in names for member in self.members.get(name, [])]
        if not members:
            return self._content()
        return self._hashed([member for member in members if isinstance(member, Value)])

    def _subject(self) -> str:
        """Return what must be gone for a row to be removed, hashed: the user, or the company with whatever user."""
        members = self.members[self.spec.stream.kind.subject]
        return self._hashed([member for member in members if isinstance(member, Value)])

    def _hashed(self, values: Sequence[Value]) -> str:
        texts = [f"coalesce(CAST(to_json({value.fill(value.form.text)}) AS VARCHAR), 'null')" for value in values]
        return _hash(self.spec.stream.record, " || ',' || ".join(texts))

    def _masks(self) -> list[str]:
        predicates = [f"({check.predicate})" for check in self.checks]
        masks = []
        for start in range(0, len(predicates), BITS):
            group = predicates[start : start + BITS]
            bits = [f"CASE WHEN {wrong} THEN {1 << position} ELSE 0 END" for position, wrong in enumerate(group)]
            total = " + ".join(f"CAST({bit} AS BIGINT)" for bit in bits)
            masks.append(f"CASE WHEN {' OR '.join(group)} THEN {total} ELSE CAST(0 AS BIGINT) END AS m{start // BITS}")
        return masks


_FIRST_ID: Final = r"""regexp_extract(ids, '^\{"[A-Za-z]+":("(?:[^"\\]|\\.)*")', 1)"""


def _hash(record: str, spelt: str) -> str:
    return f"unhex(md5('1:{record}:' || {spelt}))"


def subject_of_ids(record: str) -> str:
    """Return SQL for the subject of a row of which only `ids` is left: JSON, the subject's own id first."""
    return _hash(record, _FIRST_ID)


def _joined(texts: Sequence[str]) -> str:
    """Join texts; null ones are left out. Not `||`, which copies the text at each of them and nests too deep."""
    return f"concat({', '.join(texts)})"


def _over(level: str, added: list[str]) -> str:
    return f"(SELECT {', '.join(['*', *added])} FROM {level})"
