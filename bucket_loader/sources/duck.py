"""What the sources that are DuckDB share: one SELECT, in a locked-down connection, streamed as Arrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import ROWS_MAX, InputBatch, SourceError, identifier, in_form, literal, sql_mistake
from bucket_loader.sources.base import alike, counted, repeated
from bucket_loader.sources.values.durations import of_duckdb
from bucket_loader.sources.values.types import as_type, lists, plain_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from duckdb.sqltypes import DuckDBPyType

# One thread, so that rows come in the same order every time.
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "preserve_insertion_order": True,
    "memory_limit": "1GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

# What comes as text that is JSON: documents, and numbers of more digits than a decimal has.
_JSON: Final = frozenset({"JSON", "UHUGEINT", "BIGNUM"})
# What Arrow would get as something else: too small a number, bytes, or a time of day without its zone.
_NOT_CARRIED: Final = frozenset({"UHUGEINT", "BIGNUM", "BIT", "TIME WITH TIME ZONE"})
# And a span of time, whose microseconds Arrow counts as nanoseconds: beyond 292 years they would become others.
_SPANS: Final = frozenset({"INTERVAL"})
_AS_TEXT: Final = _NOT_CARRIED | _SPANS


def connected(file: Path | None = None, *, spill: str | None = None) -> "duckdb.DuckDBPyConnection":
    """Open a DuckDB file to read it, or a database in memory, which may spill into a folder."""
    import duckdb

    config = _CONFIG if spill is None else {**_CONFIG, "temp_directory": spill}
    return duckdb.connect(file or ":memory:", read_only=file is not None, config=config)


def lock_down(connection: "duckdb.DuckDBPyConnection", paths: Iterator[str] | tuple[str, ...] = ()) -> None:
    """Take everything but the tables away from a connection: files, network, extensions, settings, our variables."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    keep_silent(connection)
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def keep_silent(connection: "duckdb.DuckDBPyConnection") -> None:
    """Let DuckDB show no bar of progress: it would go to stdout, or into a notebook.

    In a notebook without ipywidgets there is none, and the setting cannot be touched.
    """
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        connection.execute("SET enable_progress_bar = false")


def one_select(sql: str) -> None:
    """Refuse everything that is not exactly one statement that only reads.

    Raises:
        SourceError: with what it is instead.
    """
    import duckdb

    try:
        kinds = [statement.type.name for statement in duckdb.extract_statements(sql)]
    except duckdb.Error as error:
        raise SourceError(f"the query cannot be read: {said(error)}", hint="try it in DuckDB") from error
    if kinds != ["SELECT"]:
        found = " and ".join(kinds) or "nothing"
        raise SourceError(f"the query must be one SELECT; it is {found}", hint="write one SELECT")


def said(error: Exception) -> str:
    """Return the first line of what DuckDB says; without values, which it quotes when a row is at fault."""
    import duckdb

    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)):
        return sql_mistake(error)
    line = str(error).splitlines()[0]
    if isinstance(error, duckdb.InvalidInputException):  # the words may be the query's own: error(column)
        return "Invalid Input Error (its words may hold a value and are not shown)"
    for quote in "'\"":
        line = line.split(quote)[0]
    return f"{line.rstrip()} ... (the value is not shown)"


def arrow_schema(relation: "duckdb.DuckDBPyRelation", origin: str) -> "pa.Schema":
    """Return a query's columns without running it.

    Raises:
        SourceError: two columns have one name.
    """
    for name, places in repeated(relation.columns).items():
        raise SourceError(
            f"{origin} gives {name!r} more than once, as columns {' and '.join(map(str, places))}",
            hint="name each column once, with `as` where two tables share a name",
        )
    for names in alike(relation.columns):
        raise SourceError(
            f"{origin} gives {' and '.join(map(repr, names))}, which SQL does not tell apart",
            hint="name each column once, with `as`",
        )
    return _at_the_seam(relation, origin)


def _at_the_seam(relation: "duckdb.DuckDBPyRelation", origin: str) -> "pa.Schema":
    import pyarrow as pa

    given = plain_schema(_carried(relation).limit(0).to_arrow_reader(1).schema, origin)
    kinds = map(_with_json, relation.types, given.types)
    fields = map(pa.field, given.names, kinds)
    return pa.schema([_marked(field, of) for field, of in zip(fields, relation.types, strict=True)])


