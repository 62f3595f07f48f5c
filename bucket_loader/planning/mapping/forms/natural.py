"""The form of a value for which no type is asked: that of the type it has."""

from bucket_loader.config import FieldSpec
from bucket_loader.model import UsageError
from bucket_loader.planning.mapping.forms.form import NUL, Family, Form
from bucket_loader.planning.mapping.forms.numbers import decimal_form, float_form, whole_form
from bucket_loader.planning.mapping.forms.times import date_form, duration, timestamp


def natural(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:  # noqa: C901  # a table of types
    """Return the form of a value for which no type is asked."""
    match of:
        case "text":
            return Form(wrong=(NUL,))
        case "integer":
            return whole_form(duckdb_type)
        case "float":
            return float_form()
        case "decimal":
            return decimal_form(duckdb_type)
        case "boolean":
            return Form(json="CAST({v} AS VARCHAR)", text="CAST({v} AS VARCHAR)")
        case "timestamp" | "zoned":
            return timestamp(of, duckdb_type, spec, place)
        case "date":
            return date_form("{n}", ())
        case "json":
            raise UsageError(
                f"{place}: JSON has no form of its own",
                hint="write `->>` in the expression to take text out of it, or CAST it to VARCHAR",
            )
        case "time" | "uuid" | "null":
            return Form(value="CAST({p} AS VARCHAR)")
        case "interval":
            return Form(value=duration("{p}"))
        case "binary":
            raise UsageError(
                f"{place}: binary has no form of its own",
                hint="write `type: string` with `encoding: utf8`, `hex` or `base64`, or exclude the column",
            )
        case _:
            raise UsageError(
                f"{place}: the type {duckdb_type} has no form on the wire",
                hint="give it one with `sql:`, for example a CAST, or exclude the column",
            )
