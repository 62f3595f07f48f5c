"""Sources that are read once and kept."""

import datetime as dt
import stat

import pyarrow as pa
import pytest
from source_helpers import Read, csv_source, parquet_source

from bucket_loader.model.errors import SourceError
from bucket_loader.model.rows import InputBatch, Reading
from bucket_loader.sources.base import ordinals_from
from bucket_loader.sources.staged import StagedSource, script_path, stage


def same(one: Read, other: Read) -> bool:
    """Compare two readings batch by batch."""
    assert len(one.batches) == len(other.batches)
    for a, b in zip(one.batches, other.batches, strict=True):
        assert a.data.equals(b.data)
        assert a.ordinals.equals(b.ordinals)
        assert list(a.unread) == list(b.unread)
        assert a.source == b.source or not a.data.num_rows
    return one.schema.equals(other.schema)


@pytest.mark.long
def test_the_same_again(tmp_path):
    """Batches, numbers, origins and rejections come back as they were, as often as asked, each in its place."""
    text = "a,b\n" + "1,2\n3\n4,\xff\n" * 5000 + "1\n" * 20_000 + "5,6\n7\n"
    source = csv_source(tmp_path, text.encode("latin-1"), block_bytes=20_000)

    staged = stage(source.read(), tmp_path / "s.parquet", fingerprint=source.fingerprint())

    original = Read(source)
    assert original.unread
    assert same(original, Read(staged))
    assert same(original, Read(StagedSource(tmp_path / "s.parquet")))
    assert original.unread == list(staged.unread())
    assert source.fingerprint() == staged.fingerprint()


def test_types_come_back(tmp_path):
    """Types that Parquet stores in another way come back as they were."""
    table = pa.table(
        {
            "s": pa.array([1], pa.timestamp("s")),
            "z": pa.array([1], pa.timestamp("s", "UTC")),
            "t": pa.array([dt.time(1, 2, 3)], pa.time32("s")),
            "n": pa.nulls(1),
            "l": pa.array(["x"], pa.large_string()),
            "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "d": pa.array([1], pa.duration("ms")),
        }
    )
    reading = Reading(table.schema, iter([InputBatch(table.to_batches()[0], ordinals_from(1, 1), "x")]))

    read = Read(stage(reading, tmp_path / "s.parquet", fingerprint=""))

    assert table.schema == read.schema
    assert table.to_pylist() == read.rows


def test_refused_columns(tmp_path):
    """A column with a name of the loader's own, or of a type that cannot be kept, is refused."""
    with pytest.raises(SourceError, match="'__ordinal'"):
        stage(csv_source(tmp_path, "__ordinal\n1\n").read(), tmp_path / "s.parquet", fingerprint="")
    interval = pa.schema([("i", pa.month_day_nano_interval())])
    with pytest.raises(SourceError, match="cannot be kept"):
        stage(Reading(interval, iter([])), tmp_path / "s.parquet", fingerprint="")


def test_only_the_owner_reads_them(tmp_path):
    """Staged rows and rejections are row data: nobody else may read them."""
    staged = stage(csv_source(tmp_path, "a\n1\n").read(), tmp_path / "s.parquet", fingerprint="")

    for path in (staged.path, script_path(staged.path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_rows(tmp_path):
    """A source without rows is staged with its columns."""
    staged = stage(csv_source(tmp_path, "a,b\n").read(), tmp_path / "s.parquet", fingerprint="f")

    assert (Read(staged).schema.names, Read(staged).rows) == (["a", "b"], [])
    assert Read(parquet_source(tmp_path, "s.parquet")).schema.names == ["a", "b", "__ordinal", "__source"]
