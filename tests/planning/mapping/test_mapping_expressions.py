"""Expressions: one scalar over one row, the same at every run; an error rejects its row and no other."""

import json

import pyarrow as pa
import pytest
from mapping_helpers import AS_OF, codes, mapped, records

from bucket_loader.model.errors import UsageError
from bucket_loader.planning.mapping.database import connected
from bucket_loader.planning.mapping.expressions import check_expression

COLUMNS = {"id": ["u", "v", "w"], "n": [1, 2, None], "t": ["1", "x", None], "s": [{"m": "a"}, {"m": "b"}, None]}


def evaluated(expression, columns=None, **words):
    """Map an expression to an attribute; give its value by row, None where it is absent, the codes where rejected."""
    columns = columns or COLUMNS
    result = mapped(columns, {"userId": "id", "attributes": {"e": {"sql": expression}}}, **words)
    found = dict(zip(result.records["ordinal"].to_pylist(), result.records["record"].to_pylist(), strict=True))
    return [
        json.loads(found[row + 1]).get("attributes", {}).get("e") if row + 1 in found else codes(result).get(row + 1)
        for row in range(len(columns["id"]))
    ]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("lower(upper(id))", ["u", "v", "w"]),
        ("n + 1", [2, 3, None]),
        ("n * 1.5", [1.5, 3, None]),
        ("NULL", [None] * 3),
        ("n > 1", [False, True, None]),
        ("CASE n WHEN 1 THEN 'one' END", ["one", None, None]),
        ("coalesce(n, 0)", [1, 2, 0]),
        ("nullif(n, 2)", [1, None, None]),
        ("if(n = 1, 'a', 'b')", ["a", "b", "b"]),
        ("s.m", ["a", "b", None]),
        ("s['m']", ["a", "b", None]),
        ("split_part('a,b', ',', 2)", ["b"] * 3),
        ("regexp_replace(id, '[uv]', 'x')", ["x", "x", "w"]),
        ("list_sum([n, 1])", [2, 3, 1]),
        ("list_transform([n], lambda x: x + 1)[1]", [2, 3, None]),
        ("len(id)", [1] * 3),
        ("DATE '2024-01-02' + 1", ["2024-01-03"] * 3),
        ("'a' || ' -- b /* c */'", ["a -- b /* c */"] * 3),
        ("n -- a comment", [1, 2, None]),
        ("n /* a comment */ + 1", [2, 3, None]),
        ("((n))", [1, 2, None]),
        ("(n) + (1)", [2, 3, None]),
        ("'it''s'", ["it's"] * 3),
        ("CAST(n AS VARCHAR)", ["1", "2", None]),
        ("n::VARCHAR", ["1", "2", None]),
        ("N", [1, 2, None]),
        ('"n"', [1, 2, None]),
        ("age(DATE '2020-02-01', DATE '2020-01-01')::VARCHAR", ["1 month"] * 3),
        ("strftime(DATE '2024-01-02', '%d')", ["02"] * 3),
        ("md5(id)[:2]", ["7b", "9e", "f1"]),
        ("id IN ('u', 'w')", [True, False, True]),
        ("id LIKE 'u%'", [True, False, False]),
        ("9007199254740993", ["9007199254740993"] * 3),
        ("0.1 + 0.2", [0.3] * 3),
        ("'{\"a\": \"x\"}'::JSON->>'a'", ["x"] * 3),
        ("-n", [-1, -2, None]),
        ("5 - n", [4, 3, None]),
        ("(DATE '2024-01-03' - INTERVAL 1 DAY)::DATE", ["2024-01-02"] * 3),
        ("DATE '2024-01-03' - DATE '2024-01-01'", [2] * 3),
        ("TIMESTAMPTZ '2024-01-31 00:00:00Z' + INTERVAL 1 MONTH", ["2024-02-29T00:00:00.000Z"] * 3),
        ("INTERVAL 1 HOUR + TIMESTAMPTZ '2024-01-31 00:00:00Z'", ["2024-01-31T01:00:00.000Z"] * 3),
        ("(TIMESTAMPTZ '2024-01-31 00:00:00Z' - TIMESTAMPTZ '2024-01-30 23:00:00Z')::VARCHAR", ["01:00:00"] * 3),
        ("age(TIMESTAMPTZ '2024-03-01 00:00:00Z', TIMESTAMPTZ '2024-02-01 00:00:00Z')::VARCHAR", ["1 month"] * 3),
        ("strftime(TIMESTAMPTZ '2024-01-02 23:00:00Z', '%d %H')", ["02 23"] * 3),
        ("date_diff('hour', TIMESTAMPTZ '2024-01-01 00:00:00Z', TIMESTAMPTZ '2024-01-02 00:00:00Z')", [24] * 3),
        ("date_trunc('month', TIMESTAMPTZ '2024-01-31 23:00:00Z')", ["2024-01-01T00:00:00.000Z"] * 3),
        ("date_part('hour', TIMESTAMPTZ '2024-01-31 23:00:00Z')", [23] * 3),
        ("year(TIMESTAMPTZ '2024-12-31 23:00:00Z')", [2024] * 3),
        ("dayname(TIMESTAMPTZ '2024-12-31 23:00:00Z')", ["Tuesday"] * 3),
        ("time_bucket(INTERVAL 1 DAY, TIMESTAMPTZ '2024-12-31 23:00:00Z')", ["2024-12-31T00:00:00.000Z"] * 3),
        ("timezone('Asia/Tokyo', TIMESTAMPTZ '2024-12-31 23:00:00Z')::VARCHAR", ["2025-01-01 08:00:00"] * 3),
        ("len(range(3))", [3] * 3),
    ],
)
def test_expressions(expression, values):
    """A scalar of the row is what SQL says it is, and NULL is no error."""
    assert evaluated(expression) == values


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("CAST(t AS INTEGER)", [1, ["expression"], None]),
        ("CASE WHEN n = 2 THEN CAST('x' AS INTEGER) ELSE n END", [1, ["expression"], None]),
        ("'2024-01-3' || n || 'x'", ["2024-01-31x", "2024-01-32x", None]),
        ("CAST('2024-01-3' || n AS DATE)", ["2024-01-31", ["expression"], None]),
        ("n / 0", [["infinity"], ["infinity"], None]),
        ("repeat('x', n::INTEGER * 1000000)", [["too_large"], ["too_large"], None]),
        ("9223372036854775807 + n", [["expression"], ["expression"], None]),
        ("strptime(t, '%Y')", [["year"], ["expression"], None]),
        ("sqrt(-n)", [None] * 3),
        ("chr(0) || id", [["nul"]] * 3),
    ],
)
def test_an_error_in_one_row_rejects_that_row(expression, values):
    """What fails for a row fails for that row alone."""
    found = evaluated(expression, timezone="UTC")

    assert found == values


