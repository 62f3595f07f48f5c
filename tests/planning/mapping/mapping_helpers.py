"""What the tests of the mapping share: rows in, the words of the records out."""

import json
import re
from datetime import UTC, datetime

import pyarrow as pa

from bucket_loader.config.stream import Stream
from bucket_loader.model.rows import InputBatch
from bucket_loader.planning.mapping import compile_mapping
from bucket_loader.planning.mapping.nested.lists import FLATTENED

AS_OF = datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
AS_OF_TEXT = "2024-06-01T12:00:00.123Z"
RECORD_BYTES_MAX = 524_286


def arrow(values):
    """Make an Arrow array of a list; an array stays as it is."""
    return values if isinstance(values, pa.Array | pa.ExtensionArray) else pa.array(values)


def batch_of(columns):
    """Make a record batch of columns by name."""
    arrays = [arrow(values) for values in columns.values()]
    return pa.RecordBatch.from_arrays(arrays, list(columns))


def stream_of(fields, record="user", **words):
    """Make a stream, as the pipeline file would."""
    return Stream.model_validate({"name": "s", "record": record, "source": "x", "fields": fields, **words})


def compiled(schema, fields, *, as_of=AS_OF, record_bytes_max=RECORD_BYTES_MAX, arrays=FLATTENED, **words):
    """Compile a stream against a schema."""
    stream = stream_of(fields, **words)
    return compile_mapping(stream, schema, as_of=as_of, record_bytes_max=record_bytes_max, arrays=arrays)


def mapped(columns, fields, **words):
    """Map columns, and hold the result against what is true of every mapping."""
    batch = batch_of(columns)
    ordinals = pa.array(range(1, batch.num_rows + 1), pa.int64())
    result = compiled(batch.schema, fields, **words).apply(InputBatch(batch, ordinals, "f.csv"))
    check_conservation(result, batch.num_rows)
    return result


def check_conservation(result, rows):
    """Hold that every row came out exactly once: as a record, a rejection, or filtered."""
    assert rows == result.records.num_rows + len(result.rejections) + result.filtered
    assert result.records.column_names == ["ordinal", "record", "key", "content"]
    kept = result.records["ordinal"].to_pylist()
    refused = [rejection.origin.row for rejection in result.rejections]
    assert not set(kept) & set(refused)
    assert kept == sorted(kept)
    assert kept == [row + 1 for row in result.kept.to_pylist()]
    assert all(rejection.reasons for rejection in result.rejections)


def records(columns, fields, **words):
    """Return the records as objects."""
    return [json.loads(text) for text in mapped(columns, fields, **words).records["record"].to_pylist()]


def codes(result):
    """Return the reasons' codes by row."""
    return {one.origin.row: [reason.code for reason in one.reasons] for one in result.rejections}


def attribute(values, spec=None, **words):
    """Map one attribute; give for each row its JSON text, None where it is absent, `!codes` where rejected."""
    values = arrow(values)
    columns = {"id": [f"u{row}" for row in range(len(values))], "a": values}
    result = mapped(columns, {"userId": "id", "attributes": {"a": {"column": "a", **(spec or {})}}}, **words)
    spelt = {row: "!" + ",".join(found) for row, found in codes(result).items()}
    for row, text in zip(result.records["ordinal"].to_pylist(), result.records["record"].to_pylist(), strict=True):
        json.loads(text)
        found = re.fullmatch(
            r'\{"type":"user","userId":"u\d+"(?:,"attributes":\{"a":(.*)\})?,"timestamp":"[^"]*","context":\{"active":false\}\}',
            text,
            re.DOTALL,
        )
        assert found, text
        spelt[row] = found[1]
    return [spelt[row + 1] for row in range(len(values))]


def flat(value, spec=None, **words):
    """Map one attribute with one row; give the record's attributes, or the codes."""
    result = mapped(
        {"id": ["u"], "a": arrow([value]) if not isinstance(value, pa.Array) else value},
        {"userId": "id", "attributes": {"a": {"column": "a", **(spec or {})}}},
        **words,
    )
    if result.rejections:
        return codes(result)[1]
    return json.loads(result.records["record"][0].as_py()).get("attributes", {})


def ids(values, spec=None, **words):
    """Map one id; give for each row the id, or `!codes`."""
    result = mapped({"id": values}, {"userId": {"column": "id", **(spec or {})}}, **words)
    spelt = {row: "!" + ",".join(found) for row, found in codes(result).items()}
    for row, text in zip(result.records["ordinal"].to_pylist(), result.records["record"].to_pylist(), strict=True):
        found = json.loads(text)["userId"]
        assert isinstance(found, str)
        spelt[row] = found
    return [spelt[row + 1] for row in range(len(spelt))]
