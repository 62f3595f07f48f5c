"""A query over the named sources, run by DuckDB over their staged files and nothing else."""

import glob
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bucket_loader.config import QuerySource, sql_parameters, with_parameter_style
from bucket_loader.model import InputBatch, Reading, SourceError, form_of, identifier, in_form, literal
from bucket_loader.sources import duck
from bucket_loader.sources.base import SourceContext, folded
from bucket_loader.sources.files.input_file import fingerprint
from bucket_loader.sources.files.local import named
from bucket_loader.sources.query_columns import coming_from, mentions, visible
from bucket_loader.sources.staged import INTERNAL, kept_fingerprint, kept_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ORIGIN: Final = "query"


_WORDS_HINT: Final = "a column named like an SQL word (at, end, order ...) needs double quotes"


def table_names(sql: str) -> set[str]:
    """Name the tables that a query reads, as it spells them, without those it defines itself.

    DuckDB takes `Usage` and `usage` for the same name. (Its own `get_table_names` cannot take parameters, binds the
    columns of tables that are not there yet, and counts some of the query's own tables.)

    Raises:
        SourceError: it is not exactly one SELECT.
    """
    return set(_tables(_tree(with_parameter_style(sql, "${}")), frozenset()))


def asked_columns(sql: str) -> Callable[[str], bool]:
    """Return what tells whether a query asks for a column of its tables.

    Raises:
        SourceError: it is not exactly one SELECT.
    """
    named = mentions(_tree(with_parameter_style(sql, "${}")))
    names = frozenset(map(folded, named.names))
    return lambda name: named.is_open or folded(name) in names


def _tree(query: str) -> object:
    """Return a query as DuckDB parses it."""
    duck.one_select(query)
    with duck.connected() as connection:
        (found,) = connection.execute("SELECT json_serialize_sql($query)", {"query": query}).fetchall()
    tree = json.loads(found[0])
    if tree["error"]:
        raise SourceError(f"the query cannot be read: {tree['error_message']}", hint="write one plain SELECT")
    return tree["statements"]


def _tables(node: object, own: frozenset[str]) -> Iterator[str]:
    """Walk a parsed query; `own` are the names that its WITH clauses have given so far, in lower case."""
    if isinstance(node, list):
        for part in node:
            yield from _tables(part, own)
    if not isinstance(node, dict):
        return
    for entry in node.get("cte_map", {}).get("map", []):
        yield from _tables(entry["value"], own)
        own |= {entry["key"].lower()}
    if node.get("type") == "RECURSIVE_CTE_NODE":
        own |= {node["cte_name"].lower()}
    if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in own:
        yield node["table_name"]
    for key, part in node.items():
        if key != "cte_map":
            yield from _tables(part, own)


class Query:
    """One SELECT over the staged sources; it cannot reach files, the network, extensions or settings."""

    def __init__(self, spec: QuerySource, context: SourceContext) -> None:
        self._sql = with_parameter_style(spec.sql, "${}")
        self._context = context
        self._used = sorted(set(sql_parameters(spec.sql)))

    def fingerprint(self) -> str:
        """Identify the query, its parameters and the sources under it."""
        tables = []
        for name, path in sorted(self._context.tables.items()):
            tables.append((name, kept_fingerprint(path) or fingerprint([named(path, self._context)])))
        bound = [(name, str(value)) for name, value in self._context.bound(self._used).items()]
        return hashlib.sha256(repr((self._sql, bound, tables)).encode()).hexdigest()

    def read(self) -> Reading:
        """Check the query, and run it when the first batch is asked for."""
        duck.one_select(self._sql)
        with self._opened() as relation:
            schema = duck.arrow_schema(relation, "the query")
        return Reading(self._marked(schema), self._batches())

    def _marked(self, schema: "pa.Schema") -> "pa.Schema":
        """Mark the columns that come from columns which are read in another way than before."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # `schema` of a staged file is Parquet's; what is kept beside it has the marks.
        kept = [field for path in self._context.tables.values() for field in kept_schema(path) or pq.read_schema(path)]
        newest = max(map(form_of, kept), default=1)
        names = frozenset(folded(field.name) for field in kept if form_of(field) > 1)
        marked = coming_from(_tree(self._sql), schema.names, names)
        return pa.schema([in_form(field, newest) if field.name in marked else field for field in schema])

    def _batches(self) -> Iterator[InputBatch]:
        with self._opened() as relation:
            yield from duck.batches(relation, ORIGIN)

    @contextmanager
    def _opened(self) -> "Iterator[duckdb.DuckDBPyRelation]":
        import duckdb
        import pyarrow as pa

        bound = self._context.bound(self._used)
        # Sorting and joining spill beside the staged files, where there is room for their like.
        beside = next(iter(self._context.tables.values()), None)
        with tempfile.TemporaryDirectory(prefix="query-", dir=beside.parent if beside else None) as spill:
            try:
                with duck.connected(spill=spill) as connection:
                    self._register(connection)
                    yield connection.sql(self._sql, params=bound) if bound else connection.sql(self._sql)
            # In mid-stream the same errors come as OSError.
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                names = ", ".join(sorted(self._context.tables)) or "none"
                raise SourceError(
                    f"the query cannot be run: {duck.said(error)}",
                    hint=f"the sources it can use: {names}; a column named like an SQL word needs double quotes",
                ) from error

    def _register(self, connection: "duckdb.DuckDBPyConnection") -> None:
        named = mentions(_tree(self._sql))
        import pyarrow as pa
        import pyarrow.parquet as pq

        # The path is a pattern to DuckDB, and a `key=value` folder above it is none of the source's columns.
        patterns = {name: glob.escape(str(path)) for name, path in self._context.tables.items()}
        for name, pattern in patterns.items():
            schema = pq.read_schema(self._context.tables[name])
            places = ", ".join(f"c{place}" for place in range(len(schema)))
            kept = pa.schema([field for field in schema if field.name not in INTERNAL])
            shown = [f"c{place} AS {identifier(column)}" for place, column in visible(name, kept, named).items()]
            connection.execute(
                f"CREATE VIEW {identifier(name)} AS SELECT {', '.join(shown) or 'NULL'} "
                f"FROM read_parquet({literal(pattern)}, hive_partitioning = false) AS t({places})"
            )
        duck.lock_down(connection, (*patterns.values(), *map(str, self._context.tables.values())))
