"""Which files a path means, how they may be compressed, and what identifies them."""

import datetime as dt
import gzip
import os
import struct
import tempfile
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest
from source_helpers import Read, csv_source, read_csv

from bucket_loader.config.sources import CsvSource, ParquetSource
from bucket_loader.model.errors import SourceError, UsageError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source

ROWS = "id,x\n" + "".join(f"{number},{number * 7919 % 1000003}\n" for number in range(300_000))
ROWS_BYTES = ROWS.encode()


@cache
def compressed_rows(codec):
    """Compress all rows; gzip takes most of a second for it."""
    return compressed(codec, ROWS_BYTES)


def compressed(codec, data):
    """Compress with Arrow, which writes zstd in one frame of many blocks."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def zstd_block_ends(data):
    """Find where the blocks of a zstd frame end (RFC 8878)."""
    descriptor = data[4]
    single = descriptor >> 5 & 1
    sizes = ([1 if single else 0, 2, 4, 8][descriptor >> 6], [0, 1, 2, 4][descriptor & 3])
    place = 5 + (0 if single else 1) + sum(sizes)
    ends, last = [], 0
    while not last:
        (head,) = struct.unpack("<I", data[place : place + 3] + b"\0")
        last = head & 1
        place += 3 + (1 if head >> 1 & 3 == 1 else head >> 3)
        ends.append(place)
    return ends


@pytest.mark.parametrize(("codec", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
class TestCompression:
    """What must hold for both kinds of compression."""

    def test_is_read(self, tmp_path, codec, suffix):
        """A compressed file gives the rows of the plain one, also in several members."""
        half = len(ROWS) // 2

        one = read_csv(tmp_path, compressed_rows(codec), name=f"a.csv{suffix}")
        two = compressed(codec, ROWS[:half].encode()) + compressed(codec, ROWS[half:].encode())

        assert len(one.rows) == 300_000
        assert one.rows == read_csv(tmp_path, two, name=f"a.csv{suffix}").rows

    @pytest.mark.parametrize("kept", [-1, -9, 1000, 20])
    def test_truncated(self, tmp_path, codec, suffix, kept):
        """A truncated file is refused, though its beginning could be read."""
        with pytest.raises(SourceError, match="damaged or cut short"):
            read_csv(tmp_path, compressed_rows(codec)[:kept], name=f"a.csv{suffix}")

    def test_trailing_garbage(self, tmp_path, codec, suffix):
        """What follows the last member must be another member."""
        with pytest.raises(SourceError, match="damaged or cut short"):
            read_csv(tmp_path, compressed_rows(codec) + b"garbage", name=f"a.csv{suffix}")

    def test_name_and_bytes_disagree(self, tmp_path, codec, suffix):
        """A plain file with a compressed name and the reverse are refused, unless declared."""
        with pytest.raises(SourceError, match="but its bytes are plain") as refused:
            read_csv(tmp_path, "a\n1\n", name=f"a.csv{suffix}")
        assert "compression: none" in refused.value.hint
        with pytest.raises(SourceError, match=f"but its bytes are {codec}") as refused:
            read_csv(tmp_path, compressed_rows(codec), name="a.csv")
        assert f"compression: {codec}" in refused.value.hint
        assert len(read_csv(tmp_path, compressed_rows(codec), name="a.csv", compression=codec).rows) == 300_000
        assert len(read_csv(tmp_path, "a\n1\n", name=f"a.csv{suffix}", compression="none").rows) == 1
        with pytest.raises(SourceError, match="is declared"):
            read_csv(tmp_path, "a\n1\n", name="a.csv", compression=codec)

    def test_nothing_compressed(self, tmp_path, codec, suffix):
        """A compressed file of 0 bytes is as empty as a plain one."""
        with pytest.raises(SourceError, match="is empty"):
            read_csv(tmp_path, compressed(codec, b""), name=f"a.csv{suffix}")


def test_zstd_truncated_at_a_block(tmp_path):
    """A zstd file cut exactly where a block ends is refused, where other readers end quietly."""
    data = compressed_rows("zstd")
    ends = zstd_block_ends(data)

    assert len(ends) > 2
    for end in (ends[0], ends[1], ends[-2]):
        with pytest.raises(SourceError, match="damaged or cut short"):
            read_csv(tmp_path, data[:end], name="a.csv.zst")


def test_wrong_checksum(tmp_path):
    """A gzip file whose checksum does not fit is refused."""
    data = bytearray(gzip.compress(ROWS.encode()))
    data[-6] ^= 1

    with pytest.raises(SourceError, match="damaged or cut short"):
        read_csv(tmp_path, bytes(data), name="a.csv.gz")


def test_bomb(tmp_path):
    """A file that expands beyond reason is refused; repetitive exports are not."""
    with pytest.raises(SourceError, match="expands more than 1,100 times"):
        read_csv(tmp_path, compressed("zstd", b"a\n" + b"0\n" * 50_000_000), name="a.csv.zst")

    assert len(read_csv(tmp_path, compressed("zstd", b"a\n" + b"0\n" * 100_000), name="b.csv.zst").rows) == 100_000


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\x00", b"PAR1", b"SQLite format 3\x00"])
def test_other_formats(tmp_path, head):
    """What is not CSV at all is called by its name."""
    with pytest.raises(SourceError, match="not CSV"):
        read_csv(tmp_path, head + b"rest")


def test_missing_files_have_neighbours(tmp_path):
    """A file that is missing is refused with the names that are near."""
    (tmp_path / "accounts.csv").write_text("a\n1\n")
    for path in ("acounts.csv", "acc*.tsv", "nowhere/accounts.csv"):
        source = open_source(CsvSource(type="csv", path=path), SourceContext(tmp_path))
        with pytest.raises(SourceError) as refused:
            source.read()
        assert path in refused.value.message
        assert ("accounts.csv" if "nowhere" not in path else "does not exist") in refused.value.hint


def test_a_folder_is_all_of_its_files(tmp_path):
    """A folder is read with all below it, `key=value` folders as columns; one that a glob meets is passed over."""
    for day in ("01", "02"):
        (tmp_path / f"d/day={day}").mkdir(parents=True)
        (tmp_path / f"d/day={day}/x.csv").write_text("a\n1\n")
    (tmp_path / "d/_SUCCESS").touch()
    (tmp_path / "sub.csv").mkdir()
    (tmp_path / "a.csv").write_text("a\n1\n")

    def rows(path):
        return Read(open_source(CsvSource(type="csv", path=path), SourceContext(tmp_path))).rows

    assert rows("d") == rows("d/*/*.csv") == [{"a": "1", "day": "01"}, {"a": "1", "day": "02"}]
    assert rows("d/day=01") == rows("*.csv") == [{"a": "1"}]
    with pytest.raises(SourceError, match="has no files"):
        rows("sub.csv")


def test_only_new_files(tmp_path):
    """With what was loaded before, a reading gives the rest: by name, size and content; later arrivals wait."""
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "b.csv").write_text("a\n2\n")
    spec = CsvSource(type="csv", path="*.csv")

    first = open_source(spec, SourceContext(tmp_path, loaded=frozenset()))
    before = first.fingerprint()
    (tmp_path / "c.csv").write_text("a\n3\n")
    assert [row["a"] for row in Read(first).rows] == ["1", "2"]
    assert before == first.fingerprint()
    loaded = frozenset(first.arrivals())
    assert {(file.name, file.bytes) for file in loaded} == {("a.csv", 4), ("b.csv", 4)}

    (tmp_path / "b.csv").write_text("a\n9\n")
    second = open_source(spec, SourceContext(tmp_path, loaded=loaded))
    assert [row["a"] for row in Read(second).rows] == ["9", "3"]

    third = open_source(spec, SourceContext(tmp_path, loaded=loaded | frozenset(second.arrivals())))
    assert (Read(third).rows, third.arrivals()) == ([], ())
    nothing = open_source(CsvSource(type="csv", path="none-*.csv"), SourceContext(tmp_path, loaded=loaded))
    assert (Read(nothing).rows, nothing.arrivals()) == ([], ())


def test_unreadable_file():
    """A file without permission is refused; root, who may read everything, becomes nobody for this."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to nobody
        Path(folder).chmod(0o755)
        source = csv_source(Path(folder), "a\n1\n")
        (Path(folder) / "data.csv").chmod(0)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65_534)
        try:
            with pytest.raises(SourceError, match="cannot be read"):
                source.read()
        finally:
            os.seteuid(before)


