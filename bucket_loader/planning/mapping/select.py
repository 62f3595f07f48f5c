"""The text of the SELECT, from the compiled values: levels of letters, then the record, its key, its verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bucket_loader.config import FieldSpec, Stream
from bucket_loader.model import contract, wire_timestamp
from bucket_loader.planning.mapping.apply import Check, NestedColumn
from bucket_loader.planning.mapping.forms import Family, Form, identifier, literal

BITS: Final = 62  # checks in one mask: a BIGINT without its sign


@dataclass(frozen=True)
class Value:
    """One value of the record: where it goes, where it comes from, its form.

    Attributes:
        number: its place among the values.
        target: a field, `attributes.<name>`, or `key.<column>`.
        base: SQL over the input: a column by number, a constant, or an expression.
        spec: what the pipeline file says of it.
        guarded: whether the base is an expression that may fail for a row.
        family: the type it has at its base.
        form: how it goes on.
    """

    number: int
    target: str
    base: str
    spec: FieldSpec
    guarded: bool
    family: Family = "null"
    form: Form = field(default_factory=Form)

    def fill(self, template: str) -> str:
        """Put this value's names into a template of its form."""
        # Not str.format: templates hold braces of their own, in patterns and in structs.
        for letter in "npv":
            template = template.replace(f"{{{letter}}}", f"{letter}{self.number}")
        return template

    @property
    def source(self) -> str:
        """The level `s`: an expression is wrapped so that it is NULL only where it fails."""
        return f"TRY({{'v': ({self.base}\n)}})" if self.guarded else self.base

    @property
    def nullable(self) -> str:
        """The level `n`: null values made null, then the default."""
        found = f"s{self.number}.v" if self.guarded else f"s{self.number}"
        if self.family == "float":
            found = f"CASE WHEN NOT isnan({found}) THEN {found} END"
        if self.spec.null_values:
            listed = ", ".join(map(literal, self.spec.null_values))
            text = f"CAST({found} AS VARCHAR)"
            if self.family in {"float", "decimal"}:  # `-1` means -1.0 and 1.5 means 1.50, too
                pointed = rf"regexp_full_match({text}, '-?\d+\.\d+')"
                short = f"CASE WHEN {pointed} THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
                listed_too = f"coalesce({short} IN ({listed}), false)"
            else:
                listed_too = "false"
            found = f"CASE WHEN {text} IN ({listed}) OR {listed_too} THEN NULL ELSE {found} END"
        if self.spec.default is not None:
            found = f"coalesce({found}, {self._default(found)})"
        return found

    def _default(self, found: str) -> str:
        text = constant_text(self.spec.default)
        return literal(text) if self.family in {"text", "null"} else f"cast_to_type({literal(text)}, {found})"


Part = Value | NestedColumn


def constant_text(value: str | float | None) -> str:
    """Spell a constant of the pipeline file as plain text."""
    return json.dumps(value) if not isinstance(value, str) else value