REFUSED = {
    "clocks": [
        "now()",
        "NOW()",
        "current_date",
        "CURRENT_DATE",
        "Current_Date",
        "current_date()",
        "current_time",
        "CURRENT_TIME",
        "current_timestamp",
        "CURRENT_TIMESTAMP",
        "localtime",
        "LOCALTIME",
        "localtimestamp",
        "LocalTimestamp",
        "today()",
        "get_current_timestamp()",
        "get_current_time()",
        "transaction_timestamp()",
        "current_localtimestamp()",
        "current_localtime()",
        "age(DATE '2020-01-01')",
        "AGE(DATE '2020-01-01')",
        "ago(INTERVAL 1 DAY)",
        "date_diff('day', DATE '2020-01-01', current_date)",
        "date_trunc('day', now())",
        "[now()][1]",
        "list_transform([1], lambda x: x + epoch(now()))[1]",
        "CASE WHEN true THEN now() END",
        "pg_postmaster_start_time()",
        "DATE '2020-01-01' + (today() - DATE '2019-01-01')",
        "pg_catalog.now()",
        '"now"()',
        "age(TIMESTAMPTZ '2020-01-01 00:00:00Z')",
        "pg_conf_load_time()",
    ],
    "randomness": [
        "random()",
        "RANDOM()",
        "uuid()",
        "uuidv4()",
        "uuidv7()",
        "gen_random_uuid()",
        "setseed(0.5)",
        "id || random()",
    ],
    "state": [
        "nextval('x')",
        "currval('x')",
        "txid_current()",
        "getvariable('x')",
        "current_setting('TimeZone')",
        "version()",
        "current_query()",
        "current_user",
        "CURRENT_USER",
        "user",
        "session_user",
        "current_schema()",
        "current_database()",
        "current_schemas(true)",
        "pg_backend_pid()",
        "write_log('x')",
        "setval('x', 1)",
        "current_query_id()",
        "current_transaction_id()",
        "current_connection_id()",
        "stats(n)",
        "vector_type(n)",
        "inet_client_addr()",
        "current_catalog",
        "current_role",
        "in_search_path('a', 'b')",
    ],
    "the outside": [
        "getenv('HOME')",
        "read_text('/etc/passwd')",
        "read_blob('x')",
        "glob('*')",
        "read_csv('x')",
        "query('select 1')",
        "query_table('x')",
        "sleep_ms(1)",
        "pg_sleep(1)",
        "duckdb_settings()",
        "pragma_version()",
    ],
    "aggregates": [
        "sum(n)",
        "count(*)",
        "count(n)",
        "max(id)",
        "first(id)",
        "avg(n)",
        "string_agg(id, ',')",
        "list(n)",
        "array_agg(n)",
        "any_value(n)",
        "sum(DISTINCT n)",
        "sum(n) FILTER (n > 1)",
        "geomean(n)",
        "weighted_avg(n, n)",
        "json_group_array(n)",
        "histogram(n)",
        "n + sum(n)",
    ],
    "windows": ["row_number() OVER ()", "sum(n) OVER (ORDER BY id)", "lag(n) OVER (ORDER BY id)", "rank() OVER ()"],
    "subqueries": [
        "(SELECT 1)",
        "(SELECT max(n) FROM input)",
        "EXISTS (SELECT 1)",
        "n IN (SELECT 1)",
        "n = ANY (SELECT 1)",
        "ARRAY(SELECT 1)",
        "(FROM input)",
        "(VALUES (1))",
        "(TABLE input)",
    ],
    "rows made of one": [
        "unnest([1, 2])",
        "generate_subscripts([1, 2], 1)",
        "regexp_split_to_table('a,b', ',')",
        "range(3)",
        "*",
        "COLUMNS(*)",
        "COLUMNS('n')",
        "input.*",
    ],
    "other statements": [
        "1; SELECT 2",
        "1; DROP TABLE input",
        "1) AS x, (2 --",
        "1) AS v UNION SELECT (2",
        "1), (2",
        "1 AS x",
        "1) FROM input WHERE (true",
        "n FROM input",
        "1 WHERE true",
        "1 ORDER BY 1",
        "1 LIMIT 1",
        "n)) --",
        "1), 'w': (2",
        "1})), 2 --",
        "x' OR '1'='1",
        "/* open",
        "'open",
        '"open',
        "$$open",
        ")",
        "(",
        "",
        " ",
        "-- only a comment",
        ";",
        "SELECT 1",
        "1 /* */ ; -- ",
        "n := 1",
        "1) WINDOW w AS (",
        "PIVOT input ON n",
        "1\n) AS v, (SELECT 2",
        "NULL) IS NULL}) --",
    ],
    "parameters": [
        "$1",
        "?",
        "$as_of",
        "$name",
        ":interval_start",
        ":interval_end",
        ":cursor",
        ":foo",
        ":AS_OF",
        ":as_off",
    ],
    "unknown names": ["nope", "nope(n)", "input.n", "main.input.n", "t.nope", "n.m.x.y", "c0", "rowid"],
    "no value": ["[n]", "{'a': n}", "(1, 2)", "MAP {'a': n}", "'{}'::JSON", "'1'::BIT", "'x'::BLOB"],
}