def test_links_and_pipes(tmp_path):
    """A link to nothing and a pipe are refused, not waited for."""
    (tmp_path / "link.csv").symlink_to("nothing.csv")
    os.mkfifo(tmp_path / "pipe.csv")

    for name, message in (("link.csv", "cannot be read"), ("pipe.csv", "not a regular file")):
        with pytest.raises(SourceError, match=message):
            open_source(CsvSource(type="csv", path=name), SourceContext(tmp_path)).read()


def test_globs(tmp_path):
    """Globs go through folders and up from them, in the order of the names; names as the user would say them."""
    base = tmp_path / "pipelines [x]"
    for name in ("pipelines [x]/d/2/b.csv", "pipelines [x]/d/1/c.csv", "pipelines [x]/a[1].csv", "exports/e.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a\n1\n")

    def names(path):
        read = Read(open_source(CsvSource(type="csv", path=path), SourceContext(base)))
        return [batch.source for batch in read.batches if batch.data.num_rows]

    assert names("**/*.csv") == ["a[1].csv", "d/1/c.csv", "d/2/b.csv"]
    assert names("a[1].csv") == ["a[1].csv"]
    assert names("../exports/*.csv") == ["../exports/e.csv"]
    assert names(str(base / "d/2/b.csv")) == ["d/2/b.csv"]


