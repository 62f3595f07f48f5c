"""What a record is spelt from: single values, and nested columns that are flattened before the SELECT."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bucket_loader.config import FieldSpec
from bucket_loader.model import literal
from bucket_loader.planning.mapping.forms.form import JSON_TEXT, Family, Form
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.fragments import Fragment
from bucket_loader.planning.mapping.nested.lists import FLATTENED, Arrays, ListForm, Seen
from bucket_loader.planning.mapping.nested.local_times import LocalTimes
from bucket_loader.planning.mapping.nested.spelling import Entries, NoFormError, key_text
from bucket_loader.planning.mapping.null_times import TIMES, null_times

ListOf = Literal["booleans", "texts", "objects"]  # the lists of a feature event
_ITEMS: Final[dict[ListOf | None, type]] = {"booleans": bool, "texts": str, "objects": Mapping}


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
        zone: the zone that its source shows moments in.
    """

    number: int
    target: str
    base: str
    spec: FieldSpec
    guarded: bool
    family: Family = "null"
    form: Form = field(default_factory=Form)
    zone: str = "UTC"

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
        if self.spec.null_values and self.family in TIMES:
            found = self._without_null_times(found, self.spec.null_values)
        elif self.spec.null_values:
            listed = ", ".join(map(literal, self.spec.null_values))
            text = JSON_TEXT.replace("{n}", found) if self.family == "json" else f"CAST({found} AS VARCHAR)"
            if self.family == "decimal":  # DuckDB writes a fraction without its zero: .50
                text = f"regexp_replace({text}, '^(-?)[.]', '\\10.')"
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

    def _without_null_times(self, found: str, listed: list[str]) -> str:
        times = null_times(listed, self.family, self.zone)
        texts = ", ".join(map(literal, [*listed, *times.texts]))
        is_null = f"CAST({found} AS VARCHAR) IN ({texts})"
        if times.local:
            local = ", ".join(map(literal, times.local))
            is_null += f" OR CAST(timezone({literal(self.zone)}, {found}) AS VARCHAR) IN ({local})"
        return f"CASE WHEN {is_null} THEN NULL ELSE {found} END"

    def _default(self, found: str) -> str:
        text = constant_text(self.spec.default)
        if self.family == "json":
            return f"CAST({literal(json.dumps(self.spec.default))} AS JSON)"
        return literal(text) if self.family in {"text", "null"} else f"cast_to_type({literal(text)}, {found})"


@dataclass(frozen=True)
class Beside:
    """The members of an object, one of which may have the dotted name of a value that stands inside another.

    Attributes:
        names: all of them.
        nested: those that are nested themselves; every name below them is theirs.
        winning: those that win, being written in `fields:` while the other one came by `*`.
        hidden: names that are left out, with all that is below them.
    """

    names: frozenset[str] = frozenset()
    nested: frozenset[str] = frozenset()
    winning: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    def leaves_out(self, dotted: str) -> bool:
        """Whether this name is left out."""
        return any(dotted == name or dotted.startswith(f"{name}.") for name in self.hidden)

    def hides(self, dotted: str) -> bool:
        """Whether this name is left out, or a member that wins has it.

        Raises:
            NoFormError: one has it, and neither may hide the other.
        """
        if self.leaves_out(dotted):
            return True
        others = {dotted} & self.names | {name for name in self.nested if dotted.startswith(f"{name}.")}
        if others and not others & self.winning:
            raise NoFormError("has a value with the dotted name of another column, and one would hide the other")
        return bool(others)


@dataclass(frozen=True)
class NestedColumn:
    """A column whose values are flattened row by row before the SELECT.

    Attributes:
        number: its place; the SELECT sees `j<number>` (finished text) and `x<number>` (True where it failed).
        target: `attributes.<name>`, or a field that takes a list.
        column: the source's column.
        is_text: whether the column holds JSON text.
        send_nulls: whether null leaves are spelt.
        list_of: of what, where the field takes a list, else None.
        null_values: JSON texts that are null.
        default: what stands in for null.
        timezone: the zone of its times without one.
        dst: which of two moments such a time is, where a clock change makes two of it.
        beside: the other members of its object.
        local: moves its times without a zone to UTC; None where it has none.
        arrays: how its lists are sent.
        is_whole: whether an object stays one, without dotted names.
        seen: what was seen in it so far.
    """

    number: int
    target: str
    column: str
    is_text: bool
    send_nulls: bool
    list_of: ListOf | None = None
    null_values: frozenset[str] = frozenset()
    default: str | float | None = None
    timezone: str | None = None
    dst: Literal["earliest", "latest"] | None = None
    beside: Beside = field(default_factory=Beside)
    local: LocalTimes | None = None
    arrays: Arrays = FLATTENED
    is_whole: bool = False
    seen: Seen = field(default_factory=Seen)

    @property
    def name(self) -> str:
        """The attribute's name, before the dots."""
        return self.target.partition(".")[2]

    def spelt(self, values: Sequence[object], rows: Iterable[int]) -> tuple[list[str | None], dict[int, NoFormError]]:
        """Spell values, which stand in some rows of a batch; and return what was wrong, by the row."""
        if self.local is not None:
            self.local.learn(values)
        texts: list[str | None] = []
        failures: dict[int, NoFormError] = {}
        for row, value in zip(rows, values, strict=True):
            try:
                texts.append(self.spell(value))
            except NoFormError as error:
                texts.append(None)
                failures[row] = error
            self.seen.end_row(row, rejected=row in failures)
        return texts, failures

    def spell(self, value: object) -> str | None:
        """Spell one value as finished text; None when nothing is left of it.

        Raises:
            NoFormError: it has none.
        """
        if isinstance(value, NoFormError):
            raise value
        if value is None or (isinstance(value, str) and value in self.null_values):
            parsed: object = self.default
        else:
            parsed = spelling.parse(value) if self.is_text and isinstance(value, str) else value
        if self.list_of is not None:
            return self._list(parsed)
        parsed = self._without_hidden(self.name, parsed)
        if self.is_whole:
            spelt = ListForm(self.send_nulls, self.local, prunes=True).spell(parsed)
            return None if spelt == "{}" or (spelt == "null" and not self.send_nulls) else spelt
        form = Fragment(self.name, self.beside.hides, self.send_nulls, self.arrays, self.local, self.seen)
        return form.members(parsed) or None

    def _without_hidden(self, name: str, value: object) -> object:
        """Return an object without what is left out of it, at any depth."""
        if not self.beside.hidden or not isinstance(value, (Mapping, Entries)):
            return value
        pairs = value.items() if isinstance(value, Mapping) else value
        named = [(f"{name}.{key_text(key, self.local)}", key, child) for key, child in pairs]
        hides = self.beside.leaves_out
        return Entries((key, self._without_hidden(dotted, child)) for dotted, key, child in named if not hides(dotted))

    def _list(self, parsed: object) -> str | None:
        """Spell the value of a field that takes a list."""
        if parsed is None:
            return None
        if not isinstance(parsed, list) or not all(isinstance(item, _ITEMS[self.list_of]) for item in parsed):
            raise NoFormError(f"is not a list of {self.list_of}")
        return ListForm(local=self.local).spell(parsed)


Member = Value | NestedColumn


def constant_text(value: str | float | None) -> str:
    """Spell a constant of the pipeline file as plain text."""
    return json.dumps(value) if not isinstance(value, str) else value
