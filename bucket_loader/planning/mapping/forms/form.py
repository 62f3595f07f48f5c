"""What a form is: how one value goes through the SELECT, and what can be wrong with it."""

from dataclasses import dataclass, field
from typing import Final, Literal

from bucket_loader.model import Code

Family = Literal[
    "text", "integer", "float", "decimal", "boolean", "timestamp", "zoned", "date", "time", "binary", "uuid", "json",
    "null", "nested", "interval", "other",
]  # fmt: skip

_FAMILIES: Final[dict[str, Family]] = {
    "VARCHAR": "text",
    "TINYINT": "integer",
    "SMALLINT": "integer",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "HUGEINT": "integer",
    "UTINYINT": "integer",
    "USMALLINT": "integer",
    "UINTEGER": "integer",
    "UBIGINT": "integer",
    "UHUGEINT": "integer",
    "FLOAT": "float",
    "DOUBLE": "float",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp",
    "TIMESTAMP_MS": "timestamp",
    "TIMESTAMP_NS": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "zoned",
    "TIMESTAMPTZ_NS": "zoned",
    "DATE": "date",
    "TIME": "time",
    "TIME_NS": "time",
    "BLOB": "binary",
    "UUID": "uuid",
    "INTERVAL": "interval",
    "JSON": "json",
    '"NULL"': "null",
    "NULL": "null",
}


def family(duckdb_type: str) -> Family:
    """Return the family of a DuckDB type by its name."""
    if duckdb_type.startswith("DECIMAL"):
        return "decimal"
    if duckdb_type.startswith("ENUM"):
        return "text"
    if duckdb_type.endswith("]") or duckdb_type.startswith(("STRUCT", "MAP", "UNION")):
        return "nested"
    return _FAMILIES.get(duckdb_type, "other")


@dataclass(frozen=True)
class Wrong:
    """When a row is wrong: a predicate that is never NULL, and what to say of it."""

    predicate: str
    code: Code
    message: str


@dataclass(frozen=True)
class Form:
    """How one value goes through the SELECT. `{n}`, `{p}` and `{v}` stand for the levels before.

    Attributes:
        parsed: `p` in terms of `{n}`.
        value: `v` in terms of `{p}`.
        json: JSON text in terms of `{v}`; NULL when the value is.
        text: plain text in terms of `{v}`, for ids and keys.
        wrong: what makes a row wrong, in terms of all three.
    """

    parsed: str = "{n}"
    value: str = "{p}"
    json: str = "CAST(to_json({v}) AS VARCHAR)"
    text: str = "{v}"
    wrong: tuple[Wrong, ...] = field(default=())


UNPARSED: Final = "{n} IS NOT NULL AND {p} IS NULL"
NUL: Final = Wrong("{v} IS NOT NULL AND contains({v}, chr(0))", "nul", "holds a NUL character")

# A text of JSON is its content, anything else its spelling.
JSON_TEXT: Final = (
    "CASE json_type({n}) WHEN 'VARCHAR' THEN {n} ->> '$' WHEN 'NULL' THEN NULL ELSE CAST({n} AS VARCHAR) END"
)

NESTED: Final = "coalesce(json_type({n}) IN ('OBJECT', 'ARRAY'), false)"


def of_json(form: Form) -> Form:
    """Read JSON by the form of its text."""

    def inner(template: str) -> str:
        return template.replace("{n}", f"({JSON_TEXT})")

    wrong = tuple(Wrong(inner(one.predicate), one.code, one.message) for one in form.wrong)
    return Form(inner(form.parsed), form.value, form.json, form.text, wrong)
