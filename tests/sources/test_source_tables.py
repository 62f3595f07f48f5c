"""Delta Lake and Iceberg tables: one version, its deletes, and what goes wrong."""

import datetime as dt
import shutil
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.catalog import load_catalog
from source_helpers import Read, delta_source, iceberg_source
from stores import BUCKET, s3

from bucket_loader.config.sources import DeltaSource, IcebergSource, Storage
from bucket_loader.model.errors import SourceError, SourceUnavailableError, UsageError
from bucket_loader.sources import base as sources_base
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source

TABLE = pa.table(
    {
        "id": ["00123", "2", "3"],
        "n": pa.array([9007199254740993, None, 1], pa.int64()),
        "d": pa.array([Decimal("1.10"), None, Decimal("2.00")], pa.decimal128(10, 2)),
        "at": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 3, pa.timestamp("us", "UTC")),
        "tags": pa.array([["a"], [], None]),
    }
)


def test_a_delta_table(tmp_path):
    """Types are kept, deleted rows are gone, and an earlier version has them still."""
    write_deltalake(tmp_path / "t", TABLE, partition_by=["id"])
    DeltaTable(tmp_path / "t").delete("id = '2'")

    now = Read(delta_source(tmp_path, "t"))
    before = Read(delta_source(tmp_path, "t", version=0))

    assert sorted(row["id"] for row in now.rows) == ["00123", "3"]
    assert sorted(before.rows, key=lambda row: row["id"]) == TABLE.to_pylist()
    assert TABLE.schema.types == before.schema.types


def test_delta_files_are_read_oldest_first(tmp_path):
    """Of an appended table the rows that came last are read last, so that the newest of a key wins."""
    for number in range(4):
        write_deltalake(tmp_path / "t", pa.table({"n": [number]}), mode="append")

    assert Read(delta_source(tmp_path, "t")).column("n") == [0, 1, 2, 3]
    moments = [entry["timestamp"] for entry in DeltaTable(tmp_path / "t").history()]
    at = dt.datetime.fromtimestamp(sorted(moments)[1] / 1000, dt.UTC)
    assert len(Read(delta_source(tmp_path, "t", at=at)).rows) in {2, 3}


def test_a_delta_table_with_hidden_rows(tmp_path):
    """A table whose files alone do not tell its rows is read by its own engine, always in the same order."""
    write_deltalake(tmp_path / "t", TABLE, configuration={"delta.enableDeletionVectors": "true"})
    DeltaTable(tmp_path / "t").delete("id = '2'")

    one, other = (Read(delta_source(tmp_path, "t")) for _ in range(2))

    assert one.column("id") == ["00123", "3"]
    assert (one.rows, TABLE.schema.names) == (other.rows, one.schema.names)


def test_a_commit_meanwhile_changes_nothing(tmp_path):
    """A reading is of the version that was first looked at; the next source sees the next one."""
    write_deltalake(tmp_path / "t", TABLE)
    source = delta_source(tmp_path, "t")
    before = source.fingerprint()
    write_deltalake(tmp_path / "t", TABLE, mode="append")

    assert (len(Read(source).rows), before) == (3, source.fingerprint())
    assert before != delta_source(tmp_path, "t").fingerprint()


def test_delta_tables_that_are_refused(tmp_path):
    """No table, no such version, and files that were taken away are each one message."""
    with pytest.raises(SourceError, match="t is no Delta table"):
        delta_source(tmp_path, "t").read()
    write_deltalake(tmp_path / "t", TABLE)
    with pytest.raises(SourceError, match="at version 9"):
        delta_source(tmp_path, "t", version=9).read()
    source = delta_source(tmp_path, "t")
    source.fingerprint()
    for file in (tmp_path / "t").glob("*.parquet"):
        file.unlink()
    with pytest.raises(SourceError, match="cannot be read as a Delta table"):
        Read(source)


