"""Whole runs from the sources of this folder: what arrives in Bucket, and the exit code of what does not."""

import json

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from stores import s3

from bucket_loader.sources.stores.remote import RemoteFile

LINES = [{"id": "00123", "name": "Acme", "seats": 5, "place": {"city": "Oslo"}}, {"id": "7", "seats": 9007199254740993}]


@pytest.fixture
def store(monkeypatch):
    """An S3 with an empty bucket."""
    with s3(monkeypatch) as running:
        yield running


def stream(source, name="companies"):
    """Spell a stream of companies."""
    return f"""
- name: {name}
  record: company
  source: {source}
  fields: {{companyId: id, attributes: "*"}}
"""


def test_json_lines_by_two_streams_and_a_query(workplace, emulator):
    """A named source of JSON Lines is read once, and nested values survive being kept and queried."""
    workplace.write("a.jsonl", "".join(json.dumps(line) + "\n" for line in LINES))
    head = "sources:\n  a: {type: jsonl, path: a.jsonl}\n"
    query = "{type: query, sql: \"select 'q' || id id, place->>'city' city from a\"}"
    workplace.pipeline(stream("a") + stream(query, "queried"), head=head)

    result = workplace.run()

    assert (result.exit_code, result.summary["streams"]["queried"]["delivered"]) == (0, 2)
    sent = {item["item"]["companyId"]: item["item"].get("attributes") for item in emulator.journal()}
    assert sent == {
        "00123": {"place.city": "Oslo", "name": "Acme", "seats": 5},
        "7": {"seats": "9007199254740993"},
        "q00123": {"city": "Oslo"},
        "q7": None,
    }


def test_an_object_is_loaded_and_one_replaced_while_read_is_not(workplace, emulator, store, monkeypatch):
    """A prefix on S3 is delivered; when an object changes while it is read, the plan is refused and nothing is sent."""
    store.put("d/day=1/a.csv", "id,name\n00123,Acme\n")
    source = f"{{type: csv, path: {store.url('d')}, storage: {{endpoint: '{store.endpoint}', region: us-east-1}}}}"
    workplace.pipeline(stream(source))
    assert (workplace.run().exit_code, emulator.state()["companies"]) == (0, 1)

    opened = RemoteFile.open

    def replacing(file, **words):
        store.put("d/day=1/a.csv", "id,name\n00999,Beta\n")
        return opened(file, **words)

    monkeypatch.setattr(RemoteFile, "open", replacing)
    result = workplace.run()

    assert (result.exit_code, emulator.state()["companies"]) == (2, 1)
    assert "changed while it was read" in result.stderr


def test_exit_codes(workplace, store):
    """No such object and no such bucket are 2, no such store is 75; no credential is shown."""
    for path, endpoint, code in (
        (store.url("none.csv"), store.endpoint, 2),
        ("s3://nowhere/*.csv", store.endpoint, 2),
        (store.url("a.csv"), "http://127.0.0.1:9", 75),
    ):
        workplace.pipeline(stream(f"{{type: csv, path: '{path}', storage: {{endpoint: '{endpoint}', region: x}}}}"))

        result = workplace.run()

        assert (result.exit_code, "of-the-tests" in result.stderr + result.stdout) == (code, False)
        assert path.removesuffix("/*.csv") in result.stderr


def test_init_knows_the_formats(workplace, monkeypatch):
    """`init` writes a pipeline for each kind of file that `check` accepts."""
    table = pa.table({"account_id": ["00123"], "name": ["Acme"]})
    pq.write_table(table, workplace.folder / "a.parquet")
    workplace.write("b.jsonl", '{"account_id": "00123", "name": "Acme"}\n')
    with pa.OSFile(str(workplace.folder / "c.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    book = openpyxl.Workbook()
    for row in (["account_id", "name"], ["00123", "Acme"]):
        book.active.append(row)
    book.save(workplace.folder / "d.xlsx")
    write_deltalake(workplace.folder / "e", table)
    workplace.write("f.csv", "account_id,name\n00123,Acme\n")
    monkeypatch.chdir(workplace.folder)
    kinds = {
        "a.parquet": "parquet",
        "b.jsonl": "jsonl",
        "c.arrow": "arrow",
        "d.xlsx": "excel",
        "e": "delta",
        "f.csv": "csv",
    }

    for name, kind in kinds.items():
        written = workplace.command_of("init", name)

        assert (written.exit_code, f"type: {kind}" in written.stdout) == (0, True)
        workplace.write("pipeline.yaml", written.stdout)
        assert workplace.command("plan").exit_code == 0


@pytest.mark.parametrize(
    ("export", "key"),
    [
        (
            "flag,user_id,enabled,version\nhuddle,u1,true,1\nhuddle,u2,false,1\n",
            "flag, user_id, enabled, version",
        ),
        ("feature,result,check_id,action\nhuddle,yes,1,evaluate\nhuddle,no,2,check\n", "check_id"),
    ],
)
def test_init_writes_a_pipeline_of_feature_events(workplace, monkeypatch, export, key):
    """`--record feature_event` gives one that runs, with a `key:` that is not the user alone."""
    workplace.write("flags.csv", export)
    monkeypatch.chdir(workplace.folder)
    written = workplace.command_of("init", "flags.csv", "--record", "feature_event")
    workplace.write("pipeline.yaml", written.stdout)

    assert f"key: [{key}]" in written.stdout
    assert workplace.run().summary["streams"]["flags"]["delivered"] == 2
