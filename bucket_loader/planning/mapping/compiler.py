"""From `fields:` to a `Mapping`: which value each field is, its form, and what can be wrong with it.

Attributes stand sorted by name: the same record from every source, whatever the order of its columns.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from typing import Final

import duckdb
import pyarrow as pa

from bucket_loader.config import FieldSpec, Stream, Values, with_parameter_style
from bucket_loader.model import Api, FieldRule, UsageError, contract
from bucket_loader.planning.mapping import forms, nested
from bucket_loader.planning.mapping.apply import Check, Mapping, NestedColumn
from bucket_loader.planning.mapping.expressions import check_expression
from bucket_loader.planning.mapping.forms import Form, Wrong, literal
from bucket_loader.planning.mapping.query import Question
from bucket_loader.planning.mapping.select import BITS, Part, Select, Value, constant_text, named_columns

# Record timestamps before this are a unit mistaken, not history (DESIGN: small decisions).
EARLIEST: Final = "1980-01-01"
_SHOWN_COLUMNS: Final = 40
_THREADS: Final = 2  # measured: reading and writing beside it keep no third one busy


def compile_mapping(  # noqa: PLR0913  # what a mapping depends on
    stream: Stream,
    schema: pa.Schema,
    *,
    as_of: datetime,
    record_bytes_max: int,
    api: Api = "front",
    hash_key: bytes | None = None,
) -> Mapping:
    """Compile a stream's fields against a source's columns.

    Args:
        stream: what the pipeline file says.
        schema: the source's columns.
        as_of: the run's time: `:as_of`, the timestamp of records without one, and the latest believable moment.
        record_bytes_max: bytes of UTF-8 that one record may have (a chunk's, less its brackets).
        api: the one that the records are for.
        hash_key: what `hash: hmac` is keyed with.

    Raises:
        UsageError: columns are missing (all are named), or a value has no form (all are named).
    """
    return _Compiler(stream, schema, as_of, api).compile(record_bytes_max, hash_key)


class _Compiler:
    """One compilation: values, checks and mistakes gather here."""

    def __init__(self, stream: Stream, schema: pa.Schema, as_of: datetime, api: Api) -> None:
        self.stream = stream
        self.schema = schema
        self.columns = frozenset(schema.names)
        self.as_of = as_of
        self.api = api
        self.rules = contract.rules(stream.record, api)
        self.values: list[Value] = []
        self.nested: list[NestedColumn] = []
        self.mapped_by_expression: set[str] = set()
        self.filtered_by: set[str] = set()
        self._numbers: dict[str, int] = {}  # of the columns that values read
        self.mistakes: list[str] = []
        self.hints: list[str] = []

    def compile(self, record_bytes_max: int, hash_key: bytes | None) -> Mapping:
        self._require_columns()
        self._check_expressions()
        where = self._bound(self.stream.where) if self.stream.where is not None else None
        given = self.stream.fields.given()
        parts = {name: self._field(name, spec) for name, spec in given.items() if isinstance(spec, FieldSpec)}
        parts |= {name: self._object(name, spec) for name, spec in given.items() if isinstance(spec, Values)}
        if self.stream.key:
            parts["key."] = [self._value(f"key.{column}", FieldSpec(column=column)) for column in self.stream.key]
        self._raise_mistakes()
        connection = duckdb.connect(config={"threads": _THREADS})
        connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
        connection.execute("SET enable_progress_bar = false")  # it would go to stdout
        connection.execute("SET disabled_optimizers = 'in_clause'")  # it makes a join of it, which loses the order
        if hash_key is not None:
            for name, block in forms.hmac_blocks(hash_key).items():
                connection.execute(f"SET VARIABLE {name} = $1", [block])
        self._form_all(connection)
        self._raise_mistakes()
        formed = {value.number: value for value in self.values}
        parts = {
            name: [formed[part.number] if isinstance(part, Value) else part for part in list_]
            for name, list_ in parts.items()
        }
        checks = self._checks(parts, record_bytes_max)
        columns = tuple(sorted({*self._numbers.values(), *self._named().values()}))
        select = Select(self.stream, parts, self.values, checks, where, columns, self._named(), self.as_of, self.api)
        return Mapping(
            question=Question(connection, select.text(), self._input_schema(columns)),
            columns=columns,
            checks=tuple(checks),
            nested=tuple(self.nested),
            stream=self.stream.name,
            masks=-(-len(checks) // BITS),
            subject=self.stream.kind.subject if self.stream.on_removed is not None else None,
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

    def _check_expressions(self) -> None:
        """Hold every expression against the rules, before `*` asks which columns they use."""
        for name, spec in self.stream.fields.given().items():
            if isinstance(spec, Values):
                found = {f"{name}.{key}": inner.sql for key, inner in spec.named.items()}
            else:
                found = {name: spec.sql}
            for place, text in found.items():
                if text is not None:
                    self._check_expression(text, f"fields.{place}", self.mapped_by_expression)
        if self.stream.where is not None:
            self._check_expression(self.stream.where, "where", self.filtered_by)
        self._raise_mistakes()

    def _check_expression(self, text: str, place: str, columns: set[str]) -> None:
        try:
            columns |= check_expression(text, place, self.columns)
        except UsageError as error:
            self._note(error)

    def _bound(self, text: str) -> str:
        return with_parameter_style(text, f"TIMESTAMPTZ '{self.as_of:%Y-%m-%d %H:%M:%S.%f}+00'")

    def _named(self) -> dict[str, int]:
        """Return the numbers of the columns that expressions use, by name."""
        folded: dict[str, str] = {}
        wanted = sorted(self.mapped_by_expression | self.filtered_by)
        for column in wanted:
            if folded.setdefault(column.lower(), column) != column:
                raise UsageError(
                    f"stream {self.stream.name!r}: expressions name both {folded[column.lower()]!r} and {column!r}",
                    hint="rename one of the columns at the source; SQL does not tell them apart",
                )
        return {column: self.schema.names.index(column) for column in wanted}

    # --- fields to values --------------------------------------------------------------------------------------

    def _field(self, name: str, spec: FieldSpec) -> list[Part]:
        form = self.rules[name].form
        if form == "booleans" or form == "texts":  # noqa: PLR1714  # so that the type narrows
            return [self._nested(name, spec, list_of=form)]
        return [self._value(name, spec)]

    def _object(self, name: str, spec: Values) -> list[Part]:
        """Return an object's members sorted by name; `*` adds every column that no field uses."""
        named = dict(spec.named)
        if spec.star is not None:
            used = {*self._mapped_columns(), *self.mapped_by_expression, *spec.star.exclude, *named}
            named |= {column: FieldSpec(column=column) for column in self.schema.names if column not in used}
        taken = frozenset(named)
        parents = frozenset(key for key, inner in named.items() if self._is_nested(inner))
        return [
            self._nested(f"{name}.{key}", inner, taken=taken, parents=parents)
            if self._is_nested(inner)
            else self._value(f"{name}.{key}", inner)
            for key, inner in sorted(named.items())
        ]

    def _is_nested(self, spec: FieldSpec) -> bool:
        if spec.column is None or spec.type not in {None, "json"}:
            return spec.type == "json"
        kind = self.schema.field(spec.column).type
        return spec.type == "json" or bool(pa.types.is_nested(kind)) or isinstance(kind, pa.JsonType)

    def _nested(
        self,
        target: str,
        spec: FieldSpec,
        *,
        taken: frozenset[str] = frozenset(),
        parents: frozenset[str] = frozenset(),
        list_of: forms.ListOf | None = None,
    ) -> NestedColumn:
        name, place = target.partition(".")[2], f"fields.{target}"
        timezone = spec.timezone or self.stream.timezone
        kind = self.schema.field(spec.column).type if spec.column is not None else pa.string()
        if spec.column is None:
            self.mistakes.append(f"{place}: `type: json` and lists are read from a column")
        if spec.hash is not None:
            self.mistakes.append(f"{place}: `hash:` reads one value, not nested ones")
        if timezone is None and pa.types.is_nested(kind) and nested.has_local_times(kind):
            self.mistakes.append(f"{place}: column {spec.column!r} holds times without a time zone")
            self.hints.append("write `timezone: UTC`, or the zone they are in, on the field or the stream")
        column = NestedColumn(
            number=len(self.nested),
            target=target,
            column=spec.column or self.schema.names[0],
            is_text=spec.column is not None and not pa.types.is_nested(kind),
            taken=taken - {name},
            send_nulls=self.stream.nulls == "send",
            list_of=list_of,
            # One that this one is below wins nothing: `a.b` keeps `a.b.c` from `a`, not the other way round.
            parents=frozenset(parent for parent in parents if parent.startswith(f"{name}.")),
            null_values=frozenset(spec.null_values or ()),
            default=spec.default,
            timezone=timezone,
            dst=spec.dst or self.stream.dst,
        )
        self.nested.append(column)
        return column

    def _value(self, target: str, spec: FieldSpec) -> Value:
        zone = {"timezone": spec.timezone or self.stream.timezone, "dst": spec.dst or self.stream.dst}
        value = Value(
            number=len(self.values),
            target=target,
            base=self._base(spec),
            spec=spec.model_copy(update=zone),
            guarded=spec.sql is not None,
        )
        self.values.append(value)
        return value

    def _base(self, spec: FieldSpec) -> str:
        if spec.column is not None:
            number = self._numbers.setdefault(spec.column, self.schema.names.index(spec.column))
            return f"c{number}"
        if spec.sql is not None:
            return self._bound(spec.sql)
        match spec.value:
            case None:
                return "CAST(NULL AS VARCHAR)"
            case str():
                return literal(spec.value)
            case bool() | int():
                return constant_text(spec.value)
            case _:
                return f"CAST({literal(constant_text(spec.value))} AS DOUBLE)"

    # --- forms -------------------------------------------------------------------------------------------------

    def _form_all(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._register_empty_input(connection)
        plain = [value.base for value in self.values if not value.guarded]
        selected = ", ".join(plain) or "i"
        types = iter(map(str, connection.sql(f"SELECT {selected} FROM input").types))
        formed = []
        for value in self.values:
            try:
                place = f"fields.{value.target}"
                duckdb_type = self._type(connection, value.base, place) if value.guarded else next(types)
                family = forms.family(duckdb_type)
                form = self._form(value, family, duckdb_type)
                formed.append(replace(value, family=family, form=form))
                _check_default(connection, value.spec, family, duckdb_type, place)
            except UsageError as error:
                self._note(error)
        if self.stream.where is not None:
            self._check_where(connection, self.stream.where)
        self._check_words(connection)
        connection.unregister("input")
        self.values = formed

    def _register_empty_input(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Show DuckDB the columns that are read, and no rows."""
        schema = self._input_schema(sorted({*self._numbers.values(), *self._named().values()}))
        for name in schema.names[1:]:
            if name.startswith("c") and not _readable(connection, schema.field(name).type):
                index = int(name[1:])
                self.mistakes.append(
                    f"column {self.schema.names[index]!r} has the type {schema.field(name).type}, unknown to DuckDB"
                )
                self.hints.append("convert it at the source, or leave the column out")
        self._raise_mistakes()
        connection.register("input", _empty(schema))

    def _input_schema(self, columns: Sequence[int]) -> pa.Schema:
        """Return the columns of `input`: the row's number, the columns that are read, and what is nested as text."""
        read = [self.schema.field(index).with_name(f"c{index}") for index in columns]
        flattened = [
            pa.field(f"{letter}{column.number}", kind)
            for column in self.nested
            for letter, kind in (("j", pa.string()), ("x", pa.bool_()))
        ]
        return pa.schema([pa.field("i", pa.int64()), *read, *flattened])

    def _type(self, connection: duckdb.DuckDBPyConnection, expression: str, place: str) -> str:
        """Ask DuckDB for the type of an expression, which sees the columns that it names and nothing of ours."""
        named = named_columns(self._named())
        level = f" FROM (SELECT {', '.join(named)} FROM input)" if named else ""
        try:
            return str(connection.sql(f"SELECT ({expression}\n){level}").types[0])
        except duckdb.Error as error:
            raise UsageError(
                f"{place}: the expression does not fit the source: {str(error).splitlines()[0]}",
                hint=f"the source has: {', '.join(self.schema.names[:_SHOWN_COLUMNS])}",
            ) from None

    def _check_where(self, connection: duckdb.DuckDBPyConnection, where: str) -> None:
        try:
            duckdb_type = self._type(connection, self._bound(where), "where")
        except UsageError as error:
            self._note(error)
            return
        if forms.family(duckdb_type) not in {"boolean", "integer", "null"}:
            self.mistakes.append(f"where: is neither true nor false, but of the type {duckdb_type}")
            self.hints.append("compare it with something, for example `plan = 'pro'`")

    def _check_words(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Try the time formats and zones that DuckDB would refuse at the first row."""
        for value in self.values:
            for form in value.spec.format or []:
                if not _works(connection, f"try_strptime('', {literal(form)})"):
                    self.mistakes.append(f"fields.{value.target}: {form!r} is not a time format")
                    self.hints.append("write it with %Y, %m, %d, %H, %M, %S, %f and %z")
        zones = {value.spec.timezone for value in self.values if value.spec.timezone is not None}
        for zone in sorted(zones):
            if not _works(connection, f"timezone({literal(zone)}, TIMESTAMP '2000-01-01')"):
                self.mistakes.append(f"the time zone {zone!r} has no clock changes that are known here")
                self.hints.append("write a place, for example Europe/Copenhagen, or UTC")

    def _form(self, value: Value, family: forms.Family, duckdb_type: str) -> Form:
        spec, place = value.spec, f"fields.{value.target}"
        if value.target.startswith("key."):
            # Whole: two events of one millisecond are two.
            whole = forms.Form(value="CAST({p} AS VARCHAR)")
            return whole if family in {"timestamp", "zoned"} else forms.string(family, duckdb_type, spec, place)
        rule = self.rules.get(value.target)
        if spec.hash is not None and rule is not None and rule.form != "text":
            raise UsageError(f"{place}: `hash:` does not fit, this field is no free text", hint="remove `hash:`")
        match rule.form if rule is not None else None:
            case None:
                return forms.typed(family, duckdb_type, spec, place)
            case "timestamp":
                return forms.timestamp(family, duckdb_type, spec, place)
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
        for group in contract.one_of(self.stream.record, self.api):
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
            # A number that is sent as text is measured as that text.
            as_text = rule.form in {"text", "choice"} and value.family != "text"
            level = f"({value.form.text})" if as_text else "{v}"
            found += [replace(wrong, predicate=wrong.predicate.replace("{v}", level)) for wrong in _limits(rule)]
        if value.target == "timestamp":
            latest = f"TIMESTAMP '{self.as_of:%Y-%m-%d %H:%M:%S.%f}' + INTERVAL 1 DAY"
            between = f"{{v}} >= TIMESTAMP '{EARLIEST}' AND {{v}} <= {latest}"
            message = "is not between 1980 and a day after the run's time (is the unit or the format right?)"
            found.append(Wrong(f"{{v}} IS NOT NULL AND NOT ({between})", "range", message))
        return found


def _limits(rule: FieldRule) -> list[Wrong]:
    """Return what the contract says of a field, as predicates."""
    found: list[Wrong] = []
    given = "{v} IS NOT NULL AND "
    if rule.name in {"userId", "companyId"}:
        found.append(Wrong(given + forms.BLANK.format("{v}"), "blank", forms.BLANK_MESSAGE))
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
    if rule.form == "integer" and rule.maximum is None:
        # Beyond it the form would be text, and the field is a number.
        found.append(Wrong(f"{given}{{v}} > {forms.INTEGER_MAX}", "range", "is more than a JSON number can say"))
    if rule.maximum is not None:
        found.append(Wrong(f"{given}{{v}} > {rule.maximum}", "range", f"is more than {rule.maximum}"))
    return found


def _works(connection: duckdb.DuckDBPyConnection, expression: str) -> bool:
    try:
        connection.execute(f"SELECT CAST({expression} AS VARCHAR)").fetchall()
    except duckdb.Error:
        return False
    return True


def _empty(schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches([], schema)  # `schema.empty_table()` would import pandas


def _readable(connection: duckdb.DuckDBPyConnection, kind: pa.DataType) -> bool:
    try:
        connection.from_arrow(_empty(pa.schema([pa.field("c", kind)])))
    except duckdb.Error:
        return False
    return True


def _check_default(
    connection: duckdb.DuckDBPyConnection, spec: FieldSpec, family: forms.Family, duckdb_type: str, place: str
) -> None:
    """Refuse a default that the type cannot hold as it is written: `abc` or `1.5` for whole numbers."""
    if spec.default is None or family in {"text", "null"}:
        return
    text = literal(constant_text(spec.default))
    fits = f"TRY_CAST({text} AS {duckdb_type}) IS NOT NULL"
    if family in {"integer", "decimal"}:
        fits += f" AND CAST(TRY_CAST({text} AS {duckdb_type}) AS DOUBLE) = TRY_CAST({text} AS DOUBLE)"
    if connection.execute(f"SELECT {fits}").fetchall() != [(True,)]:
        raise UsageError(
            f"{place}: `default:` does not fit the type {duckdb_type}", hint="write a value of the column's type"
        )
