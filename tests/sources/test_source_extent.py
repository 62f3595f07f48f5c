"""What a source holds is told from sizes and a few bytes; what a plan takes lies between what is said of it."""

import gzip
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bucket_loader.config.sources import CsvSource, JsonLinesSource, ParquetSource, SqlSource
from bucket_loader.model.rows import LoadedFile
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.extent import extent_of

ROWS = 4_000


def rows_of(kind):
    """Return rows that have much in common, or nothing."""
    dice = random.Random(1)  # noqa: S311
    for number in range(ROWS):
        if kind == "same":
            yield {"id": "7", "note": "the same in every row"}
        else:
            yield {"id": str(number), "note": f"{dice.getrandbits(160):x}"}


def written(folder, form, kind):
    """Write rows in a form; return the file."""
    rows, path = list(rows_of(kind)), folder / f"rows.{form}"
    text = "id,note\n" + "".join(f"{row['id']},{row['note']}\n" for row in rows)
    if form == "csv":
        path.write_text(text)
    elif form == "csv.gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, compression="none" if form == "plain.parquet" else "snappy")
    return path


MODELS = {"csv": CsvSource, "csv.gz": CsvSource, "jsonl": JsonLinesSource, "parquet": ParquetSource}
FORMS = ("csv", "csv.gz", "jsonl", "parquet", "plain.parquet")


def found(folder, form, path, *, looks=True, loaded=None):
    """Return what is known of a source of a form."""
    model = MODELS[form.removeprefix("plain.")]
    spec = model(type=model.model_fields["type"].annotation.__args__[0], path=str(path))
    return extent_of(spec, SourceContext(folder, loaded=loaded), looks=looks)


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_counted_where_something_counts_them(tmp_path, form):
    """Lines of a text and footers of Parquet do; a file that is compressed as a whole does not."""
    extent = found(tmp_path, form, written(tmp_path, form, "other"))

    assert (extent.rows is None) == (form == "csv.gz")
    assert extent.rows is None or abs(extent.rows - ROWS) < ROWS / 20


@pytest.mark.parametrize("form", FORMS)
def test_what_rows_hold_is_what_is_left_when_they_are_compressed(tmp_path, form):
    """Rows that are all the same hold next to nothing, in whatever form they lie; 20 random bytes stay 20 bytes."""
    same = found(tmp_path, form, written(tmp_path, form, "same"))
    other = found(tmp_path, form, written(tmp_path, form, "other"))

    assert same.packed_bytes < ROWS
    assert ROWS * 20 < other.packed_bytes < ROWS * 60


def test_nothing_is_opened_before_it_must_be(tmp_path):
    """The size alone is never less than what the rows hold, so that plenty of room needs no look."""
    path = written(tmp_path, "csv", "other")
    path.chmod(0)
    extent = found(tmp_path, "csv", path, looks=False)

    assert extent.packed_bytes == path.stat().st_size
    assert extent.rows is None


def test_of_many_files_a_few_are_looked_at(tmp_path):
    """What they say is believed of all; files that were loaded before do not count."""
    text = written(tmp_path, "csv", "other").read_text()
    for number in range(10):
        (tmp_path / f"part-{number}.csv").write_text(text)
    size = len(text)
    loaded = frozenset(LoadedFile(f"part-{number}.csv", size, "sha256:0") for number in range(9))

    assert found(tmp_path, "csv", "part-*.csv").rows == pytest.approx(10 * ROWS, rel=0.05)
    assert found(tmp_path, "csv", "part-*.csv", loaded=loaded).rows == pytest.approx(ROWS, rel=0.05)
    (tmp_path / "part-9.csv").unlink()
    assert found(tmp_path, "csv", "part-*.csv", loaded=loaded).rows == 0


def test_of_what_has_no_size_nothing_is_known(tmp_path):
    """A pipe is not opened, a database not asked."""
    os.mkfifo(tmp_path / "pipe.csv")
    database = SqlSource(type="sql", url="sqlite:///x.db", table="t")

    assert found(tmp_path, "csv", "pipe.csv") is None
    assert extent_of(database, SourceContext(Path(tmp_path)), looks=True) is None
