"""Nested columns spelt by DuckDB, a batch at a time, as Python would spell them row by row, and ten times as fast.

DuckDB spells the rows that it is sure of (`shapes`). Python spells the others, and what it meets there is learned: most
exports have a few shapes, so that after some rows hardly any is left to it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bucket_loader.model import as_numpy, bool_array, int64_array, literal, repeated_text, text_array
from bucket_loader.planning.mapping import nested
from bucket_loader.planning.mapping.as_json import has_form, json_text
from bucket_loader.planning.mapping.database import SideDatabase
from bucket_loader.planning.mapping.lists import dropped_part
from bucket_loader.planning.mapping.members import NestedColumn
from bucket_loader.planning.mapping.nested import NoFormError
from bucket_loader.planning.mapping.shapes import Shape
from bucket_loader.sources import members_alike

if TYPE_CHECKING:
    from bucket_loader.model import Numbers

_BATCH: Final = "batch"
_LEARNED_MAX: Final = 64  # rows of a batch that are looked at for what is new
_ROWS_MIN: Final = 256  # of a batch that is worth a statement of its own
_CELLS_MAX: Final = 250_000  # rows of one statement, times the names: each step of it holds all of them
_TRIED: Final = 4  # batches in a row of which it was sure of less than half: the column has no shape
_NOTHING: Final[dict[str, object]] = {}
_STRICT: Final = msgspec.json.Decoder(list[msgspec.Raw])
_BETWEEN: Final = ",\n"  # a text of JSON ends before a line does: none reaches from one value into the next


class Bulk:
    """One nested column's way to finished text.

    Attributes:
        column: how it is spelt.
        left: how many rows of the last batch were left to Python.
    """

    def __init__(self, column: NestedColumn, kind: pa.DataType, side: SideDatabase) -> None:
        self.column = column
        self._kind = kind
        self._side = side
        self._shape: Shape | None = None
        if _is_bulky(column, kind):
            self._shape = Shape(column.name, self._is_free, keeps_lists=column.arrays.keep, is_text=column.is_text)
        self._sql = ""
        self._failed = 0
        self.left = 0

    @property
    def is_tried(self) -> bool:
        """Whether DuckDB may spell some of its rows."""
        return self._shape is not None

    def spelt(self, values: pa.Array) -> tuple[pa.Array, dict[int, NoFormError]]:
        """Return N values as finished text, null where nothing is left; and what was wrong, by the row."""
        bulk = None
        if self._shape is not None and len(values) >= _ROWS_MIN:
            bulk = self._in_bulk(self._shape, values)
        if bulk is None:
            self.left = len(values)
            found = nested.python_values(values)
            self._learn(found)
            spelt, failures = self.column.spelt(found, range(len(values)))
            return _texts(spelt), failures
        texts, left = bulk
        self.left = len(left)
        if not self.left:
            return texts, {}
        found = nested.python_values(values.take(int64_array(left)))
        self._learn(found)
        spelt, failures = self.column.spelt(found, left.tolist())
        mask = np.zeros(len(values), dtype=bool)
        mask[left] = True
        return pc.replace_with_mask(texts, bool_array(mask), _texts(spelt)), failures

    def _in_bulk(self, shape: Shape, values: pa.Array) -> "tuple[pa.Array, Numbers] | None":
        """Return the texts of the rows that DuckDB is sure of, and which the others are; None where it is of no use."""
        if not self._sql:
            self._learn(nested.python_values(values.slice(0, _LEARNED_MAX)))
        if not self._sql:
            return None
        try:
            found = self._found(shape, values)
        except duckdb.Error:  # it cannot hold a value, as a moment beyond its years
            self._shape = None
            return None
        sure = pc.and_(found["sure"].combine_chunks(), self._is_strict(values))
        self._note_lists(shape, found, sure)
        texts, sure = self._with_nothing(values, found["text"].combine_chunks(), sure)
        left = as_numpy(pc.indices_nonzero(pc.invert(sure)).cast(pa.int64()))
        self._failed = self._failed + 1 if 2 * len(left) > len(values) else 0
        if self._failed == _TRIED:
            self._shape = None
        return texts, left

    def _found(self, shape: Shape, values: pa.Array) -> pa.Table:
        """Return what DuckDB finds, in fewer rows at a time where there are many names."""
        step = max(_ROWS_MIN, _CELLS_MAX // shape.names)
        parts = [self._found_in(values.slice(start, step)) for start in range(0, len(values), step)]
        return pa.concat_tables(parts).combine_chunks()

    def _found_in(self, values: pa.Array) -> pa.Table:
        connection = self._side.connection
        # Copied, for DuckDB refuses structs inside of others where they are a part of longer ones.
        connection.register(_BATCH, pa.Table.from_arrays([pa.concat_arrays([_stored(values)])], ["c"]))
        try:
            return connection.sql(self._sql).to_arrow_table()
        finally:
            connection.unregister(_BATCH)

    def _with_nothing(self, values: pa.Array, texts: pa.Array, sure: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Add the rows that have no value, which all are spelt alike."""
        if not values.null_count:
            return texts, sure
        try:
            nothing = self.column.spell(None)
        except NoFormError:
            return texts, sure
        every = repeated_text(nothing, len(values))
        return pc.if_else(values.is_null(), every, texts), pc.or_(sure, values.is_null())

    def _note_lists(self, shape: Shape, found: pa.Table, sure: pa.Array) -> None:
        for place, node in enumerate(shape.lists()):
            longest = pc.max(found[f"n{place}"].filter(sure)).as_py()
            if longest is not None:
                self.column.seen.list_of(shape.dotted(node), longest)

    def _is_strict(self, values: pa.Array) -> pa.BooleanArray:
        """Return which texts DuckDB may read: it takes for JSON what is none, as commas at an end."""
        if not self.column.is_text:
            return values.is_valid()
        texts = _stored(values).to_pylist()
        if _are_json([text for text in texts if text is not None]):
            return values.is_valid()
        return bool_array(np.array([text is not None and _are_json([text]) for text in texts], np.bool_))

    def _learn(self, found: Sequence[object]) -> None:
        if self._shape is None:
            return
        new = [self._shape.learn(self._parsed(value)) for value in found[:_LEARNED_MAX] if value is not None]
        if any(new):
            self._sql = self._shape.sql(_BATCH, self._text(), send_nulls=self.column.send_nulls)

    def _text(self) -> str:
        """Return SQL for the JSON text of a row; NULL where it means that there is none."""
        if not self.column.is_text:
            return json_text(self.column, self._kind)
        listed = ", ".join(map(literal, sorted(self.column.null_values)))
        return f"CASE WHEN c NOT IN ({listed}) THEN c END" if listed else "c"

    def _parsed(self, value: object) -> object:
        if isinstance(value, Exception):
            return _NOTHING
        if self.column.is_text and isinstance(value, str):
            try:
                return nested.parse(value)
            except NoFormError:
                return _NOTHING
        return dict(value) if isinstance(value, nested.Entries) else value

    def _is_free(self, dotted: str) -> bool:
        """Whether no other member has a dotted name, and Bucket keeps it."""
        try:
            hidden = self.column.beside.hides(dotted)
            nested.spell(dotted)
        except NoFormError:
            return False
        return not hidden and dropped_part(dotted[len(self.column.name) :]) is None


def _texts(spelt: Sequence[str | None]) -> pa.StringArray:
    return text_array([None if text is None else text.encode() for text in spelt])


def _stored(values: pa.Array) -> pa.Array:
    return values.storage if isinstance(values.type, pa.JsonType) else values


def _are_json(texts: Sequence[str]) -> bool:
    """Whether each text is one value of JSON; several that are none may look like as many that are."""
    try:
        return len(_STRICT.decode("[" + _BETWEEN.join(texts) + "]")) == len(texts)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _is_bulky(column: NestedColumn, kind: pa.DataType) -> bool:
    """Whether DuckDB may try: the values are JSON text, or of types that it spells as JSON without a change."""
    if column.list_of is not None or column.is_whole:
        return False
    if column.is_text:
        return isinstance(kind, pa.JsonType) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return has_form(kind) and members_alike(kind) is None and (column.arrays.keep or not nested.has_lists(kind))