@pytest.mark.parametrize("kind", [CsvSource, ParquetSource])
def test_interval_in_a_path(tmp_path, kind):
    """A path takes the interval in UTC, and says which option is missing."""
    start = dt.datetime(2026, 3, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    spec = kind(type=kind.__name__.removesuffix("Source").lower(), path="x-{interval_start:%Y-%m-%d}.csv")

    with pytest.raises(SourceError, match=r"x-2026-02-28\.csv"):
        open_source(spec, SourceContext(tmp_path, {"interval_start": start})).read()
    with pytest.raises(UsageError) as refused:
        open_source(spec, SourceContext(tmp_path)).read()
    assert "--interval-start" in refused.value.hint


def test_fingerprint_sees_every_change(tmp_path):
    """Adding, removing, replacing, appending and rewriting files each change the fingerprint; reading does not."""
    source = open_source(CsvSource(type="csv", path="*.csv"), SourceContext(tmp_path))
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    seen = [source.fingerprint()]

    def changed():
        seen.append(source.fingerprint())
        return len(set(seen)) == len(seen)

    Read(source)
    assert seen == [source.fingerprint()]
    (tmp_path / "b.csv").write_text("a\n1\n")
    assert changed()
    with file.open("a") as stream:
        stream.write("2\n")
    assert changed()
    times = file.stat()
    file.write_text("a\n1\n3\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert changed()
    (tmp_path / "b.csv").unlink()
    assert changed()
    (tmp_path / "c.csv").write_text("a\n1\n3\n")
    (tmp_path / "c.csv").rename(file)
    assert changed()


@pytest.mark.parametrize("nibble", [0, 15])
def test_a_zstd_file_may_begin_with_a_skippable_frame(tmp_path, nibble):
    """As pzstd writes it; the frame says nothing of the rows."""
    skippable = bytes([0x50 + nibble]) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
    frame = pa.compress(b"id,n\nu,v\n", codec="zstd", asbytes=True)
    (tmp_path / "x.csv.zst").write_bytes(skippable + frame + skippable)
    spec = CsvSource(type="csv", path="x.csv.zst")
    (batch,) = open_source(spec, SourceContext(tmp_path)).read().batches

    assert batch.data.to_pylist() == [{"id": "u", "n": "v"}]