@dataclass(frozen=True)
class Select:
    """Everything the SELECT is made of."""

    stream: Stream
    parts: dict[str, list[Part]]
    values: Sequence[Value]
    checks: Sequence[Check]
    where: str | None
    columns: Sequence[int]
    named: Mapping[str, int]
    as_of: datetime
    api: contract.Api

    def text(self) -> str:
        """Give the statement: one row out for each row in, in order."""
        level = self._guarded("input")
        level = _over(level, [f"{value.base} AS s{value.number}" for value in self.values if not value.guarded])
        level = _over(level, [f"{value.nullable} AS n{value.number}" for value in self.values])
        level = _over(level, [f"{value.fill(value.form.parsed)} AS p{value.number}" for value in self.values])
        level = _over(level, [f"{value.fill(value.form.value)} AS v{value.number}" for value in self.values])
        level = _over(level, [f"{self._members(name)} AS {name}" for name in self._objects()])
        level = self._spelt(level)
        filtered = "coalesce(w.v IS NOT TRUE AND w IS NOT NULL, false)" if self.where is not None else "false"
        subject = [f"{self._subject()} AS subject"] if self.stream.on_removed is not None else []
        return (
            f"SELECT i, record, {self._key()} AS key, {self._content()} AS content, {filtered} AS filtered, "
            f"{', '.join([*subject, *self._masks()])} FROM {level}"
        )

    def _spelt(self, level: str) -> str:
        """Add the record, and the text that is its content where that is asked for and is another."""
        head, tail = self._head(), literal(self._tail())
        stamp = f"coalesce({self._timestamp()}, {literal(self._as_of())})"
        if self.api == "front" and (not self._compares or self._is_content):
            return _over(level, [f"{_joined([*head, stamp, tail])} AS record"])
        level = _over(level, [f"{_joined(head)} AS head", f"{self._timestamp()} AS stamp"])
        record = _joined([self._sent_head(), f"coalesce(stamp, {literal(self._as_of())})", tail])
        return _over(level, [f"{record} AS record", f"{_joined(['head', 'stamp', tail])} AS content"])

    @property
    def _compares(self) -> bool:
        """Whether anybody asks what a record holds, besides whose it is: the comparison, or a receipt."""
        return self.stream.mode.remembers

    @property
    def _is_content(self) -> bool:
        """Whether the record is its content: the moment in it is its own, and a row without one is rejected."""
        return "timestamp" in self.parts and not self.stream.ordered and self.api == "front"

    def _content(self) -> str:
        """Give the content, hashed."""
        if not self._compares:
            return "CAST(NULL AS BLOB)"
        return f"unhex(md5({'record' if self._is_content else 'content'}))"

    def _guarded(self, level: str) -> str:
        """Evaluate what a person wrote, where nothing of ours has a name that a column could have."""
        guarded = [f"{value.source} AS s{value.number}" for value in self.values if value.guarded]
        if self.where is not None:
            guarded.append(f"TRY({{'v': ({self.where}\n)}}) AS w")
        if not guarded:
            return level
        hidden = "_"
        while any(name.startswith(hidden) for name in self.named):
            hidden += "_"
        ours = ["i", *(f"c{index}" for index in self.columns)]
        ours += [f"{letter}{part.number}" for part in self._nested() for letter in "jx"]
        renamed = [f'{name} AS "{hidden}{name}"' for name in ours] + named_columns(self.named)
        shown = [f'"{hidden}{name}" AS {name}' for name in ours] + guarded
        return f"(SELECT {', '.join(shown)} FROM (SELECT {', '.join(renamed)} FROM {level}))"

    def _nested(self) -> list[NestedColumn]:
        return [part for parts in self.parts.values() for part in parts if isinstance(part, NestedColumn)]

    def _objects(self) -> list[str]:
        return [name for name in ("attributes", "evalContext") if name in self.parts]

    def _members(self, name: str) -> str:
        """Spell an object's members, commas between them; empty when all are null."""
        texts = [self._member(part, part.target.partition(".")[2]) for part in self.parts[name]]
        return f"concat_ws(',', {', '.join(texts)})" if texts else "''"

    def _member(self, part: Part, name: str, before: str = "") -> str:
        """Spell one member, or several of a nested column; null when there is none."""
        if isinstance(part, NestedColumn) and part.list_of is None:
            return f"j{part.number}"
        opening = f"{before}{json.dumps(name, ensure_ascii=False)}:"
        if isinstance(part, NestedColumn):
            return f"{literal(opening)} || j{part.number}"
        spelt = f"{literal(opening)} || {part.fill(part.form.json)}"
        nulls_are_sent = self.stream.nulls == "send" and "." in part.target
        return f"coalesce({spelt}, {literal(opening + 'null')})" if nulls_are_sent else spelt

    def _head(self) -> list[str]:
        texts = [literal(self._opening())]
        for name in contract.rules(self.stream.record):
            if name in self._objects():
                opening = f',"{name}":{{'
                texts += [f"CASE WHEN {name} <> '' THEN {literal(opening)} END", name]
                texts.append(f"CASE WHEN {name} <> '' THEN '}}' END")
            elif name in self.parts and name != "timestamp":
                texts += [self._member(part, name, ",") for part in self.parts[name]]
        return texts

    def _opening(self) -> str:
        return f'{{"type":"{self.stream.kind.wire}"'

    def _sent_head(self) -> str:
        """Give the head as it is sent: the legacy APIs know no `type`, and it is part of the content all the same.

        What was delivered through one API is then known again when the other is used.
        """
        return "head" if self.api == "front" else f"'{{' || substr(head, {len(self._opening()) + 2})"

    def _timestamp(self) -> str:
        if "timestamp" not in self.parts:
            return "CAST(NULL AS VARCHAR)"
        (part,) = self.parts["timestamp"]
        return self._member(part, "timestamp", ",")

    def _as_of(self) -> str:
        if "timestamp" not in contract.rules(self.stream.record, self.api):
            return ""
        return f',"timestamp":"{wire_timestamp(self.as_of)}"'

    def _tail(self) -> str:
        active = self.stream.active
        if active is None and self.stream.ordered:
            active = False  # a background sync is no activity. Source: S4, context.active
        return "}" if active is None else f',"context":{{"active":{json.dumps(active)}}}}}'

    def _key(self) -> str:
        """Give the identity, hashed: the ids, or `key:`, or the content. The `1` is the encoding's version."""
        if self.stream.ordered:
            parts = [part for name in self.stream.kind.ids for part in self.parts.get(name, [])]
        else:
            parts = self.parts.get("key.", [])
        if not parts:
            return self._content()
        return self._hashed([part for part in parts if isinstance(part, Value)])

    def _subject(self) -> str:
        """Give what must be gone for a row to have vanished, hashed: the user, or the company with whatever user."""
        parts = self.parts[self.stream.kind.subject]
        return self._hashed([part for part in parts if isinstance(part, Value)])

    def _hashed(self, values: Sequence[Value]) -> str:
        texts = [f"coalesce(CAST(to_json({value.fill(value.form.text)}) AS VARCHAR), 'null')" for value in values]
        return _hash(self.stream.record, " || ',' || ".join(texts))

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
    """Give SQL for the subject of a row of which only `ids` is left: JSON, the subject's own id first."""
    return _hash(record, _FIRST_ID)


def named_columns(named: Mapping[str, int]) -> list[str]:
    """Give columns the names that expressions call them by."""
    return [f"c{index} AS {identifier(name)}" for name, index in named.items()]


def _joined(texts: Sequence[str]) -> str:
    """Join texts; null ones are left out. Not `||`, which copies the text at each of them and nests too deep."""
    return f"concat({', '.join(texts)})"


def _over(level: str, added: list[str]) -> str:
    return f"(SELECT {', '.join(['*', *added])} FROM {level})"
