"""What the sources that are DuckDB share: one SELECT, in a locked-down connection, streamed as Arrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import ROWS_MAX, InputBatch, SourceError
from bucket_loader.sources.base import alike, counted, quoted, repeated
from bucket_loader.sources.values.types import as_type, plain_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# One thread, so that rows come in the same order every time.
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 1,
    "preserve_insertion_order": True,
    "memory_limit": "1GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

# JSON, and numbers of more digits than a decimal has, whose digits a number of JSON keeps.
_JSON: Final = frozenset({"JSON", "UHUGEINT", "BIGNUM"})
# What Arrow would get as something else: too small a number, bytes, or a time of day without its zone.
_NOT_CARRIED: Final = frozenset({"UHUGEINT", "BIGNUM", "BIT", "TIME WITH TIME ZONE"})


def connected(file: Path | None = None, *, spill: str | None = None) -> "duckdb.DuckDBPyConnection":
    """Open a DuckDB file to read it, or a database in memory, which may spill into a folder."""
    import duckdb

    config = _CONFIG if spill is None else {**_CONFIG, "temp_directory": spill}
    return duckdb.connect(file or ":memory:", read_only=file is not None, config=config)


def lock_down(connection: "duckdb.DuckDBPyConnection", paths: Iterator[str] | tuple[str, ...] = ()) -> None:
    """Take everything but the tables away from a connection: files, network, extensions, settings, our variables."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_progress_bar = false")  # it would go to stdout
    connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def literal(text: str) -> str:
    """Spell a text."""
    return "'" + text.replace("'", "''") + "'"


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

    line = str(error).splitlines()[0]
    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)):
        return line
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
    json = [str(kind) in _JSON for kind in relation.types]
    kinds = [pa.json_() if is_json else kind for is_json, kind in zip(json, given.types, strict=True)]
    return pa.schema(list(zip(given.names, kinds, strict=True)))


def _carried(relation: "duckdb.DuckDBPyRelation") -> "duckdb.DuckDBPyRelation":
    """Select as text what Arrow does not carry as it is."""
    names = {name: quoted(name) for name in relation.columns}
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    if not _NOT_CARRIED & set(kinds.values()):
        return relation
    shown = [f"CAST({spelt} AS VARCHAR) AS {spelt}" if kinds[name] in _NOT_CARRIED else spelt
             for name, spelt in names.items()]  # fmt: skip
    return relation.project(", ".join(shown))


def batches(relation: "duckdb.DuckDBPyRelation", origin: str) -> Iterator[InputBatch]:
    """Run a query and stream its rows. No second query may run on its connection meanwhile."""
    import pyarrow as pa

    schema = _at_the_seam(relation, origin)
    reader: Any = _carried(relation).to_arrow_reader(ROWS_MAX)
    with reader:
        plain = (pa.RecordBatch.from_arrays(list(map(as_type, batch.columns, schema.types)), schema=schema)
                 for batch in reader)  # fmt: skip
        yield from counted(plain, origin)
