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
from bucket_loader.planning.mapping.database import BatchStatement, SideDatabase
from bucket_loader.planning.mapping.members import NestedColumn
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.leaves import Statement
from bucket_loader.planning.mapping.nested.lists import dropped_part
from bucket_loader.planning.mapping.nested.shapes import Shape
from bucket_loader.planning.mapping.nested.spelling import NoFormError
from bucket_loader.planning.mapping.nested.typed import Status, typed_statement, without_maps
from bucket_loader.sources import members_alike

if TYPE_CHECKING:
    import numpy.typing as npt

    from bucket_loader.model import Numbers

_LEARNED_MAX: Final = 64  # rows of a batch that are looked at for what is new
_NAMES_MANY: Final = 64  # beyond it what DuckDB keeps of the memory that it freed is hundreds of MB
_ROWS_MIN: Final = 256  # of a batch that is worth a statement of its own
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
        self._side = side
        self._shape: Shape | None = None
        self._statement: Statement | None = None
        self._prepared: BatchStatement | None = None
        if _is_text(column, kind):
            self._shape = Shape(
                column.name,
                lambda dotted: self._status(dotted) == "free",
                column.beside.leaves_out,
                keeps_lists=column.arrays.keep,
            )
        elif _is_typed(column, kind):
            self._statement = typed_statement(column, kind, self._status)
        self._failed = 0
        self.left = 0

    @property
    def is_tried(self) -> bool:
        """Whether DuckDB may spell some of its rows."""
        return self._failed < _TRIED and (self._shape is not None or self._statement is not None)

    def spelt(self, values: pa.Array) -> tuple[pa.Array, dict[int, NoFormError]]:
        """Return N values as finished text, null where nothing is left; and what was wrong, by the row."""
        bulk = self._in_bulk(values) if self.is_tried and len(values) >= _ROWS_MIN else None
        if bulk is None:
            self.left = len(values)
            found = spelling.python_values(values)
            self._learn(found)
            spelt, failures = self.column.spelt(found, range(len(values)))
            return _texts(spelt), failures
        texts, left = bulk
        self.left = len(left)
        if not self.left:
            return texts, {}
        found = spelling.python_values(values.take(int64_array(left)))
        self._learn(found)
        spelt, failures = self.column.spelt(found, left.tolist())
        return pc.replace_with_mask(texts, bool_array(_mask(len(values), left)), _texts(spelt)), failures

    def _in_bulk(self, values: pa.Array) -> "tuple[pa.Array, Numbers] | None":
        """Return the texts of the rows that DuckDB is sure of, and which the others are; None where it is of no use."""
        if self._statement is None:
            self._learn(spelling.python_values(values.slice(0, _LEARNED_MAX)))
        if self._statement is None:
            return None
        try:
            found = self._found(self._statement, values)
        except duckdb.Error:  # it cannot hold a value, as a moment beyond its years
            self._failed = _TRIED
            return None
        sure = found["sure"].combine_chunks()
        if self._shape is not None:
            sure = pc.and_(sure, _are_strict(_stored(values), found["is_strict"].combine_chunks(), sure))
        self._note_lists(self._statement, found, sure)
        texts, sure = self._with_nothing(values, found["text"].combine_chunks(), sure)
        left = as_numpy(pc.indices_nonzero(pc.invert(sure)).cast(pa.int64()))
        self._failed = self._failed + 1 if 2 * len(left) > len(values) else 0
        return texts, left

    def _found(self, statement: Statement, values: pa.Array) -> pa.Table:
        # Copied, for DuckDB refuses structs inside of others where they are a part of longer ones.
        whole = without_maps(pa.concat_arrays([_stored(values)]))
        if self._prepared is None:
            if statement.names > _NAMES_MANY:
                self._side.give_back()
            self._prepared = self._side.prepared(statement.over, whole)
        return self._prepared.over(whole).combine_chunks()

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

    def _note_lists(self, statement: Statement, found: pa.Table, sure: pa.Array) -> None:
        for place, name in enumerate(statement.lists):
            longest = pc.max(found[f"n{place}"].filter(sure)).as_py()
            if longest is not None:
                self.column.seen.list_of(name, longest)

    def _learn(self, found: Sequence[object]) -> None:
        """Take over what is new in some values, and spell the next ones so."""
        if self._shape is None:
            return
        new = [self._shape.learn(self._parsed(value)) for value in found[:_LEARNED_MAX] if value is not None]
        if any(new):
            listed = ", ".join(map(literal, sorted(self.column.null_values)))
            text = f"CASE WHEN c NOT IN ({listed}) THEN c END" if listed else "c"
            self._statement = self._shape.statement(text, send_nulls=self.column.send_nulls)
            if self._prepared is not None:
                self._prepared.close()
            self._prepared = None

    @staticmethod
    def _parsed(value: object) -> object:
        if not isinstance(value, str):
            return _NOTHING if isinstance(value, Exception) else value
        try:
            return spelling.parse(value)
        except NoFormError:
            return _NOTHING

    def _status(self, dotted: str) -> Status:
        """Return what is known of a dotted name; where it ends with a dot, of all names of a map."""
        beside = self.column.beside
        others = beside.names | beside.nested | beside.hidden
        try:
            spelling.spell(dotted)
            if beside.hides(dotted):
                return "hidden"
        except NoFormError:
            return "uncertain"
        if dotted.endswith(".") and any(name.startswith(dotted) for name in others):
            return "uncertain"
        return "free" if dropped_part(dotted[len(self.column.name) :]) is None else "uncertain"


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


def _are_strict(texts: pa.Array, strict: pa.BooleanArray, asked: pa.BooleanArray) -> pa.BooleanArray:
    """Return which texts are JSON, of those that are asked: DuckDB takes for it what is none, as commas at an end."""
    looked = as_numpy(pc.indices_nonzero(pc.and_(asked, pc.invert(strict))).cast(pa.int64()))
    if not len(looked):
        return strict
    found = texts.take(int64_array(looked)).to_pylist()
    are_json = np.ones(len(found), np.bool_) if _are_json(found) else np.array([_are_json([text]) for text in found])
    return pc.replace_with_mask(strict, bool_array(_mask(len(texts), looked)), bool_array(are_json))


def _mask(count: int, places: "Numbers") -> "npt.NDArray[np.bool_]":
    mask = np.zeros(count, dtype=np.bool_)
    mask[places] = True
    return mask


def _is_text(column: NestedColumn, kind: pa.DataType) -> bool:
    """Whether DuckDB may take values out of JSON text."""
    is_string = isinstance(kind, pa.JsonType) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return column.list_of is None and not column.is_whole and column.is_text and is_string


def _is_typed(column: NestedColumn, kind: pa.DataType) -> bool:
    """Whether DuckDB may spell structs, lists and maps."""
    if column.list_of is not None or column.is_whole or column.is_text:
        return False
    return members_alike(kind) is None and (column.arrays.keep or not spelling.has_lists(kind))
