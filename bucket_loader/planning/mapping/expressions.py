"""Expressions that a person writes: one scalar over one row, and nothing that could change between two plans.

DuckDB parses the text; its own tree is walked, so that no pattern has to guess at SQL. What is refused: clocks,
randomness, aggregates, windows, subqueries, files (DESIGN section 4).
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from bucket_loader.config import sql_parameters, with_parameter_style
from bucket_loader.model import UsageError
from bucket_loader.planning.mapping.database import connected

# Words that DuckDB reads as a function call without brackets, when no column has that name.
_BARE_WORDS: Final = frozenset(
    {
        "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user",
        "session_user", "user", "current_catalog", "current_schema", "current_role", "current_database",
    }
)  # fmt: skip
# Our own list, since DuckDB's marks differ from release to release: 2.0.0 calls `current_localtimestamp` constant, and
# 2.0.1 calls one form of `+` changing, because it depends on the session's zone. The zone is always UTC here.
_CHANGING: Final = _BARE_WORDS | frozenset(
    {
        # clocks
        "now", "today", "get_current_timestamp", "get_current_time", "transaction_timestamp",
        "current_localtimestamp", "current_localtime", "ago", "pg_postmaster_start_time", "pg_conf_load_time",
        # randomness
        "random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid",
        # the database's own state
        "nextval", "currval", "setval", "txid_current", "current_transaction_id", "current_connection_id",
        "current_query", "current_query_id", "current_setting", "getvariable", "current_schemas", "in_search_path",
        "version", "pg_backend_pid", "inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port",
        "stats", "vector_type", "write_log",
        # the outside
        "getenv", "read_text", "read_blob", "glob", "query", "query_table", "sleep_ms", "pg_sleep", "error",
    }
)  # fmt: skip


def check_expression(text: str, place: str, columns: frozenset[str]) -> frozenset[str]:
    """Hold an expression against the rules, and return the columns that it names, as it spells them.

    Args:
        text: the expression as written.
        place: where it stands, for the message.
        columns: the source's columns.

    Raises:
        UsageError: it does not parse, or is no scalar of the row alone.
    """
    for name in sql_parameters(text):
        if name != "as_of":
            raise UsageError(
                f"{place}: :{name} is not bound in an expression",
                hint="only :as_of is; intervals belong in the source's query",
            )
    tree = _tree(_plain(text), place)
    for node in _nodes(tree):
        problem = _problem(node, columns)
        if problem:
            raise UsageError(
                f"{place}: {problem}",
                hint="an expression sees one row and gives one value, the same at every run; "
                "use :as_of for the time of the run",
            )
    # `a.b` is member b of the column a: an expression has no tables.
    names = {str(node["column_names"][0]) for node in _nodes(tree) if node.get("class") == "COLUMN_REF"}
    return frozenset(column for name in names for column in _named(name, columns))


def mentioned(text: str, place: str) -> frozenset[str]:
    """Return the names in an expression that could be columns, in lower case.

    Raises:
        UsageError: it does not parse.
    """
    references = (node for node in _nodes(_tree(_plain(text), place)) if node.get("class") == "COLUMN_REF")
    return frozenset(str(node["column_names"][0]).lower() for node in references)


def _named(name: str, columns: frozenset[str]) -> set[str]:
    """Return the column that a name means: the one spelt so, else all that differ in case alone."""
    return {name} if name in columns else {column for column in columns if column.lower() == name.lower()}


def _plain(text: str) -> str:
    return with_parameter_style(text, "${}")


def _tree(text: str, place: str) -> dict[str, Any]:
    with connected() as connection:
        (answer,) = connection.execute("SELECT json_serialize_sql($1)", [f"SELECT ({text}\n) AS v"]).fetchone() or ("",)
    tree: dict[str, Any] = json.loads(answer)
    if tree.get("error"):
        raise UsageError(
            f"{place}: the expression does not parse: {tree.get('error_message')}", hint=f"it reads: {text}"
        )
    statements = tree["statements"]
    if len(statements) != 1 or len(statements[0]["node"].get("select_list", [])) != 1:
        raise UsageError(f"{place}: is not a single expression", hint=f"it reads: {text}")
    if statements[0]["node"]["from_table"]["type"] != "EMPTY":
        raise UsageError(f"{place}: an expression has no FROM", hint="use `type: query` to join or select")
    expression: dict[str, Any] = statements[0]["node"]["select_list"][0]
    return expression


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for child in tree.values():
            yield from _nodes(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from _nodes(child)


def _problem(node: dict[str, Any], columns: frozenset[str]) -> str | None:
    kind = node.get("class")
    if kind == "SUBQUERY":
        return "a subquery is not allowed"
    if kind == "WINDOW":
        return "a window function is not allowed"
    if kind == "STAR":
        return "`*` is not a value"
    if kind == "COLUMN_REF":
        name = str(node["column_names"][-1]).lower()
        known = {column.lower() for column in columns}
        return f"`{name}` changes from run to run" if name in _BARE_WORDS and name not in known else None
    if kind == "FUNCTION":
        return _function_problem(node)
    return None


def _function_problem(node: dict[str, Any]) -> str | None:
    name = str(node["function_name"]).lower()
    arguments = node.get("arguments") or node.get("children") or []
    kinds, stabilities = _functions().get(name, (frozenset(), frozenset()))
    if "aggregate" in kinds and "scalar" not in kinds:
        return f"the aggregate `{name}` is not allowed"
    if name in _CHANGING or _is_changing(stabilities):
        return f"`{name}` changes from run to run, or reaches outside the row"
    if name == "age" and len(arguments) == 1:
        return "`age` of one argument reads the clock"
    if kinds and not kinds & {"scalar", "macro"}:
        return f"`{name}` is not a function of one row"
    if "scalar" not in kinds and any(_problem(inner, frozenset()) for inner in _macro_nodes(name)):
        return f"`{name}` is made of what is not allowed here: a clock, an aggregate or a subquery"
    return None


def _is_changing(stabilities: frozenset[str | None]) -> bool:
    """Whether DuckDB calls a function changing that our own list does not know: all of its forms, or one at random.

    A function with constant forms beside others depends on the session's zone in those (a test looks at each).
    """
    marks = stabilities - {None}
    return "VOLATILE" in marks or bool(marks and "CONSISTENT" not in marks)


@cache
def _macro_nodes(name: str) -> tuple[dict[str, Any], ...]:
    """Return the nodes of what DuckDB's own macros of a name stand for."""
    with connected() as connection:
        rows = connection.execute(
            "SELECT json_serialize_sql('SELECT ' || macro_definition) FROM duckdb_functions() "
            "WHERE lower(function_name) = $1 AND function_type = 'macro'",
            [name],
        ).fetchall()
    return tuple(node for (tree,) in rows for node in _nodes(json.loads(tree)["statements"][0]["node"]["select_list"]))


@cache
def _functions() -> dict[str, tuple[frozenset[str], frozenset[str | None]]]:
    with connected() as connection:
        rows = connection.execute(
            "SELECT lower(function_name), list(DISTINCT function_type), list(stability) "
            "FROM duckdb_functions() GROUP BY 1"
        ).fetchall()
        return {name: (frozenset(kinds), frozenset(stabilities)) for name, kinds, stabilities in rows}