@pytest.mark.parametrize("place", ["attribute", "where"])
@pytest.mark.parametrize("expression", [expression for group in REFUSED.values() for expression in group])
def test_what_is_refused_before_any_row(expression, place):
    """Nothing that could change between two runs, reach outside the row, or be more than one value passes."""
    if place == "where":
        fields, where = (
            {"userId": "id"},
            f"{expression} IS NOT NULL" if expression in REFUSED["no value"] else expression,
        )
    else:
        fields, where = {"userId": "id", "attributes": {"e": {"sql": expression}}}, None
    if place == "where" and expression in REFUSED["no value"]:
        return
    with pytest.raises(UsageError) as caught:
        mapped(COLUMNS, fields, where=where)
    assert caught.value.hint


def test_each_release_s_own_marks_are_looked_at():
    """A function that DuckDB calls changing in any form is refused, or changes with the session's zone alone."""
    with connected() as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name, parameter_types::VARCHAR || return_type FROM duckdb_functions() "
            "WHERE function_type = 'scalar' AND stability <> 'CONSISTENT'"
        ).fetchall()
    unjudged = [(name, types) for name, types in rows if not ("TIME ZONE" in types or "TIMESTAMPTZ" in types)]

    assert {"now", "random", "uuid", "current_setting"} <= {name for name, _ in rows}
    for name in {name for name, _ in unjudged} | {"now", "get_current_timestamp", "transaction_timestamp"}:
        with pytest.raises(UsageError, match="changes from run to run"):
            check_expression(f'"{name}"(n)', "here", frozenset("n"))