def test_delta_in_a_store(monkeypatch):
    """A Delta table on S3 is read with the credentials of the environment; a store that is gone is for later."""
    with s3(monkeypatch) as store:
        options = {"AWS_ENDPOINT_URL": store.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
        write_deltalake(f"s3://{BUCKET}/t", TABLE, storage_options={**options, "AWS_S3_ALLOW_UNSAFE_RENAME": "true"})
        spec = DeltaSource(type="delta", path=f"s3://{BUCKET}/t", storage=store.storage)

        assert TABLE.to_pylist() == Read(open_source(spec, SourceContext(base=None))).rows
        missing = DeltaSource(type="delta", path=f"s3://{BUCKET}/none", storage=store.storage)
        with pytest.raises(SourceError) as refused:
            open_source(missing, SourceContext(base=None)).read()
        assert refused.value.exit_code == 2
    gone = DeltaSource(
        type="delta", path="s3://b/t", storage=Storage(endpoint="http://127.0.0.1:9", region="x", anonymous=True)
    )
    with pytest.raises(SourceUnavailableError):
        open_source(gone, SourceContext(base=None)).fingerprint()


@pytest.fixture
def catalog(tmp_path):
    """An Iceberg catalog in SQLite, and its properties."""
    words = {"name": "c", "type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"}
    found = load_catalog(**words)
    found.create_namespace("sales")
    yield found, words
    found.close()


def test_an_iceberg_table(tmp_path, catalog):
    """From the catalog or a metadata file, at a snapshot or the newest: types kept, deletes honoured."""
    found, words = catalog
    table = found.create_table("sales.t", schema=TABLE.schema)
    table.append(TABLE)
    first = table.current_snapshot().snapshot_id
    table.delete("id = '2'")

    now = Read(iceberg_source(tmp_path, table="sales.t", catalog=words))
    before = Read(iceberg_source(tmp_path, table="sales.t", catalog=words, snapshot=first))
    alone = Read(iceberg_source(tmp_path, metadata=table.metadata_location.removeprefix(f"file://{tmp_path}/")))

    assert [row for row in TABLE.to_pylist() if row["id"] != "2"] == now.rows == alone.rows
    assert TABLE.to_pylist() == before.rows
    assert TABLE.schema.field("d").type == now.schema.field("d").type


def test_an_iceberg_snapshot_is_kept(tmp_path, catalog):
    """Rows appended meanwhile are the next run's; a table that nobody wrote to has columns and no rows."""
    found, words = catalog
    table = found.create_table("sales.t", schema=TABLE.schema)
    empty = Read(iceberg_source(tmp_path, table="sales.t", catalog=words))
    table.append(TABLE)
    source = iceberg_source(tmp_path, table="sales.t", catalog=words)
    before = source.fingerprint()
    table.append(TABLE)

    assert (TABLE.schema.names, []) == (empty.schema.names, empty.rows)
    assert (3, before) == (len(Read(source).rows), source.fingerprint())


def test_iceberg_tables_that_are_refused(tmp_path, catalog):
    """No such table, snapshot, metadata file or database is exit 2, a catalog that is gone 75; no token is shown."""
    found, words = catalog
    found.create_table("sales.t", schema=TABLE.schema)
    rest = {"type": "rest", "uri": "http://127.0.0.1:9", "token": "s3cret"}
    for code, spec in (
        (2, {"table": "sales.none", "catalog": words}),
        (2, {"table": "sales.t", "catalog": words, "snapshot": 7}),
        (2, {"table": "sales.t", "catalog": {**words, "uri": f"sqlite:///{tmp_path}/none/c.db"}}),
        (2, {"metadata": "none.metadata.json"}),
        (75, {"table": "sales.t", "catalog": rest}),
    ):
        with pytest.raises(SourceError) as refused:
            Read(iceberg_source(tmp_path, **spec))
        assert (refused.value.exit_code, "s3cret" in str(refused.value)) == (code, False)
    assert "s3cret" not in repr(IcebergSource(type="iceberg", table="a.b", catalog=rest))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (DeltaSource(type="delta", path="t"), "delta"),
        (IcebergSource(type="iceberg", metadata="m"), "iceberg"),
    ],
)
def test_a_missing_extra(tmp_path, monkeypatch, spec, name):
    """Without its library a source says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(UsageError) as refused:
        open_source(spec, SourceContext(tmp_path)).read()

    assert refused.value.hint == f"pip install 'bucket-loader[{name}]'"
    assert sources_base.extra.__doc__
    shutil.rmtree(tmp_path)
