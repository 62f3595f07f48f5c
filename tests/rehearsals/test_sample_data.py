"""The sample data is what its script writes, and stays small."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rehearsal_helpers import PROMISED, SAMPLE_DATA

WRITTEN = ("bad_rows.json", "companies.parquet", "feedback.csv", "users.csv", "warehouse.db")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Write the sample data anew."""
    folder = tmp_path_factory.mktemp("sample_data")
    subprocess.run([sys.executable, SAMPLE_DATA / "make.py", folder], check=True, env={"PYTHONHASHSEED": "7"})
    return folder


def test_the_script_writes_all_of_it(fresh):
    """Besides the script and its README, the folder has what the script writes and nothing else."""
    kept = {path.name for path in SAMPLE_DATA.iterdir() if path.name != "__pycache__"}

    assert {path.name for path in fresh.iterdir()} == set(WRITTEN) == kept - {"make.py", "README.md"}


@pytest.mark.parametrize("name", ["bad_rows.json", "feedback.csv", "users.csv"])
def test_texts_come_out_the_same(fresh, name):
    """The same bytes on every machine."""
    assert (fresh / name).read_bytes() == (SAMPLE_DATA / name).read_bytes()


def test_the_parquet_file_comes_out_the_same(fresh):
    """The same rows everywhere; the same bytes with the pyarrow that the file was written with."""
    name = "companies.parquet"
    written_by = pq.read_metadata(SAMPLE_DATA / name).created_by

    assert pq.read_table(fresh / name).schema.equals(pq.read_table(SAMPLE_DATA / name).schema)
    assert str(pq.read_table(fresh / name).to_pylist()) == str(pq.read_table(SAMPLE_DATA / name).to_pylist())
    if written_by.endswith(f" {pa.__version__}"):
        assert (fresh / name).read_bytes() == (SAMPLE_DATA / name).read_bytes()


def test_the_database_comes_out_the_same(fresh):
    """The same tables and rows everywhere; the same bytes with the SQLite that the file was written with."""
    name = "warehouse.db"

    assert dump(fresh / name) == dump(SAMPLE_DATA / name)
    if sqlite3.sqlite_version_info == (3, 40, 1):
        assert (fresh / name).read_bytes() == (SAMPLE_DATA / name).read_bytes()


def dump(path):
    """Return a database as SQL."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return list(connection.iterdump())


def test_it_stays_small():
    """All of it together is less than 1.5 MB."""
    assert sum((SAMPLE_DATA / name).stat().st_size for name in WRITTEN) < 1_500_000


def test_the_promise_is_worth_something():
    """There are bad rows in every file, of every stage that planning has."""
    rows = [row for rows in PROMISED.values() for row in rows]

    assert len(rows) == 21
    assert {row["stage"] for row in rows} == {"read", "map", "validate"}
