"""Lists from every source: the bytes of the table in the docs, whole and item by item."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from servers import in_postgres, postgres_url
from workplace import Workplace

from bucket_loader import load
from bucket_loader.planning import plan_file as plan

TEXT = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8").partition("### lists")[2]
LINES = re.findall(r"^\| (\w+) \| `(.*?)` \| `(.*?)` \| (?:`(.*?)` )?\|$", TEXT, flags=re.MULTILINE)
VALUES = {name: json.loads(text) for name, text, _, _ in LINES}
KINDS = {"none": pa.list_(pa.string()), "lists": pa.list_(pa.list_(pa.int64())), "wholes": pa.list_(pa.int64())}
IN_POSTGRES = {"none": "text[]", "texts": "text[]", "shorter": "text[]", "nulls": "text[]", "wholes": "bigint[]",
               "floats": "float8[]", "flags": "boolean[]"}  # fmt: skip


def arrow():
    """Return the values with types of their own."""
    columns = {name: pa.array([value], KINDS.get(name)) for name, value in VALUES.items()}
    return pa.table({"id": ["1"], **columns})


def texts():
    """Return the values as JSON text."""
    return {name: json.dumps(value) for name, value in VALUES.items()}


def parquet(folder):
    """Write Parquet."""
    pq.write_table(arrow(), folder / "x.parquet")
    return "{type: parquet, path: x.parquet}"


def delta(folder):
    """Write Delta."""
    write_deltalake(folder / "x", arrow())
    return "{type: delta, path: x}"


def lines(folder):
    """Write JSON Lines."""
    (folder / "x.jsonl").write_text(json.dumps({"id": "1", **VALUES}) + "\n", "utf-8")
    return "{type: jsonl, path: x.jsonl}"


def csv(folder):
    """Write CSV, with JSON in it."""
    cells = ",".join('"' + text.replace('"', '""') + '"' for text in texts().values())
    (folder / "x.csv").write_text(f"id,{','.join(VALUES)}\n1,{cells}\n", "utf-8")
    return "{type: csv, path: x.csv}"


def sqlite(folder):
    """Write SQLite, with JSON in it."""
    with closing(sqlite3.connect(folder / "x.db")) as database, database:
        database.execute(f"CREATE TABLE x (id text, {', '.join(VALUES)})")
        marks = ", ".join("?" * len(VALUES))
        database.execute(f"INSERT INTO x VALUES ('1', {marks})", list(texts().values()))
    return "{type: sql, url: 'sqlite:///x.db', table: x}"


def duck(folder):
    """Write DuckDB."""
    with duckdb.connect(folder / "x.duckdb") as database:
        database.register("given", arrow())
        database.execute("CREATE TABLE x AS SELECT * FROM given")
    return "{type: sql, url: 'duckdb:///x.duckdb', table: x}"


def postgres(_folder):
    """Write PostgreSQL: arrays, and jsonb where it has none."""
    shown = []
    for name, text in texts().items():
        kind = IN_POSTGRES.get(name, "jsonb")
        array = text.replace("[", "{").replace("]", "}") if kind != "jsonb" else text
        shown.append(f"'{array}'::{kind} AS {name}")
    in_postgres("DROP TABLE IF EXISTS lists", f"CREATE TABLE lists AS SELECT '1' AS id, {', '.join(shown)}")
    return f"{{type: sql, url: '{postgres_url()}', table: lists}}"


SOURCES = [parquet, delta, lines, csv, sqlite, duck, pytest.param(postgres, marks=pytest.mark.postgres)]


def members(form):
    """Return the attributes that the docs show, sorted by name."""
    cells = [cell for _, _, keep, flatten in LINES if (cell := keep if form == "keep" else flatten)]
    return ",".join(sorted(cells))


def sent(folder, source, form):
    """Plan the one row; give its attributes as they are sent."""
    place = Workplace(folder, "http://127.0.0.1:9")  # planning sends nothing
    fields = "".join(f"      {name}: {{column: {name}, type: json}}\n" for name in VALUES)
    place.pipeline(
        f"- name: x\n  record: company\n  source: {source}\n  fields:\n    companyId: id\n    attributes:\n{fields}",
        head=f"arrays: {form}\n",
    )
    result = place.command("plan", "--json")
    assert result.exit_code == 0, result.stderr
    found = plan.read(folder / result.summary["plan"], verify=True)
    (chunk,) = found.chunks(found.manifest.streams[0])
    return re.search(r'"attributes":\{(.*)\},"timestamp"', chunk[1][0].decode())[1]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_sends_lists_as_the_docs_say(tmp_path, source):
    """Texts, none, nulls, numbers, booleans, objects, lists of lists and lists inside objects, in both forms."""
    words = source(tmp_path)

    assert len(LINES) == 10
    assert {form: sent(tmp_path, words, form) for form in ("keep", "flatten")} == {
        form: members(form) for form in ("keep", "flatten")
    }


def test_a_frame_sends_lists_as_the_docs_say(tmp_path, emulator):
    """Lists in a DataFrame of Python objects stay lists, for a pipeline that is new."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["1"], **{name: [value] for name, value in VALUES.items()}})
    destination = {"base_url": emulator.url, "key": "sec_test_0123456789abcdef0123"}

    load(frame, name="x", record="company", fields={"companyId": "id", "attributes": "*"}, destination=destination,
         state=tmp_path).raise_for_status()  # fmt: skip

    (item,) = emulator.journal()
    assert item["item"]["attributes"] == json.loads("{" + members("keep") + "}")
