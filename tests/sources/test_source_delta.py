"""Delta tables that other engines write: renamed columns, hidden rows, older files, and features that are not known."""

import datetime as dt
import json

import pyarrow as pa
import pytest
from delta_by_hand import column, delta_by_hand, hidden
from deltalake import write_deltalake
from source_helpers import Read, delta_source

from bucket_loader.model.errors import SourceError

RENAMED = [column("user_id", physical="col-1", number=1), column("tier", physical="plan", number=2)]


@pytest.mark.parametrize("features", [(), ("columnMapping",)])
@pytest.mark.parametrize("mode", ["name", "id"])
def test_a_renamed_column_keeps_its_values(tmp_path, mode, features):
    """The table's configuration says how columns are found, whatever version of the reader it asks for."""
    delta_by_hand(
        tmp_path / "t", RENAMED, [({"col-1": ["u1"], "plan": ["pro"]}, {}, None)], features=features, mode=mode
    )

    assert Read(delta_source(tmp_path, "t")).rows == [{"user_id": "u1", "tier": "pro"}]


def test_columns_that_are_found_by_their_ids(tmp_path):
    """A file's own names say nothing then: also where another column has the name, or none has the id."""
    named = {"x": 2, "plan": 7, "old": 1}
    schema = pa.schema([pa.field(name, pa.string(), metadata={"PARQUET:field_id": str(number)})
                        for name, number in named.items()])  # fmt: skip
    rows = pa.table([["pro"], ["dropped"], ["u1"]], schema=schema)
    added = column("added", physical="later", number=9)
    delta_by_hand(tmp_path / "t", [*RENAMED, added], [(rows, {}, None)], mode="id")

    assert Read(delta_source(tmp_path, "t")).rows == [{"user_id": "u1", "tier": "pro", "added": None}]


def test_the_names_of_a_table_without_column_mapping_are_those_of_its_files(tmp_path):
    """What is left of a mapping that was switched off means nothing."""
    delta_by_hand(tmp_path / "t", RENAMED, [({"user_id": ["u1"], "tier": ["pro"]}, {}, None)])

    assert Read(delta_source(tmp_path, "t")).rows == [{"user_id": "u1", "tier": "pro"}]


def test_renamed_members_and_partitions(tmp_path):
    """Members of structs are renamed too, in lists and maps; a partition's value stands under its physical name."""

    def inner(first):
        members = [column("c", "long", "z", first), column("new", "string", "later", first + 1)]
        return {"type": "struct", "fields": members}

    columns = [
        column("s", {"type": "struct", "fields": [column("a", "long", "x", 3)]}, "col-2", 2),
        column("l", {"type": "array", "elementType": inner(20), "containsNull": True}, "col-4", 4),
        column(
            "m", {"type": "map", "keyType": "string", "valueType": inner(30), "valueContainsNull": True}, "col-7", 7
        ),
        column("p", "string", "col-8", 8),
        column("d", "date", "col-9", 9),
    ]
    maps = pa.array([[("k", {"z": 2})]], pa.map_(pa.string(), pa.struct([("z", pa.int64())])))
    rows = {"col-2": [{"x": 1}], "col-4": [[{"z": 1}, None]], "col-7": maps}
    files = [(rows, {"col-8": "A x", "col-9": "2026-01-31"}, None)]
    delta_by_hand(tmp_path / "t", columns, files, mode="name", partitions=["p", "d"])

    assert Read(delta_source(tmp_path, "t")).rows == [
        {
            "s": {"a": 1},
            "l": [{"c": 1, "new": None}, None],
            "m": [("k", {"c": 2, "new": None})],
            "p": "A x",
            "d": dt.date(2026, 1, 31),
        }
    ]


def test_hidden_rows_change_no_order(tmp_path):
    """A file without its deleted rows still comes when it was written; renamed columns change nothing of that."""
    files = [({"n": [0, 1, 2, 3]}, {}, hidden(1, 3)), ({"n": [4]}, {}, None), ({"n": [5, 6]}, {}, hidden(0))]
    for name, features, mode in (("t", ["deletionVectors"], None), ("m", ["columnMapping", "deletionVectors"], "name")):
        delta_by_hand(tmp_path / name, [column("n", "long", "n", 1)], files, features=features, mode=mode)

        assert Read(delta_source(tmp_path, name)).column("n") == [0, 2, 4, 6]


