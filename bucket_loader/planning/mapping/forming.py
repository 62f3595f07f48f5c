"""From values to their forms: DuckDB says which type each has, and what it would refuse at the first row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import duckdb
import pyarrow as pa

from bucket_loader.model import FieldRule, UsageError, form_of, literal, sql_mistake
from bucket_loader.planning.mapping.asked import FRESH
from bucket_loader.planning.mapping.changed_forms import Formed
from bucket_loader.planning.mapping.columns import named_columns, shown
from bucket_loader.planning.mapping.expressions import mentioned
from bucket_loader.planning.mapping.forms.form import Family, Form, family
from bucket_loader.planning.mapping.forms.numbers import boolean, integer
from bucket_loader.planning.mapping.forms.scales import scaled
from bucket_loader.planning.mapping.forms.texts import empty_is_absent, identity, string
from bucket_loader.planning.mapping.forms.times import timestamp
from bucket_loader.planning.mapping.forms.typed import typed
from bucket_loader.planning.mapping.members import NestedColumn, Value, constant_text
from bucket_loader.planning.mapping.mistakes import Mistakes
from bucket_loader.planning.mapping.query import INPUT
from bucket_loader.planning.mapping.spec import MappingSpec

_KEY: Final = "key."


def input_schema(spec: MappingSpec, columns: Sequence[int], nested: Sequence[NestedColumn]) -> pa.Schema:
    """Return the columns of `input`: the row's number, the columns that are read, and what is nested as text."""
    read = [spec.schema.field(index).with_name(f"c{index}") for index in columns]
    flattened = [
        pa.field(f"{letter}{column.number}", kind)
        for column in nested
        for letter, kind in (("j", pa.string()), ("x", pa.bool_()))
    ]
    return pa.schema([pa.field("i", pa.int64()), *read, *flattened])


