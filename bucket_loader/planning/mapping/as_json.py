"""A typed nested value as JSON text, in SQL: each value in it has the form that its type has on the wire."""

from typing import Final

import pyarrow as pa

from bucket_loader.config import FieldSpec
from bucket_loader.model import literal
from bucket_loader.planning.mapping.forms.form import Family
from bucket_loader.planning.mapping.forms.natural import natural
from bucket_loader.planning.mapping.members import NestedColumn

_FLOAT_DIGITS: Final = range(6, 10)  # six are kept by every float of 32 bits, and nine tell all of them apart
# In place of a value that has no form: nobody is sure of a text with NUL in it, and so the row is left to Python.
_NONE = "chr(0)"


def has_form(kind: pa.DataType) -> bool:
    """Whether all that may stand in a value of a type has a form here."""
    types = pa.types
    if types.is_map(kind):
        return types.is_string(kind.key_type) and has_form(kind.item_type)
    if types.is_struct(kind):
        return all(has_form(kind.field(place).type) for place in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind):
        return has_form(kind.value_type)
    if types.is_timestamp(kind):
        return bool(kind.unit != "ns")
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_integer(kind)
        or types.is_boolean(kind)
        or types.is_float32(kind)
        or types.is_float64(kind)
        or types.is_date32(kind)
    )


def json_text(column: NestedColumn, kind: pa.DataType) -> str:
    """Return SQL for the JSON text of a value `c`."""
    spec = FieldSpec(column=column.column, timezone=column.timezone, dst=column.dst)
    return f"CAST(to_json({_formed('c', kind, spec)}) AS VARCHAR)"


def _formed(value: str, kind: pa.DataType, spec: FieldSpec, depth: int = 0) -> str:
    """Return SQL for a value in which each one that JSON does not know has its form; the value itself where none is."""
    types, item = pa.types, f"x{depth}"
    if types.is_struct(kind):
        members = [(field.name, f"{value}[{literal(field.name)}]", field.type) for field in kind]
        formed = [(name, inner, _formed(inner, of, spec, depth + 1)) for name, inner, of in members]
        if all(before == after for _, before, after in formed):
            return value
        listed = ", ".join(f"{literal(name)}: {after}" for name, _, after in formed)
        return f"CASE WHEN {value} IS NOT NULL THEN {{{listed}}} END"
    if types.is_map(kind):
        inner = _formed(f"{item}.value", kind.item_type, spec, depth + 1)
        if inner == f"{item}.value":
            return value
        return (
            f"map_from_entries(list_transform(map_entries({value}), lambda {item}: {{'k': {item}.key, 'v': {inner}}}))"
        )
    if types.is_list(kind) or types.is_large_list(kind):
        inner = _formed(item, kind.value_type, spec, depth + 1)
        return value if inner == item else f"list_transform({value}, lambda {item}: {inner})"
    if types.is_float32(kind):
        return _shortest(value)
    if types.is_timestamp(kind):
        of: Family = "zoned" if kind.tz is not None else "timestamp"
        return _text(value, of, "TIMESTAMP WITH TIME ZONE" if kind.tz is not None else "TIMESTAMP", spec)
    return _text(value, "date", "DATE", spec) if types.is_date32(kind) else value


def _shortest(float_: str) -> str:
    """Return SQL for a float of 32 bits as a double: whole as it is, else the one with the fewest digits that is it.

    The text that DuckDB has for it may be longer: 131799.125 for 131799.12.
    """
    double = f"CAST({float_} AS DOUBLE)"
    *shorter, longest = [f"TRY_CAST(printf('%.{digits}g', {double}) AS DOUBLE)" for digits in _FLOAT_DIGITS]
    found = " ".join(f"WHEN TRY_CAST({one} AS FLOAT) = {float_} THEN {one}" for one in shorter)
    return f"CASE WHEN {float_} = trunc({float_}) THEN {double} {found} ELSE {longest} END"


def _text(value: str, of: Family, duckdb_type: str, spec: FieldSpec) -> str:
    form = natural(of, duckdb_type, spec, "")
    parsed = form.parsed.replace("{n}", value)
    moment = form.value.replace("{p}", parsed)
    wrong = [one.predicate.replace("{n}", value).replace("{p}", parsed).replace("{v}", moment) for one in form.wrong]
    text = form.text.replace("{v}", moment)
    return f"CASE WHEN {' OR '.join(f'({one})' for one in wrong)} THEN {_NONE} ELSE {text} END"
