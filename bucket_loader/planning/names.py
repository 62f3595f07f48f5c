"""The fields that a stream can send, by their paths, and how each is made: what may be kept of a delivered record.

A path is a field (`companyId`) or a value of an object (`attributes.seats`).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pyarrow as pa

from bucket_loader.config import FieldSpec, Stream, Values
from bucket_loader.model import text_array
from bucket_loader.planning.mapping.columns import excluded_names, read_columns
from bucket_loader.planning.mapping.paths import beginnings

Names = dict[str, str]
"""How each field is made, by its path; `attributes.*` is every other attribute."""
LEFT_OUT: Final = "-"
_OURS: Final = frozenset({"type", "context"})  # the loader's own words in a record
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


def names_of(stream: Stream) -> Names:
    """Return the fields that a stream can send."""
    found: Names = {}
    for field, spec in stream.fields.given().items():
        if isinstance(spec, Values) and spec.star is not None:
            found[f"{field}.*"] = ""
            found |= {f"{field}.{name}": LEFT_OUT for name in (*read_columns(stream), *excluded_names(stream))}
    return found | {path: _way(spec) for path, spec in stream.fields.by_path().items()}


def _way(spec: FieldSpec) -> str:
    """Return how a value is made, as far as an older one may not be kept then: hashed, or by an expression."""
    return spec.hash or ("sql" if spec.sql is not None else "")


def way_of(path: str, names: Names) -> str | None:
    """Return how a field is made; None where it is not sent."""
    for beginning in beginnings(path):
        if beginning in names:
            return None if names[beginning] == LEFT_OUT else names[beginning]
    return names.get(f"{path.partition('.')[0]}.*")


def values_in(record: str) -> Iterator[tuple[str, object]]:
    """Yield the fields of a record that are the row's, by their paths."""
    for name, value in _DECODER.decode(record).items():
        if isinstance(value, dict) and name not in _OURS:
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        elif name not in _OURS:
            yield name, value


def pruned(stays: Callable[[str], bool]) -> Callable[[pa.Array], pa.Array]:
    """Return what leaves out of records, JSON each or null, those values whose paths do not stay."""

    def prune(records: pa.Array) -> pa.Array:
        return text_array([None if one is None else _pruned(one, stays) for one in records.to_pylist()])

    return prune


def _pruned(record: str, stays: Callable[[str], bool]) -> bytes:
    kept: dict[str, Any] = {}
    for name, value in _DECODER.decode(record).items():
        if name in _OURS:
            kept[name] = value
        elif isinstance(value, dict):
            kept[name] = {key: inner for key, inner in value.items() if stays(f"{name}.{key}")}
        elif stays(name):
            kept[name] = value
    return msgspec.json.encode(kept)
