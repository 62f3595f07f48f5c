"""From `fields:` to the members of a record: which values each field has, and where each of them comes from."""

import json
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from bucket_loader.config import FieldSpec, Values
from bucket_loader.model import literal
from bucket_loader.planning.mapping.asked import FRESH, spec_of_fresh
from bucket_loader.planning.mapping.changed_forms import Formed
from bucket_loader.planning.mapping.columns import UsedColumns, spread
from bucket_loader.planning.mapping.members import Beside, ListOf, Member, NestedColumn, Value, constant_text
from bucket_loader.planning.mapping.mistakes import Mistakes
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.lists import dropped_part
from bucket_loader.planning.mapping.nested.local_times import LocalTimes
from bucket_loader.planning.mapping.spec import MappingSpec


class Fields:
    """The fields of one stream on their way to members.

    Attributes:
        values: the single values, by number.
        nested: the nested columns, by number.
        notes: what the user should know of them.
        fresh: the value of which limits ask the latest; None where they do not.
        spread: the columns that a `*` sends; None where there is none.
    """

    def __init__(self, spec: MappingSpec, used: UsedColumns, mistakes: Mistakes) -> None:
        self._spec = spec
        self._used = used
        self._mistakes = mistakes
        self.values: list[Value] = []
        self.nested: list[NestedColumn] = []
        self.notes: list[str] = []
        self.fresh: Value | None = None
        self.spread: tuple[str, ...] | None = None

    def members(self) -> dict[str, list[Member]]:
        """Return the members of each field; those of `key:` stand under `key.`.

        Raises:
            UsageError: fields cannot be as they are (all are named).
        """
        stream = self._spec.stream
        given = stream.fields.given()
        members = {name: self._field(name, spec) for name, spec in given.items() if isinstance(spec, FieldSpec)}
        members |= {name: self._object(name, spec) for name, spec in given.items() if isinstance(spec, Values)}
        if stream.key:
            members["key."] = [self._value(f"key.{column}", FieldSpec(column=column)) for column in stream.key]
        if (column := self._spec.asked.fresh) is not None:
            self.fresh = self._value(FRESH, spec_of_fresh(column, stream))
        self._mistakes.raise_any()
        return members

    def seen(self) -> list[Formed]:
        """Return the nested columns, as the table of changed forms sees them."""
        return [
            Formed(FieldSpec(column=one.column, timezone=one.timezone), self._spec.schema.field(one.column))
            for one in self.nested
        ]

    def has_lists(self) -> bool:
        """Whether what is sent depends on how lists are."""
        whole = any(map(self._spec.is_whole, self._spec.stream.fields.given()))
        return whole or any(one.list_of is None and self._may_hold_lists(one) for one in self.nested)

    def _may_hold_lists(self, column: NestedColumn) -> bool:
        return column.is_text or spelling.has_lists(self._spec.schema.field(column.column).type)

    def columns(self) -> set[int]:
        """Return the numbers of the columns that single values read."""
        names = {value.spec.column for value in self.values if value.spec.column is not None}
        return {self._spec.schema.names.index(name) for name in names}

    def _field(self, name: str, spec: FieldSpec) -> list[Member]:
        form = self._spec.rules[name].form
        if form == "booleans" or form == "texts" or form == "objects":  # noqa: PLR1714  # so that the type narrows
            return [self._nested(name, spec, list_of=form)]
        return [self._value(name, spec)]

    def _object(self, name: str, spec: Values) -> list[Member]:
        """Return an object's members sorted by name; `*` adds every column that no field uses."""
        named = dict(spec.named)
        if spec.star is not None:
            self.spread = spread(spec, self._used.by_field | self._used.by_expression, self._spec.source.names)
            named |= {column: FieldSpec(column=column) for column in self.spread}
            self._check_excluded(name, named, spec.star.exclude)
        if self._spec.is_whole(name):
            self._check_objects(name, named)
        else:
            self._check_dropped(name, named)
        return [
            self._nested(f"{name}.{key}", inner, beside=self._beside(key, named, spec))
            if self._is_nested(inner)
            else self._value(f"{name}.{key}", inner)
            for key, inner in sorted(named.items())
        ]

    def _check_objects(self, name: str, named: Mapping[str, FieldSpec]) -> None:
        """Refuse a value that would stand where an object is: `user` beside `user.id`."""
        for key in named:
            if below := next((other for other in named if other.startswith(f"{key}.")), None):
                self._mistakes.add(
                    f"fields.{name}: {key!r} is a value, and {below!r} makes an object of it",
                    "leave one of them out; or give the other another name",
                )

    def _check_dropped(self, name: str, named: Mapping[str, FieldSpec]) -> None:
        """Refuse attributes that Bucket would drop, or tell of them."""
        for key in named:
            if (part := dropped_part(key)) is None:
                continue
            message = f"fields.{name}.{key}: Bucket drops every attribute with the name {part!r}"
            if self._spec.arrays.rejects:
                self._mistakes.add(message, "give it another name, or leave it out; `on_truncation: send` sends it")
            else:
                self.notes.append(message)

    def _check_excluded(self, name: str, named: Mapping[str, FieldSpec], excluded: Sequence[str]) -> None:
        """Refuse to leave something out of a text, which is sent whole."""
        for key, inner in named.items():
            column = inner.column or ""
            if inner.type not in {None, "string"} or self._is_nested(inner):
                continue
            for path in self._inside(column, excluded):
                self._mistakes.add(
                    f"fields.{name}: `exclude:` cannot leave {path!r} out of {column!r}, a text that is sent whole",
                    f"exclude {column!r}; or write `{key}: {{column: {column}, type: json}}` beside `*`",
                )

    def _inside(self, column: str, names: Iterable[str]) -> list[str]:
        """Return those of some names that are inside of a column, and no columns themselves."""
        there = frozenset(self._spec.source.names)
        return [name for name in names if name.startswith(f"{column}.") and name not in there]

    def _hidden(self, key: str, spec: FieldSpec, values: Values) -> frozenset[str]:
        """Return the dotted names in a nested value that are left out: as `exclude:` says, or as fields use them."""
        if spec.column is None or values.star is None:
            return frozenset()
        used = () if key in values.named else self._used.by_field
        # An excluded name leaves out both meanings that it has where a column is called so, too.
        excluded = [name for name in values.star.exclude if name.startswith(f"{spec.column}.")]
        left_out = [*excluded, *self._inside(spec.column, used)]
        return frozenset(key + name.removeprefix(spec.column) for name in left_out)

    def _beside(self, name: str, named: Mapping[str, FieldSpec], values: Values) -> Beside:
        """Return the members beside a nested one; those above it meet nothing in it, but it meets what is in them."""
        by_hand = frozenset(values.named)
        below = [key for key in named if key.startswith(f"{name}.")]
        return Beside(
            names=frozenset(named) - {name},
            nested=frozenset(key for key in below if self._is_nested(named[key])),
            winning=frozenset() if name in by_hand else by_hand,
            hidden=self._hidden(name, named[name], values),
        )

    def _is_nested(self, spec: FieldSpec) -> bool:
        if spec.column is None or spec.type not in {None, "json"}:
            return spec.type == "json"
        kind = self._spec.schema.field(spec.column).type
        if spec.hash is not None and isinstance(kind, pa.JsonType):
            return False
        return spec.type == "json" or bool(pa.types.is_nested(kind)) or isinstance(kind, pa.JsonType)

    def _nested(
        self,
        target: str,
        spec: FieldSpec,
        *,
        beside: Beside | None = None,
        list_of: ListOf | None = None,
    ) -> NestedColumn:
        schema, stream = self._spec.schema, self._spec.stream
        timezone = spec.timezone or stream.timezone
        kind = schema.field(spec.column).type if spec.column is not None else pa.string()
        self._check_nested(target, spec, kind, timezone)
        column = NestedColumn(
            number=len(self.nested),
            target=target,
            column=spec.column or schema.names[0],
            is_text=spec.column is not None and not pa.types.is_nested(kind),
            send_nulls=stream.nulls == "send",
            list_of=list_of,
            beside=beside or Beside(),
            arrays=self._spec.arrays,
            is_whole=self._spec.is_whole(target.partition(".")[0]),
            null_values=_null_texts(spec, kind),
            default=spec.default,
            timezone=timezone,
            dst=spec.dst or stream.dst,
            local=self._local_times(kind, timezone, spec.dst or stream.dst),
        )
        self.nested.append(column)
        return column

    @staticmethod
    def _local_times(kind: pa.DataType, timezone: str | None, dst: str | None) -> LocalTimes | None:
        holds_some = pa.types.is_nested(kind) and spelling.has_local_times(kind)
        return LocalTimes(timezone, dst) if holds_some and timezone is not None else None

    def _check_nested(self, target: str, spec: FieldSpec, kind: pa.DataType, timezone: str | None) -> None:
        place = f"fields.{target}"
        if spec.column is None:
            self._mistakes.add(f"{place}: `type: json` and lists are read from a column")
        if spec.hash is not None:
            self._mistakes.add(f"{place}: `hash:` reads one value, not nested ones")
        if timezone is None and pa.types.is_nested(kind) and spelling.has_local_times(kind):
            self._mistakes.add(
                f"{place}: column {spec.column!r} holds times without a time zone",
                "write `timezone: UTC`, or the zone they are in, on the field or the stream",
            )

    def _value(self, target: str, spec: FieldSpec) -> Value:
        stream = self._spec.stream
        zone = {"timezone": spec.timezone or stream.timezone, "dst": spec.dst or stream.dst}
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
            return f"c{self._spec.schema.names.index(spec.column)}"
        if spec.sql is not None:
            return self._spec.bound(spec.sql)
        match spec.value:
            case None:
                return "CAST(NULL AS VARCHAR)"
            case str():
                return literal(spec.value)
            case bool() | int():
                return constant_text(spec.value)
            case _:
                return f"CAST({literal(constant_text(spec.value))} AS DOUBLE)"


def _null_texts(spec: FieldSpec, kind: pa.DataType) -> frozenset[str]:
    """Return the texts that are null; in a column of JSON each of them may be a text of JSON."""
    listed = spec.null_values or []
    as_json = [json.dumps(text, ensure_ascii=False) for text in listed] if isinstance(kind, pa.JsonType) else []
    return frozenset([*listed, *as_json])
