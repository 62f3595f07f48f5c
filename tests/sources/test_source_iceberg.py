"""Iceberg tables that have changed: their columns, the order of their files, and what is not supported."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.types import LongType
from source_helpers import Read, iceberg_source

from bucket_loader.model.errors import SourceError

SCHEMA = pa.schema([("user_id", pa.string()), ("email", pa.string()), ("plan", pa.string())])


@pytest.fixture
def catalog(tmp_path):
    """An Iceberg catalog in SQLite, and its properties."""
    words = {"name": "c", "type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"}
    found = load_catalog(**words)
    found.create_namespace("s")
    yield found, words
    found.close()


def test_the_columns_are_those_that_the_table_has_now(tmp_path, catalog):
    """Renamed, dropped and added since the last row; a snapshot that is asked for has the columns of its time."""
    found, words = catalog
    table = found.create_table("s.t", SCHEMA)
    table.append(pa.table({"user_id": ["u1"], "email": ["a@x"], "plan": ["pro"]}, schema=SCHEMA))
    first = table.current_snapshot().snapshot_id
    before = iceberg_source(tmp_path, table="s.t", catalog=words).fingerprint()
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.delete_column("email")
        update.rename_column("plan", "tier")
        update.add_column("seats", LongType())

    now = iceberg_source(tmp_path, table="s.t", catalog=words)
    then = Read(iceberg_source(tmp_path, table="s.t", catalog=words, snapshot=first))

    assert Read(now).rows == [{"user_id": "u1", "tier": "pro", "seats": None}]
    assert then.rows == [{"user_id": "u1", "email": "a@x", "plan": "pro"}]
    assert now.fingerprint() != before


@pytest.mark.parametrize("version", ["1", "2"])
def test_files_are_read_in_the_order_in_which_they_were_added(tmp_path, catalog, version):
    """Their names are random: sequence numbers tell it, and the snapshots in a table that has none."""
    found, words = catalog
    table = found.create_table("s.t", pa.schema([("n", pa.int64())]), properties={"format-version": version})
    for number in range(7):
        table.append(pa.table({"n": [number]}))
    third = table.metadata.snapshots[2].snapshot_id
    table.maintenance.expire_snapshots().by_id(table.metadata.snapshots[0].snapshot_id).commit()

    assert Read(iceberg_source(tmp_path, table="s.t", catalog=words)).column("n") == list(range(7))
    assert Read(iceberg_source(tmp_path, table="s.t", catalog=words, snapshot=third)).column("n") == [0, 1, 2]


def test_what_is_not_supported_is_named(tmp_path, catalog):
    """A type, or a version of the format, that the reader does not know."""
    found, _ = catalog
    table = found.create_table("s.t", SCHEMA)
    known = json.loads(Path(table.metadata_location.removeprefix("file://")).read_text())
    variant = [known["schemas"][0] | {"fields": [{"id": 9, "name": "x", "required": False, "type": "variant"}]}]
    changes = (
        ({"format-version": 4}, "format version 4"),
        ({"schemas": variant, "format-version": 3, "next-row-id": 0}, "the type variant"),
    )
    for change, named in changes:
        (tmp_path / "x.metadata.json").write_text(json.dumps(known | change))
        with pytest.raises(SourceError, match=named):
            iceberg_source(tmp_path, metadata="x.metadata.json").read()