def _marked(field: "pa.Field", of: "DuckDBPyType") -> "pa.Field":
    """Mark a column in which some values came as others before."""
    anew = _NOT_CARRIED | {"TIME_NS", "JSON"}
    return in_form(field, 2) if any(_holds(child, anew) for child in _children(of)) else field


def _with_json(of: "DuckDBPyType", kind: "pa.DataType") -> "pa.DataType":
    """Return a column's Arrow type with JSON in the place of its text, at whatever depth."""
    import pyarrow as pa

    if str(of) in _JSON:
        return pa.json_()
    if not _holds(of, _JSON):
        return kind
    inner = _children(of)
    if of.id == "struct":
        pairs = zip(kind, inner, strict=True)
        return pa.struct([field.with_type(_with_json(child, field.type)) for field, child in pairs])
    if of.id == "map":
        return pa.map_(_with_json(inner[0], kind.key_type), _with_json(inner[1], kind.item_type))
    return pa.list_(_with_json(inner[0], kind.field(0).type))


def _carried(relation: "duckdb.DuckDBPyRelation") -> "duckdb.DuckDBPyRelation":
    """Select as text what Arrow does not carry as it is, alone or inside lists, structs and maps."""
    kinds = list(zip(relation.columns, relation.types, strict=True))
    if not any(_holds(kind, _AS_TEXT) for _, kind in kinds):
        return relation
    shown = [f"CAST({identifier(name)} AS {_carried_type(kind)}) AS {identifier(name)}" if _holds(kind, _AS_TEXT)
             else identifier(name) for name, kind in kinds]  # fmt: skip
    return relation.project(", ".join(shown))


def _carried_type(of: "DuckDBPyType") -> str:
    """Spell a type with text in the place of what Arrow does not carry."""
    if str(of) in _AS_TEXT:
        return "VARCHAR"
    if not _holds(of, _AS_TEXT):
        return str(of)
    inner = [_carried_type(child) for child in _children(of)]
    if of.id == "struct":
        names = [identifier(name) for name, _ in of.children]
        return f"STRUCT({', '.join(map(' '.join, zip(names, inner, strict=True)))})"
    return f"MAP({', '.join(inner)})" if of.id == "map" else f"{inner[0]}[]"


def _holds(of: "DuckDBPyType", names: frozenset[str]) -> bool:
    """Whether a type is one of these, or holds one at whatever depth."""
    return str(of) in names or any(_holds(child, names) for child in _children(of))


def _children(of: "DuckDBPyType") -> "list[DuckDBPyType]":
    """Return the types inside a list, a struct or a map; an array's size is none."""
    if of.id not in {"list", "array", "struct", "map"}:
        return []
    return [child for name, child in of.children if name != "size" or of.id == "struct"]


def batches(relation: "duckdb.DuckDBPyRelation", origin: str) -> Iterator[InputBatch]:
    """Run a query and stream its rows. No second query may run on its connection meanwhile."""
    import pyarrow as pa

    schema = _at_the_seam(relation, origin)
    reader: Any = _carried(relation).to_arrow_reader(ROWS_MAX)
    with reader:
        spelt = (map(_with_iso, batch.columns, relation.types) for batch in reader)
        plain = (pa.RecordBatch.from_arrays(list(map(as_type, columns, schema.types)), schema=schema)
                 for columns in spelt)  # fmt: skip
        yield from counted(plain, origin)


def _with_iso(column: "pa.Array", of: "DuckDBPyType") -> "pa.Array":
    """Spell the intervals of a column, which come as DuckDB's text, as ISO 8601, at whatever depth."""
    import pyarrow as pa

    if str(of) == "INTERVAL":
        return of_duckdb(column)
    if not _holds(of, _SPANS):
        return column
    inner = _children(of)
    if of.id == "struct":
        members = [_with_iso(column.field(place), child) for place, child in enumerate(inner)]
        fields = [column.type.field(place) for place in range(column.type.num_fields)]
        return pa.StructArray.from_arrays(members, fields=fields, mask=column.is_null())
    offsets, whole = lists(column)
    if of.id == "map":
        keys, items = (_with_iso(whole.field(place), child) for place, child in enumerate(inner))
        return pa.MapArray.from_arrays(offsets, keys, items, mask=column.is_null())
    return pa.ListArray.from_arrays(offsets, _with_iso(whole, inner[0]), mask=column.is_null())