def test_files_are_read_oldest_first_whatever_their_partition_is_called(tmp_path):
    """Names that are spelt with percent signs are in order like any other."""
    parts = ["Z", "A x", None, "a=b", "é%/:", "100%25", "B+c"]
    for number, part in enumerate(parts):
        rows = pa.table(
            {"n": [number], "p": pa.array([part], pa.string()), "at": pa.array([number], pa.timestamp("us"))}
        )
        write_deltalake(tmp_path / "t", rows, mode="append", partition_by=["p", "at"])

    read = Read(delta_source(tmp_path, "t"))

    assert [(row["n"], row["p"]) for row in read.rows] == list(enumerate(parts))
    assert read.column("at")[1] == dt.datetime(1970, 1, 1, 0, 0, 0, 1)  # noqa: DTZ001  # the table has no zone


def test_int96_moments_of_all_years(tmp_path):
    """Spark writes INT96 by default: the years 1000 and 9999 are what they are, also inside of a list."""
    moments = [dt.datetime(1000, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)]
    lists = {"type": "array", "elementType": "timestamp", "containsNull": True}
    rows = pa.table(
        {"at": pa.array(moments, pa.timestamp("us")), "all": pa.array([moments, None], pa.list_(pa.timestamp("us")))}
    )
    columns = [column("at", "timestamp"), column("all", lists)]
    delta_by_hand(tmp_path / "t", columns, [(rows, {}, None)], parquet={"use_deprecated_int96_timestamps": True})

    read = Read(delta_source(tmp_path, "t"))

    assert (read.column("at"), read.column("all")) == (moments, [moments, None])


def test_older_files_have_narrower_types_and_fewer_columns(tmp_path):
    """Type widening, and columns that came later."""
    columns = [column("n", "long"), column("d", "decimal(12,2)"), column("later")]
    files = [
        ({"n": pa.array([1], pa.int16()), "d": pa.array([7], pa.int32())}, {}, None),
        ({"n": [2], "d": pa.array([None], pa.decimal128(12, 2)), "later": ["x"]}, {}, None),
    ]
    delta_by_hand(tmp_path / "t", columns, files, features=["typeWidening", "v2Checkpoint", "vacuumProtocolCheck"])

    rows = Read(delta_source(tmp_path, "t")).rows

    assert [(row["n"], str(row["d"]), row["later"]) for row in rows] == [(1, "7.00", None), (2, "None", "x")]


@pytest.mark.parametrize(
    ("words", "columns", "named"),
    [
        ({"features": ["somethingNew"]}, [column("n", "long")], "somethingNew"),
        ({"features": ["catalogManaged"]}, [column("n", "long")], "catalogManaged"),
        ({"features": ["variantType"]}, [column("n", "long"), column("v", "variant")], r"variantType.*'v'"),
        ({"version": 4}, [column("n", "long")], "reader version 4"),
    ],
)
def test_a_feature_that_is_not_supported_is_named(tmp_path, words, columns, named):
    """Instead of a question about vacuumed files."""
    delta_by_hand(tmp_path / "t", columns, [({"n": [1]}, {}, None)], **words)

    with pytest.raises(SourceError, match=named) as refused:
        delta_source(tmp_path, "t").read()
    assert "vacuum" not in refused.value.hint


def test_files_outside_of_the_table_are_refused(tmp_path):
    """A shallow clone names the files of another table by their whole path."""
    delta_by_hand(tmp_path / "t", [column("n", "long")], [({"n": [1]}, {}, None)])
    log = tmp_path / "t" / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[-1]["add"]["path"] = f"file://{tmp_path}/other/0.parquet"
    log.write_text("\n".join(map(json.dumps, lines)))

    with pytest.raises(SourceError, match="shallow clone"):
        Read(delta_source(tmp_path, "t"))
