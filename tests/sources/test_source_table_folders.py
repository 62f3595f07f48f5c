"""Folders that are tables: refused as files, whatever path leads into them, and seen by `init`."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog import load_catalog
from source_helpers import Read, parquet_source
from stores import BUCKET, s3

from bucket_loader.config.sources import ParquetSource
from bucket_loader.model.errors import SourceError
from bucket_loader.runs.init.first import first_pipeline
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.tables import table_at
from bucket_loader.sources.registry import open_source


def delta(folder, **words):
    """Write a Delta table of which a file counts no more, partitioned by p."""
    for value in ("old", "new"):
        rows = pa.table({"user_id": ["u1"], "v": [value], "p": ["A x"]})
        write_deltalake(folder, rows, mode="overwrite", partition_by=["p"], **words)


def iceberg(folder):
    """Write an Iceberg table; give its folder."""
    words = {"name": "c", "type": "sql", "uri": f"sqlite:///{folder}/c.db", "warehouse": f"file://{folder}"}
    found = load_catalog(**words)
    found.create_namespace("s")
    table = found.create_table("s.t", pa.schema([("user_id", pa.string())]))
    table.append(pa.table({"user_id": ["u1"]}))
    found.close()
    return Path(table.location().removeprefix("file://"))


@pytest.mark.parametrize("path", ["t", "t/", "t/p=*/*.parquet", "**/*.parquet", "t/p=A%20x", ".", "*/*/*"])
def test_a_delta_table_is_not_read_as_files(tmp_path, path):
    """Rows that were overwritten would be among them; the message says what to write instead."""
    delta(tmp_path / "t")

    with pytest.raises(SourceError, match=r"t is a Delta table") as refused:
        parquet_source(tmp_path, path).read()
    assert "type: delta" in refused.value.hint


def test_an_iceberg_table_is_not_read_as_files(tmp_path):
    """Its own folder, and that of its data."""
    folder = iceberg(tmp_path)

    for path in (folder, folder / "data", folder / "data" / "*.parquet"):
        with pytest.raises(SourceError, match=r"s/t is an Iceberg table") as refused:
            parquet_source(tmp_path, str(path)).read()
        assert "type: iceberg" in refused.value.hint


def test_what_is_no_table_is_read_as_files(tmp_path):
    """One file that is spelt out; a folder called metadata that is none of a table's."""
    delta(tmp_path / "t")
    (one, _) = sorted((tmp_path / "t").rglob("*.parquet"))
    for name in ("plain/metadata", "plain/_temporary", "plain/p=1"):
        (tmp_path / name).mkdir(parents=True)
    pq.write_table(pa.table({"user_id": ["u1"]}), tmp_path / "plain/p=1/x.parquet")

    assert len(Read(parquet_source(tmp_path, str(one.relative_to(tmp_path)))).rows) == 1
    assert Read(parquet_source(tmp_path, "plain")).rows == [{"user_id": "u1", "p": "1"}]


def test_init_sees_a_table(tmp_path, monkeypatch):
    """Delta by its log, Iceberg by its newest metadata, which it marks as a guess."""
    monkeypatch.chdir(tmp_path)
    delta(tmp_path / "t")
    folder = iceberg(tmp_path)
    newest = max((folder / "metadata").glob("*.metadata.json"), key=lambda file: file.name)
    (tmp_path / "h/metadata").mkdir(parents=True)
    for number in (2, 10, 9):
        (tmp_path / f"h/metadata/v{number}.metadata.json").touch()

    assert "source: {type: delta, path: t/}" in first_pipeline("t/", record=None, name=None).text
    text = first_pipeline(str(folder), record=None, name=None).text
    assert f'type: iceberg, metadata: "{newest}"}}  # guess' in text
    assert table_at("h", tmp_path).metadata == "metadata/v10.metadata.json"


def test_tables_in_a_store(tmp_path, monkeypatch):
    """The same there: `init s3://bucket/t/` reads the table, and its files are refused."""
    folder = iceberg(tmp_path)
    with s3(monkeypatch) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        delta(f"s3://{BUCKET}/lake/t", storage_options={"AWS_S3_ALLOW_UNSAFE_RENAME": "true"})
        for name in ("data", "metadata"):
            for file in (folder / name).iterdir():
                store.put(f"lake/i/{name}/{file.name}", file.read_bytes())
        for path, kind in (("t", "Delta"), ("t/", "Delta"), ("t/p=*/*.parquet", "Delta"), ("i/", "Iceberg"), ("", "")):
            spec = ParquetSource(type="parquet", path=f"s3://{BUCKET}/lake/{path}", storage=store.storage)
            with pytest.raises(SourceError, match=f"s3://{BUCKET}/lake/[ti] is an? {kind}"):
                open_source(spec, SourceContext(tmp_path)).read()

        for path in ("t", "t/"):
            text = first_pipeline(f"s3://{BUCKET}/lake/{path}", record=None, name=None).text
            assert f'source: {{type: delta, path: "s3://{BUCKET}/lake/{path}"}}' in text
        assert table_at(f"s3://{BUCKET}/lake/i", tmp_path).kind == "iceberg"
        assert table_at(f"s3://{BUCKET}/lake", tmp_path) is None