@dataclass(frozen=True)
class Forming:
    """Values on their way to their forms.

    Attributes:
        connection: a database without a table `input`.
        spec: what is compiled.
        input: the columns of `input`.
        named: the numbers of the columns that expressions use, by name.
        mistakes: where mistakes are kept.
        seen: the values that were formed, as the table of changed forms sees them.
    """

    connection: duckdb.DuckDBPyConnection
    spec: MappingSpec
    input: pa.Schema
    named: Mapping[str, int]
    mistakes: Mistakes
    seen: list[Formed] = field(default_factory=list)

    def formed(self, values: Sequence[Value]) -> list[Value]:
        """Return the values, each with the family of its type and its form.

        Raises:
            UsageError: a value has no form, or `where:` no truth (all are named).
        """
        self._register_empty_input()
        plain = [value.base for value in values if not value.guarded]
        types = iter(map(str, self.connection.sql(f"SELECT {', '.join(plain) or 'i'} FROM {INPUT}").types))
        formed = []
        for value in values:
            try:
                duckdb_type = self._type(value.base, f"fields.{value.target}") if value.guarded else next(types)
                of = family(duckdb_type)
                if value.target != FRESH:  # nothing of it is sent
                    self.seen.append(self._seen(value, duckdb_type))
                formed.append(
                    replace(value, family=of, form=self._form(value, of, duckdb_type), zone=self._zone(value))
                )
                self._check_default(value, of, duckdb_type)
            except UsageError as error:
                self.mistakes.note(error)
        self._check_where()
        self._check_time_words(values)
        self.connection.unregister(INPUT)
        self.mistakes.raise_any()
        return formed

    def _seen(self, value: Value, duckdb_type: str) -> Formed:
        is_key = value.target.startswith(_KEY)
        return Formed(value.spec, self._column(value), duckdb_type, self._beneath(value), is_key)

    def _beneath(self, value: Value) -> tuple[pa.Field, ...]:
        """Return the columns that an expression names and that are read in a new way."""
        marked = [field for field in self.spec.source if form_of(field) > 1]
        if not marked or value.spec.sql is None:
            return ()
        names = mentioned(value.spec.sql, f"fields.{value.target}")
        return tuple(field for field in marked if field.name.lower() in names)

    def _zone(self, value: Value) -> str:
        """Return the zone that a column's moments have in the source; UTC where DuckDB does not know it."""
        field = self._column(value) if value.spec.null_values else None
        zone = str(getattr(field.type, "tz", None) or "UTC") if field is not None else "UTC"
        is_named = zone[0] not in "+-"
        return zone if not is_named or self._works(f"timezone({literal(zone)}, TIMESTAMPTZ '2000-01-01')") else "UTC"

    def _column(self, value: Value) -> pa.Field | None:
        return None if value.spec.column is None else self.spec.schema.field(value.spec.column)

    def _register_empty_input(self) -> None:
        """Show DuckDB the columns that are read, and no rows."""
        for name in self.input.names[1:]:
            kind = self.input.field(name).type
            if name.startswith("c") and not self._is_readable(kind):
                self.mistakes.add(
                    f"column {self.spec.schema.names[int(name[1:])]!r} has the type {kind}, unknown to DuckDB",
                    "convert it at the source, or leave the column out",
                )
        self.mistakes.raise_any()
        self.connection.register(INPUT, _empty(self.input))

    def _is_readable(self, kind: pa.DataType) -> bool:
        try:
            self.connection.from_arrow(_empty(pa.schema([pa.field("c", kind)])))
        except duckdb.Error:
            return False
        return True

    def _type(self, expression: str, place: str) -> str:
        """Ask DuckDB for the type of an expression, which sees the columns that it names and nothing of ours."""
        named = named_columns(self.named)
        level = f" FROM (SELECT {', '.join(named)} FROM {INPUT})" if named else ""
        try:
            return str(self.connection.sql(f"SELECT ({expression}\n){level}").types[0])
        except duckdb.Error as error:
            raise UsageError(
                f"{place}: the expression does not fit the source: {sql_mistake(error, self.spec.source.names)}",
                hint=f"the source has: {shown(self.spec.source.names)}",
            ) from None

    def _form(self, value: Value, of: Family, duckdb_type: str) -> Form:
        spec, place = value.spec, f"fields.{value.target}"
        if value.target.startswith(_KEY):
            # Whole: two events of one millisecond are two.
            whole = Form(value="CAST({p} AS VARCHAR)")
            return whole if of in {"timestamp", "zoned"} else string(of, duckdb_type, spec, place)
        if value.target == FRESH:
            return timestamp(of, duckdb_type, spec, "limits: fresh")
        rule = self.spec.rules.get(value.target)
        if spec.hash is not None and rule is not None and rule.form != "text":
            raise UsageError(f"{place}: `hash:` does not fit, this field is no free text", hint="remove `hash:`")
        match rule.form if rule is not None else None:
            case None:
                return typed(of, duckdb_type, spec, place)
            case "timestamp":
                return timestamp(of, duckdb_type, spec, place)
            case "integer" if spec.scale is not None and rule is not None:
                return scaled(of, spec.scale, rule, place)
            case "integer":
                return integer(of, place)
            case "boolean":
                return boolean(of, place)
            case _:
                form = identity(of, duckdb_type, spec, place)
                return empty_is_absent(form) if rule is not None and _may_be_absent(rule) else form

    def _check_default(self, value: Value, of: Family, duckdb_type: str) -> None:
        """Refuse a default that the type cannot hold as it is written: `abc` or `1.5` for whole numbers."""
        if value.spec.default is None or of in {"text", "null", "json"}:
            return
        text = literal(constant_text(value.spec.default))
        fits = f"TRY_CAST({text} AS {duckdb_type}) IS NOT NULL"
        if of in {"integer", "decimal"}:
            fits += f" AND CAST(TRY_CAST({text} AS {duckdb_type}) AS DOUBLE) = TRY_CAST({text} AS DOUBLE)"
        if self.connection.execute(f"SELECT {fits}").fetchall() != [(True,)]:
            raise UsageError(
                f"fields.{value.target}: `default:` does not fit the type {duckdb_type}",
                hint="write a value of the column's type",
            )

    def _check_where(self) -> None:
        if self.spec.where is None:
            return
        try:
            duckdb_type = self._type(self.spec.where, "where")
        except UsageError as error:
            self.mistakes.note(error)
            return
        if family(duckdb_type) not in {"boolean", "integer", "null"}:
            self.mistakes.add(
                f"where: is neither true nor false, but of the type {duckdb_type}",
                "compare it with something, for example `plan = 'pro'`",
            )

    def _check_time_words(self, values: Sequence[Value]) -> None:
        """Try the time formats and zones that DuckDB would refuse at the first row."""
        for value in values:
            for form in value.spec.format or []:
                if not self._works(f"try_strptime('', {literal(form)})"):
                    self.mistakes.add(
                        f"fields.{value.target}: {form!r} is not a time format",
                        "write it with %Y, %m, %d, %H, %M, %S, %f and %z",
                    )
        for zone in sorted({value.spec.timezone for value in values if value.spec.timezone is not None}):
            if not self._works(f"timezone({literal(zone)}, TIMESTAMP '2000-01-01')"):
                self.mistakes.add(
                    f"the time zone {zone!r} has no clock changes that are known here",
                    "write a place, for example Europe/Copenhagen, or UTC",
                )

    def _works(self, expression: str) -> bool:
        try:
            self.connection.execute(f"SELECT CAST({expression} AS VARCHAR)").fetchall()
        except duckdb.Error:
            return False
        return True


def _may_be_absent(rule: FieldRule) -> bool:
    """Whether an empty text is none: where the API wants none that is empty, and does without. Ids are never blank."""
    return not rule.required and rule.name not in {"userId", "companyId"}


def _empty(schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches([], schema)  # `schema.empty_table()` would import pandas
