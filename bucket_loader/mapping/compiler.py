"""From `fields:` to a `Mapping`: which value each field is, its form, and what can be wrong with it.

Attributes stand sorted by name: the same record from every source, whatever the order of its columns.
"""

from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from typing import Final

import duckdb
import pyarrow as pa

from bucket_loader import contract
from bucket_loader.config import FieldSpec, Stream, Values
from bucket_loader.contract import FieldRule
from bucket_loader.errors import UsageError
from bucket_loader.mapping import forms
from bucket_loader.mapping.apply import Check, Mapping, NestedColumn
from bucket_loader.mapping.expressions import check_expression
from bucket_loader.mapping.forms import Form, Wrong, identifier, literal
from bucket_loader.mapping.select import BITS, Part, Select, Value, constant_text

# Record timestamps before this are a unit mistaken, not history (DESIGN: small decisions).
EARLIEST: Final = "1980-01-01"
_SHOWN_COLUMNS: Final = 40


def compile_mapping(stream: Stream, schema: pa.Schema, *, as_of: datetime, record_bytes_max: int) -> Mapping:
    """Compile a stream's fields against a source's columns.

    Args:
        stream: what the pipeline file says.
        schema: the source's columns.
        as_of: the run's time: `:as_of`, the timestamp of records without one, and the latest believable moment.
        record_bytes_max: bytes of UTF-8 that one record may have (a chunk's, less its brackets).

    Raises:
        UsageError: columns are missing (all are named), or a value has no form (all are named).
    """
    return _Compiler(stream, schema, as_of).compile(record_bytes_max)


