"""Dotted names as columns, from the sources that have nested ones, through the whole program."""

import json
import sqlite3

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

EVENTS = [
    {"user": {"id": f"u{number}", "email": f"u{number}@x.org"}, "properties": {"rows": number, "plan": {"name": "pro"}}}
    for number in range(3)
]
STREAM = """
- name: events
  record: event
  source: %s
  key: [user.id, properties.rows]
  fields:
    userId: user.id
    event: {value: loaded}
    attributes: {"*": {exclude: [user]}, plan: properties.plan.name}
"""


def jsonl(workplace):
    """Write JSON Lines."""
    workplace.write("x.jsonl", "".join(json.dumps(event) + "\n" for event in EVENTS))
    return "{type: jsonl, path: x.jsonl}"


def parquet(workplace):
    """Write structs."""
    pq.write_table(pa.Table.from_pylist(EVENTS), workplace.folder / "x.parquet")
    return "{type: parquet, path: x.parquet}"


def in_duckdb(workplace):
    """Write a struct, and a column of JSON."""
    with duckdb.connect(str(workplace.folder / "x.duckdb")) as connection:
        connection.execute('CREATE TABLE x ("user" STRUCT(id VARCHAR, email VARCHAR), properties JSON)')
        connection.executemany(
            "INSERT INTO x VALUES (?, ?)", [(e["user"], json.dumps(e["properties"])) for e in EVENTS]
        )
    return "{type: sql, url: 'duckdb:///x.duckdb', table: x}"


@pytest.mark.parametrize("source", [jsonl, parquet, in_duckdb])
def test_paths_are_columns(workplace, emulator, source):
    """In fields, `key:` and `exclude:`; a second run knows all rows again."""
    workplace.pipeline(STREAM % source(workplace))
    first, second = workplace.run(), workplace.run()
    items = [entry["item"] for entry in emulator.journal()]

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr
    assert second.summary["streams"]["events"]["unchanged"] == 3
    assert [item["userId"] for item in items] == ["u0", "u1", "u2"]
    assert [item["attributes"] for item in items] == [{"plan": "pro", "properties.rows": n} for n in range(3)]


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_json_in_a_column_of_text_has_columns_inside(workplace, emulator, kind):
    """As exports have it; a row whose text is no JSON is rejected, and its reason names the column."""
    texts = [(event["user"]["id"], json.dumps(event["properties"])) for event in EVENTS] + [("u3", "rows: 3")]
    if kind == "csv":
        quoted = "".join('{},"{}"\n'.format(one, text.replace('"', '""')) for one, text in texts)
        workplace.write("x.csv", "id,properties\n" + quoted)
    else:
        with sqlite3.connect(workplace.folder / "x.db") as connection:
            connection.execute("CREATE TABLE x (id TEXT, properties TEXT)")
            connection.executemany("INSERT INTO x VALUES (?, ?)", texts)
        connection.close()
    source = "{type: csv, path: x.csv}" if kind == "csv" else "{type: sql, url: 'sqlite:///x.db', table: x}"
    fields = "{userId: id, attributes: {rows: {column: properties.rows, type: integer}, plan: properties.plan.name}}"
    workplace.pipeline(f"- {{name: users, record: user, source: {source}, fields: {fields}}}")
    result = workplace.run()

    assert result.exit_code == 3
    assert [entry["item"]["attributes"] for entry in emulator.journal()] == [
        {"plan": "pro", "rows": number} for number in range(3)
    ]
    (letter,) = workplace.dead_letters(result)
    assert (letter["origin"]["row"], letter["reasons"][0]["code"]) == (4, "nested")
    assert "column 'properties' is not JSON" in letter["reasons"][0]["message"]


def excluding(workplace, *names, rows=EVENTS):
    """Write a stream that sends all but some names."""
    workplace.write("x.jsonl", "".join(json.dumps(event) + "\n" for event in rows))
    fields = f"userId: user.id\n    attributes: {{'*': {{exclude: {json.dumps(names)}}}}}"
    head = "- name: events\n  record: user\n  source: {type: jsonl, path: x.jsonl}\n  fields:\n    "
    workplace.pipeline(f"{head}{fields}\n")


@pytest.mark.parametrize(
    ("name", "meant"), [("user.emial", "user.email"), ("properties.plan.nmae", "properties.plan.name")]
)
def test_an_excluded_name_that_no_row_has_is_doubted(workplace, name, meant):
    """By `check`, and in a warning of `plan`: a name that is misspelt is no reason to send what should stay."""
    excluding(workplace, name, "properties.rows")
    checked, planned = workplace.command("check", "--json"), workplace.command("plan")
    doubts = [doubt for doubt in checked.summary["doubts"] if doubt["name"] == "excluded"]

    said = f"`exclude:` names '{name}', and no row has a value there; is '{meant}' meant, which is sent?"
    assert [doubt["text"] for doubt in doubts] == [said]
    assert f"warning: events: {said}" in " ".join(planned.stderr.split())


@pytest.mark.parametrize("names", [["user.Email"], ["properties.Plan"], ["user.EMAIL", "user.Email"]])
def test_an_excluded_name_with_other_capitals_is_refused(workplace, emulator, names):
    """Before anything is sent."""
    excluding(workplace, *names)
    result = workplace.run()

    assert (result.exit_code, emulator.journal()) == (2, [])
    assert f"`exclude:` names {names[0]!r}, which no row has" in " ".join(result.stderr.split())


@pytest.mark.parametrize("names", [
    ["user.email", "properties.plan"], ["user.email", "user.Email"], ["user", "user.Email"],
    ["properties", "properties.plan", "properties.Plan.Name"],
])  # fmt: skip
def test_an_excluded_name_that_is_there_is_in_no_doubt(workplace, names):
    """A name is met in one row; and what is left out anyhow may be named in every way."""
    others = [{"user": {"id": f"v{number}"}, "properties": {"rows": 1}} for number in range(3)]
    excluding(workplace, *names, rows=[*others, *EVENTS, *others])
    result = workplace.command("check", "--json")

    assert result.exit_code == 0, result.stderr
    assert "excluded" not in [doubt["name"] for doubt in result.summary["doubts"]]


def test_a_column_that_vanishes_is_not_read_from_inside_of_another(workplace, emulator):
    """Not before somebody says that it is meant; and then it stays so."""
    fields = "userId: id\n    attributes: {plan: meta.plan}"
    workplace.pipeline(
        f"- name: users\n  record: user\n  source: {{type: csv, path: x.csv}}\n  fields:\n    {fields}\n"
    )
    inner = '"{""plan"": ""inner""}"'
    workplace.write("x.csv", f"id,meta,meta.plan\nu1,{inner},outer\n")
    codes = [workplace.run().exit_code]
    workplace.write("x.csv", f"id,meta\nu1,{inner}\n")
    refused = workplace.run()
    codes += [workplace.run(*words).exit_code for words in ((), ("--accept-mapping",), ())]

    assert (refused.exit_code, codes) == (2, [0, 2, 0, 0])
    assert "'meta.plan' was read from the column 'meta.plan', and would be read from 'meta' now" in " ".join(
        refused.stderr.split()
    )
    assert [entry["item"]["attributes"]["plan"] for entry in emulator.journal()] == ["outer", "inner"]