@pytest.mark.parametrize("name", ["current_date", "user", "localtime", "current_user", "Today"])
def test_a_column_may_have_a_clock_s_name(name):
    """A column's own name wins over the word of that name."""
    found = records({"id": ["u"], name: ["x"]}, {"userId": "id", "attributes": {"e": {"sql": f'"{name}" || 1'}}})

    assert found[0]["attributes"] == {"e": "x1"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (":as_of", "2024-06-01T12:00:00.123Z"),
        ("':as_of'", ":as_of"),
        ("':as_of' || strftime(:as_of, '%Y')", ":as_of2024"),
        ("'it''s :as_of'", "it's :as_of"),
        ("$$:as_of$$", ":as_of"),
        ("$q$ ' :as_of $q$", " ' :as_of "),
        ("E'it\\'s :as_of'", "it's :as_of"),
        ("'x' -- :as_of ' :foo", "x"),
        ("'x' /* :as_of ' */", "x"),
        ("CAST(:as_of AS DATE)", "2024-06-01"),
        ("'a'::VARCHAR", "a"),
        ("'--' || ':as_of'", "--:as_of"),
        ("date_diff('day', DATE '2024-05-31', :as_of::DATE)", 1),
        ("':as_of{}'", ":as_of{}"),
    ],
)
def test_as_of_is_bound_outside_quotes_only(expression, value):
    """`:as_of` is the run's time, and stays text inside a text, a name or a comment."""
    assert evaluated(expression)[0] == value


def test_as_of_inside_a_quoted_name():
    """A column may be called `:as_of`."""
    assert records(
        {"id": ["u"], ":as_of": ["x"]},
        {"userId": "id", "attributes": {"e": {"sql": '":as_of"'}}},
        where="\":as_of\" = 'x'",
    )[0]["attributes"] == {"e": "x"}


@pytest.mark.parametrize("text", ["{'k':n}.k", "{'k': n}.k"])
def test_a_struct_is_no_parameter(text):
    """The colon after a struct's name takes a value, with a blank or without."""
    assert evaluated(text) == [1, 2, None]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_an_expression_does_not_depend_on_the_machine_s_zone(zone, monkeypatch):
    """The session's zone is UTC wherever the run is."""
    monkeypatch.setenv("TZ", zone)

    assert evaluated("CAST(:as_of AS VARCHAR)")[0] == "2024-06-01 12:00:00.123456+00"


# --- where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "kept", "filtered"),
    [
        ("n = 1", [1], 2),
        ("n <> 1", [2], 2),
        ("n IS NULL", [3], 2),
        ("NULL", [], 3),
        ("true", [1, 2, 3], 0),
        ("1", [1, 2, 3], 0),
        ("false", [], 3),
        ("n", [1, 2], 1),
        ("coalesce(n, 5) > 1", [2, 3], 1),
        ("n = 1 -- or true", [1], 2),
        ("strftime(:as_of, '%Y') = '2024'", [1, 2, 3], 0),
    ],
)
def test_rows_that_fail_where_are_filtered(where, kept, filtered):
    """A row for which `where:` is false or NULL is filtered, not rejected."""
    result = mapped(COLUMNS, {"userId": "id"}, where=where)

    assert result.records["ordinal"].to_pylist() == kept
    assert result.filtered == filtered


def test_an_error_in_where_rejects_that_row():
    """A row for which `where:` cannot be said is rejected: filtering it would lose it silently."""
    result = mapped(COLUMNS, {"userId": "id"}, where="CAST(t AS INTEGER) = 1")

    assert result.records["ordinal"].to_pylist() == [1]
    assert codes(result) == {2: ["expression"]}
    assert result.filtered == 1


def test_a_filtered_row_is_not_rejected():
    """What is wrong with a row that is filtered does not matter."""
    result = mapped({"id": [None, "a"], "x": ["no", "yes"]}, {"userId": "id"}, where="x = 'yes'")

    assert (result.records.num_rows, result.filtered, result.rejections) == (1, 1, [])


@pytest.mark.parametrize("where", ["id", "'true'", "DATE '2024-01-01'", "{'a': 1}", "1.5", "[true]"])
def test_where_must_be_true_or_false(where):
    """A `where:` that is no truth value is refused before any row."""
    with pytest.raises(UsageError, match="where: is neither true nor false"):
        mapped(COLUMNS, {"userId": "id"}, where=where)


def test_the_run_s_time_changes_an_expression_s_value_and_nothing_else():
    """`:as_of` is a value of the run: the same at every retry, another at another run."""
    fields = {
        "userId": "id",
        "attributes": {"days": {"sql": "date_diff('day', DATE '2024-05-31', CAST(:as_of AS DATE))"}},
    }
    columns = {"id": pa.array(["u"])}

    assert mapped(columns, fields).records == mapped(columns, fields).records
    assert '"days":366' in mapped(columns, fields, as_of=AS_OF.replace(year=2025)).records["record"][0].as_py()
