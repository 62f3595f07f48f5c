"""The form of a value for which a field asks a type."""

from bucket_loader.config import FieldSpec
from bucket_loader.model import UsageError
from bucket_loader.planning.mapping.forms.form import Family, Form, of_json
from bucket_loader.planning.mapping.forms.natural import natural
from bucket_loader.planning.mapping.forms.numbers import boolean, integer, number_from_text
from bucket_loader.planning.mapping.forms.texts import string
from bucket_loader.planning.mapping.forms.times import date, timestamp


def typed(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    """Return the form of a value for the type that the field asks for."""
    if spec.hash is not None:
        return string(of, duckdb_type, spec, place)
    match spec.type:
        case None:
            return natural(of, duckdb_type, spec, place)
        case "string":
            return string(of, duckdb_type, spec, place)
        case "integer":
            return integer(of, place)
        case "number" if of == "json":
            return of_json(number_from_text())
        case "number":
            return number_from_text() if of == "text" else _number(of, duckdb_type, spec, place)
        case "boolean":
            return boolean(of, place)
        case "timestamp":
            return timestamp(of, duckdb_type, spec, place)
        case "date":
            return date(of, duckdb_type, spec, place)
        case _:
            raise UsageError(f"{place}: `type: json` reads text or nested columns", hint="remove `type:`")


def _number(of: Family, duckdb_type: str, spec: FieldSpec, place: str) -> Form:
    if of not in {"integer", "float", "decimal", "null"}:
        raise UsageError(f"{place}: a {of} cannot be read as a number", hint="use `sql:` to convert it")
    return natural(of, duckdb_type, spec, place)