class _Compiler:
    """One compilation: values, checks and mistakes gather here."""

    def __init__(self, stream: Stream, schema: pa.Schema, as_of: datetime) -> None:
        self.stream = stream
        self.schema = schema
        self.columns = frozenset(schema.names)
        self.as_of = as_of
        self.rules = contract.rules(stream.record)
        self.values: list[Value] = []
        self.nested: list[NestedColumn] = []
        self.mapped_by_expression: set[str] = set()
        self.filtered_by: set[str] = set()
        self.mistakes: list[str] = []
        self.hints: list[str] = []

    def compile(self, record_bytes_max: int) -> Mapping:
        self._require_columns()
        where = None
        if self.stream.where is not None:
            where = self._expression(self.stream.where, "where", self.filtered_by)
        given = self.stream.fields.given()
        parts = {name: self._field(name, spec) for name, spec in given.items() if isinstance(spec, FieldSpec)}
        parts |= {name: self._object(name, spec) for name, spec in given.items() if isinstance(spec, Values)}
        if self.stream.key:
            parts["key."] = [self._value(f"key.{column}", FieldSpec(column=column)) for column in self.stream.key]
        self._raise_mistakes()
        connection = duckdb.connect(config={"threads": 1})
        connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
        self._form_all(connection)
        self._raise_mistakes()
        formed = {value.number: value for value in self.values}
        parts = {
            name: [formed[part.number] if isinstance(part, Value) else part for part in list_]
            for name, list_ in parts.items()
        }
        checks = self._checks(parts, record_bytes_max)
        select = Select(self.stream, parts, self.values, checks, where, self._named_input(), self.as_of)
        return Mapping(
            connection=connection,
            sql=select.text(),
            checks=tuple(checks),
            nested=tuple(self.nested),
            stream=self.stream.name,
            masks=-(-len(checks) // BITS),
        )

    def _raise_mistakes(self) -> None:
        if self.mistakes:
            lines = "\n  ".join(self.mistakes)
            raise UsageError(f"stream {self.stream.name!r}:\n  {lines}", hint="; ".join(dict.fromkeys(self.hints)))

    def _note(self, error: UsageError) -> None:
        self.mistakes.append(error.message)
        if error.hint:
            self.hints.append(error.hint)

    # --- columns -----------------------------------------------------------------------------------------------

    def _require_columns(self) -> None:
        given = self.stream.fields.given().values()
        stars = [spec.star.exclude for spec in given if isinstance(spec, Values) and spec.star is not None]
        wanted = [*self._mapped_columns(), *(self.stream.key or []), *(name for star in stars for name in star)]
        missing = [column for column in dict.fromkeys(wanted) if column not in self.columns]
        if not missing:
            return
        self.mistakes.append("the source has no column " + ", ".join(map(repr, missing)))
        near = [match for column in missing for match in get_close_matches(column, self.columns, n=1)]
        guess = f"did you mean {', '.join(map(repr, near))}? " if near else ""
        self.hints.append(f"{guess}it has: {', '.join(self.schema.names[:_SHOWN_COLUMNS])}")
        self._raise_mistakes()

    def _mapped_columns(self) -> list[str]:
        specs: list[FieldSpec] = []
        for spec in self.stream.fields.given().values():
            specs += spec.named.values() if isinstance(spec, Values) else [spec]
        return [spec.column for spec in specs if spec.column is not None]

    def _named_input(self) -> str:
        """Give the input with its columns by number, and by name those that expressions use."""
        folded: dict[str, str] = {}
        wanted = sorted(self.mapped_by_expression | self.filtered_by)
        for column in wanted:
            if folded.setdefault(column.lower(), column) != column:
                raise UsageError(
                    f"stream {self.stream.name!r}: expressions name both {folded[column.lower()]!r} and {column!r}",
                    hint="rename one of the columns at the source; SQL does not tell them apart",
                )
        names = [f"c{self.schema.names.index(column)} AS {identifier(column)}" for column in wanted]
        return f"SELECT {', '.join(['*', *names])} FROM input"

    # --- fields to values --------------------------------------------------------------------------------------

    def _field(self, name: str, spec: FieldSpec) -> list[Part]:
        form = self.rules[name].form
        if form == "booleans" or form == "texts":  # noqa: PLR1714  # so that the type narrows
            return [self._nested(name, spec, list_of=form)]
        return [self._value(name, spec)]

    def _object(self, name: str, spec: Values) -> list[Part]:
        """Give an object's members sorted by name; `*` adds every column that no field uses."""
        named = dict(spec.named)
        for inner in named.values():
            if inner.sql is not None:
                self._expression(inner.sql, f"fields.{name}", self.mapped_by_expression)
        if spec.star is not None:
            used = {*self._mapped_columns(), *self.mapped_by_expression, *spec.star.exclude, *named}
            named |= {column: FieldSpec(column=column) for column in self.schema.names if column not in used}
        taken = frozenset(named)
        return [
            self._nested(f"{name}.{key}", inner, taken=taken)
            if self._is_nested(inner)
            else self._value(f"{name}.{key}", inner)
            for key, inner in sorted(named.items())
        ]

    def _is_nested(self, spec: FieldSpec) -> bool:
        if spec.column is None or spec.type not in {None, "json"}:
            return spec.type == "json"
        return spec.type == "json" or bool(pa.types.is_nested(self.schema.field(spec.column).type))

    def _nested(
        self, target: str, spec: FieldSpec, *, taken: frozenset[str] = frozenset(), list_of: forms.ListOf | None = None
    ) -> NestedColumn:
        if spec.column is None:
            self.mistakes.append(f"fields.{target}: `type: json` and lists are read from a column")
        column = NestedColumn(
            number=len(self.nested),
            target=target,
            column=spec.column or self.schema.names[0],
            is_text=spec.column is not None and not pa.types.is_nested(self.schema.field(spec.column).type),
            taken=taken - {target.partition(".")[2]},
            send_nulls=self.stream.nulls == "send",
            list_of=list_of,
        )
        self.nested.append(column)
        return column

    def _value(self, target: str, spec: FieldSpec) -> Value:
        zone = {"timezone": spec.timezone or self.stream.timezone, "dst": spec.dst or self.stream.dst}
        value = Value(
            number=len(self.values),
            target=target,
            base=self._base(target, spec),
            spec=spec.model_copy(update=zone),
            guarded=spec.sql is not None,
        )
        self.values.append(value)
        return value

    def _base(self, target: str, spec: FieldSpec) -> str:
        if spec.column is not None:
            return f"c{self.schema.names.index(spec.column)}"
        if spec.sql is not None:
            return self._expression(spec.sql, f"fields.{target}", self.mapped_by_expression)
        match spec.value:
            case None:
                return "CAST(NULL AS VARCHAR)"
            case str():
                return literal(spec.value)
            case bool() | int():
                return constant_text(spec.value)
            case _:
                return f"CAST({literal(constant_text(spec.value))} AS DOUBLE)"

    def _expression(self, text: str, place: str, columns: set[str]) -> str:
        try:
            columns |= check_expression(text, place, self.columns)
        except UsageError as error:
            self._note(error)
            return "NULL"
        return text.replace(":as_of", f"TIMESTAMPTZ '{self.as_of:%Y-%m-%d %H:%M:%S.%f}+00'")

    # --- forms -------------------------------------------------------------------------------------------------

    def _form_all(self, connection: duckdb.DuckDBPyConnection) -> None:
        formed = []
        for value, duckdb_type in zip(self.values, self._types(connection), strict=True):
            try:
                family = forms.family(duckdb_type)
                formed.append(replace(value, family=family, form=self._form(value, family, duckdb_type)))
            except UsageError as error:
                self._note(error)
        self.values = formed

    def _types(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Ask DuckDB for the type of each base, on the source's columns and no rows."""
        numbered = self.schema.empty_table().rename_columns([f"c{index}" for index in range(len(self.schema))])
        connection.register("input", numbered)
        selected = ", ".join(f"({value.base}\n)" for value in self.values)
        try:
            return [str(kind) for kind in connection.sql(f"SELECT {selected} FROM ({self._named_input()})").types]
        except duckdb.Error as error:
            raise UsageError(
                f"stream {self.stream.name!r}: an expression does not fit the source: {str(error).splitlines()[0]}",
                hint=f"the source has: {', '.join(self.schema.names[:_SHOWN_COLUMNS])}",
            ) from None
        finally:
            connection.unregister("input")

    def _form(self, value: Value, family: forms.Family, duckdb_type: str) -> Form:
        spec, place = value.spec, f"fields.{value.target}"
        if value.target.startswith("key."):
            zoned = spec.model_copy(update={"timezone": spec.timezone or "UTC"})
            return forms.string(family, duckdb_type, zoned, place)
        rule = self.rules.get(value.target)
        match rule.form if rule is not None else None:
            case None:
                return forms.typed(family, duckdb_type, spec, place)
            case "timestamp":
                return forms.timestamp(family, spec, place)
            case "integer":
                return forms.integer(family, place)
            case "boolean":
                return forms.boolean(family, place)
            case _:
                return forms.identity(family, duckdb_type, spec, place)

    # --- checks ------------------------------------------------------------------------------------------------

    def _checks(self, parts: dict[str, list[Part]], record_bytes_max: int) -> list[Check]:
        checks = [check for value in self.values for check in self._value_checks(value)]
        checks += [Check(f"x{column.number}", "map", "nested", "has no form", column.target, column.column)
                   for column in self.nested]  # fmt: skip
        if self.stream.where is not None:
            checks.append(Check("w IS NULL", "map", "expression", "makes `where:` fail"))
        for group in contract.ONE_OF[self.stream.record]:
            absent = [f"v{part.number} IS NULL" for name in group for part in parts.get(name, [])]
            checks.append(Check(" AND ".join(absent), "validate", "missing", f"has neither {' nor '.join(group)}"))
        too_large = f"makes a record of more than {record_bytes_max} bytes, the most that `chunk: bytes:` allows"
        checks.append(
            Check(f"coalesce(strlen(record) > {record_bytes_max}, false)", "validate", "too_large", too_large)
        )
        return checks

    def _value_checks(self, value: Value) -> list[Check]:
        rule, column = self.rules.get(value.target), value.spec.column
        found = [(wrong, "map") for wrong in value.form.wrong]
        found += [(wrong, "validate") for wrong in self._contract_wrong(value, rule)]
        checks = [
            Check(value.fill(wrong.predicate), "map" if stage == "map" else "validate", wrong.code, wrong.message,
                  value.target, column)
            for wrong, stage in found
        ]  # fmt: skip
        if value.guarded:
            failed = f"s{value.number} IS NULL"
            checks.append(Check(failed, "map", "expression", "has an expression that fails for this row", value.target))
        return checks

    def _contract_wrong(self, value: Value, rule: FieldRule | None) -> list[Wrong]:
        found: list[Wrong] = []
        required = rule is not None and (rule.required or (rule.form == "timestamp" and not self.stream.ordered))
        if required or value.target.startswith("key."):
            texts = rule is None or rule.form in {"text", "choice"}
            level = "{v}" if texts else "{n}"
            found.append(Wrong(f"{level} IS NULL", "missing", "is empty, and the record cannot do without it"))
        if rule is not None:
            found += _limits(rule)
        if value.target == "timestamp":
            latest = f"TIMESTAMP '{self.as_of:%Y-%m-%d %H:%M:%S.%f}' + INTERVAL 1 DAY"
            between = f"{{v}} >= TIMESTAMP '{EARLIEST}' AND {{v}} <= {latest}"
            message = "is not between 1980 and a day after the run's time (is the unit or the format right?)"
            found.append(Wrong(f"{{v}} IS NOT NULL AND NOT ({between})", "range", message))
        return found


def _limits(rule: FieldRule) -> list[Wrong]:
    """Give what the contract says of a field, as predicates."""
    found: list[Wrong] = []
    given = "{v} IS NOT NULL AND "
    if rule.name in {"userId", "companyId"}:
        found.append(Wrong(given + "trim({v}, ' \t\r\n') = ''", "blank", "is blank, which identifies nothing"))
    elif rule.form == "text" and rule.length_min:
        message = f"has fewer than {rule.length_min} characters"
        found.append(Wrong(f"{given}length({{v}}) < {rule.length_min}", "too_short", message))
    if rule.form == "text" and rule.length_max is not None:
        message = f"has more than {rule.length_max} characters"
        found.append(Wrong(f"{given}length({{v}}) > {rule.length_max}", "too_long", message))
    if rule.form == "choice":
        listed = ", ".join(map(literal, rule.choices))
        found.append(Wrong(f"{given}{{v}} NOT IN ({listed})", "choice", f"is none of {', '.join(rule.choices)}"))
    if rule.minimum is not None:
        found.append(Wrong(f"{given}{{v}} < {rule.minimum}", "range", f"is less than {rule.minimum}"))
    if rule.maximum is not None:
        found.append(Wrong(f"{given}{{v}} > {rule.maximum}", "range", f"is more than {rule.maximum}"))
    return found
