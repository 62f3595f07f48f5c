"""What can be said of plans on Spark without a Spark: slices of written rows, what may travel, what is refused."""

import io
import pickle
import socket
from itertools import chain, pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr
from workplace import Workplace

from bucket_loader.model.errors import SourceUnavailableError
from bucket_loader.sources.spark import evenly, written
from bucket_loader.sources.spark.session import _require_server
from bucket_loader.sources.spark.tasks import TaskFailedError, _Pickler, pickled_outcome
from bucket_loader.sources.spark.written import RowFile, WrittenRows, slices_of

ROWS = 95
STREAMS = """
- name: companies
  record: company
  source: {type: parquet, path: accounts.parquet}
  fields: {companyId: id, attributes: {name: %s}}
"""


@pytest.fixture
def place(tmp_path):
    """Return a folder with an export."""
    pq.write_table(pa.table({"id": ["1"], "name": ["Acme"]}), tmp_path / "accounts.parquet")
    found = Workplace(tmp_path, "http://127.0.0.1:9")
    found.pipeline(STREAMS % "name")
    return found


def files_of(folder, cuts):
    """Write rows 1 to 95 into files, cut after some of them; each file's batches have seven rows at the most."""
    found = []
    for number, (first, after) in enumerate(pairwise([0, *cuts, ROWS])):
        table = pa.table({"n": pa.array(range(first + 1, after + 1))})
        batches = table.to_batches(max_chunksize=7)
        path = folder / f"{len(cuts)}-{number}.arrow"
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        found.append(RowFile(path, tuple(batch.num_rows for batch in batches)))
    return found


def rows_of(rows, one):
    """Return the number of a slice, the numbers of its rows, and what they hold, batch by batch."""
    batches = list(rows.read([one]))
    numbers = [number for batch in batches for number in batch.ordinals.to_pylist()]
    return batches[0].slice, numbers, [batch.data["n"].to_pylist() for batch in batches]


def test_slices_do_not_depend_on_how_spark_cut_the_rows(tmp_path, monkeypatch):
    """One file or many, or no file: each slice has the same rows, with the same numbers, in the same batches."""
    monkeypatch.setattr(written, "SLICE_ROWS", 20)
    monkeypatch.setattr(evenly, "SLICE_ROWS", 20)
    monkeypatch.setattr(evenly, "ROWS_MAX", 8)
    found = []
    for cuts in ([], [40], [1, 19, 20, 21, 60], list(range(1, ROWS))):
        slices = slices_of(files_of(tmp_path, cuts))
        rows = WrittenRows(pa.schema([("n", pa.int64())]), "spark")
        found.append([rows_of(rows, one) for one in slices])

    assert [(number, len(ordinals)) for number, ordinals, _ in found[0]] == [
        ((0, 0), 20),
        ((1, 0), 20),
        ((2, 0), 20),
        ((3, 0), 20),
        ((4, 0), 15),
    ]
    assert all(ordinals == [*chain.from_iterable(values)] for _, ordinals, values in found[0])
    assert found[1:] == found[:1] * 3
    through_here = evenly.evenly(pa.table({"n": range(1, ROWS + 1)}).to_batches(max_chunksize=7))
    assert [batch["n"].to_pylist() for batch in through_here] == [one for *_, values in found[0] for one in values]


def test_a_secret_does_not_travel_however_deep_it_stands():
    """What Spark gets is pickled by a pickler that refuses it."""
    with pytest.raises(TypeError, match="a secret would travel"):
        _Pickler(io.BytesIO()).dump({"a": [({"password": SecretStr("hunter2")},)]})


def test_what_leaves_a_task_says_no_value_of_a_row():
    """An error that is none of ours is told by its kind and its place alone."""

    def quotes():
        raise ValueError("cannot convert 'ada@example.com'")

    with pytest.raises(TaskFailedError, match=r"^ValueError in .*test_on_spark\.py, line \d+$") as caught:
        pickled_outcome(0, quotes)

    assert caught.value.__suppress_context__
    assert b"ada@example.com" not in pickle.dumps(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "flink"], "`flink` is none of local, spark"),
        (["--engine", "spark", "--processes", "2"], "give one of the two"),
        (["--engine", "spark"], "pip install 'bucket-loader[spark]'"),
    ],
)
def test_what_cannot_be_planned_on_spark_ends_with_2(place, words, said):
    """An engine that there is not; processes beside Spark; no Spark installed. The tests' environment has none."""
    result = place.command("plan", *words)

    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_value_that_is_hashed_with_a_key_is_refused_by_name(place):
    """Its key would have to travel."""
    place.pipeline(STREAMS % "{column: name, hash: hmac}", head="hash_key: ${HASH_KEY}\n")
    result = place.command("plan", "--engine", "spark", HASH_KEY="x" * 40)

    assert result.exit_code == 2
    assert "`hash: hmac` (attributes.name)" in result.stderr


@pytest.mark.parametrize("remote", ["sc://127.0.0.1:{port}", "sc://127.0.0.1:{port}/;token=secret"])
def test_a_server_of_spark_connect_that_is_away_is_told_at_once(remote):
    """Its client would ask for ten minutes. The message has the address, and no token."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(SourceUnavailableError, match=rf"answers at 127\.0\.0\.1:{port}: Connection refused") as caught:
        _require_server(remote.format(port=port))

    assert "secret" not in str(caught.value)
