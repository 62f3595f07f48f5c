"""PostgreSQL's types at the seam: what is selected of each column, and the Arrow type that it is given.

The driver gives most types as they are. Some it gives as bytes (inet, ranges, xml ...), some wrongly (money as cents,
oid as a signed number, arrays of arrays as one flat array), and numerics as text; those are selected in another form.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import Reason, identifier, in_form, text_array
from bucket_loader.sources.databases.server import Server
from bucket_loader.sources.values.casting import DECIMAL_DIGITS_MAX, Refused, decimal_type, typed, without

if TYPE_CHECKING:
    import pyarrow as pa

_TYPE: Final = b"POSTGRESQL:type"
_TYPMOD: Final = b"POSTGRESQL:typmod"
_TEXT_OF: Final = {"inet": "abbrev({})"}  # its cast adds `/32`, which its own text does not have
_CAST: Final = {"oid": "bigint", "xid": "text", "cid": "text", "money": "numeric(24,4)", "interval": "text"}
_PADDED: Final = "bpchar"
_MONEY: Final = (24, 4)


@dataclass(frozen=True)
class Column:
    """A column of a result.

    Attributes:
        name: as the query gives it.
        kind: its Arrow type at the seam.
        selected: SQL over the query's rows that gives it in a form the driver carries.
        numeric: whether it comes as the text of a numeric, to be brought to `kind`.
        unmeasured: whether nothing says how many digits that numeric has.
        refused_if: SQL that is true where a row cannot be given.
        reason: why not.
        padded: whether it is, or holds, CHAR(n), whose blanks at the end are no part of a value.
    """

    name: str
    kind: "pa.DataType"
    selected: str
    numeric: bool = False
    unmeasured: bool = False
    refused_if: str | None = None
    reason: str = ""
    padded: bool = False

    @property
    def field(self) -> "pa.Field":
        """The column at the seam; marked where its values came with other blanks before."""
        import pyarrow as pa

        field = pa.field(self.name, self.kind)
        return in_form(field, 2) if self.padded else field

    @property
    def plain(self) -> bool:
        """Whether the query's own column will do."""
        return self.selected == identifier(self.name) and self.refused_if is None


def column_of(field: "pa.Field", server: Server) -> Column:
    """Decide how a column is selected and what it becomes.

    Raises:
        SourceError: it has a type that no form is defined for.
    """
    import pyarrow as pa

    name, kind, of = identifier(field.name), field.type, (field.metadata or {}).get(_TYPE, b"").decode()
    if of == "numeric":
        return _numeric(field)
    if of == "money":
        return Column(field.name, decimal_type(*_MONEY), f"{name}::{_CAST[of]}", numeric=True)
    if of in _CAST:
        return Column(field.name, pa.int64() if of == "oid" else pa.string(), f"{name}::{_CAST[of]}")
    if of == "_money" or (of == "record" and pa.types.is_list(kind)):
        raise server.refused(
            f"the column {field.name!r} has the type {of}[], which has no form", hint=_hint(field.name)
        )
    if of == "record":
        return Column(field.name, pa.json_(), f"to_jsonb({name})")
    if pa.types.is_nested(kind):
        return _nested(field, server)
    if isinstance(kind, pa.OpaqueType):
        return Column(field.name, pa.string(), _TEXT_OF.get(of, "{}::text").format(name))
    return Column(field.name, kind, name, padded=of == _PADDED)


def _hint(name: str) -> str:
    return f"say in the query what of it is wanted, for example to_jsonb({name}), or leave it out"


def _numeric(field: "pa.Field") -> Column:
    import pyarrow as pa

    typmod = int((field.metadata or {}).get(_TYPMOD, b"-1")) - 4
    if typmod < 0:
        return Column(field.name, pa.string(), identifier(field.name), numeric=True, unmeasured=True)
    # Source: PostgreSQL's numeric.c: 16 bits of precision, 11 of a signed scale.
    digits, scale = typmod >> 16 & 0xFFFF, (typmod & 0x7FF ^ 0x400) - 0x400
    kind = decimal_type(digits - min(scale, 0), max(scale, 0))
    return Column(field.name, kind, identifier(field.name), numeric=True)


def _nested(field: "pa.Field", server: Server) -> Column:
    import pyarrow as pa

    name, leaves = identifier(field.name), list(_leaves(field.type))
    bad, reason, selected, kind = "", "", name, field.type
    if any((isinstance(leaf, pa.BaseExtensionType) and not isinstance(leaf, pa.UuidType)) or _is_interval(leaf)
           for leaf in leaves):  # fmt: skip
        # As JSON numbers keep their digits and the rest is text; times and floats would not be what they are alone.
        if any(
            pa.types.is_timestamp(leaf) or pa.types.is_floating(leaf) or pa.types.is_binary(leaf) for leaf in leaves
        ):
            raise server.refused(
                f"the column {field.name!r} holds types together that have no common form", hint=_hint(field.name)
            )
        selected, kind = f"to_jsonb({name})", pa.json_()
        if (field.metadata or {}).get(_TYPE) == b"_numeric":
            selected = f"to_jsonb(array_replace({name}, 'NaN', NULL))"
            bad = f"{name}::text[] && ARRAY['Infinity', '-Infinity']"
            reason = "holds an infinite number, which JSON cannot say"
    elif pa.types.is_struct(field.type):
        # The driver stumbles over a composite that is null (1.13); one whose members are null has no values either.
        selected = f"coalesce({name}, jsonb_populate_record({name}, '{{}}'))"
    elif pa.types.is_list(field.type):
        bad = f"array_ndims({name}) > 1 OR array_lower({name}, 1) <> 1"
        reason = "holds an array of arrays, or one that does not begin at 1; to_jsonb() in the query keeps it"
        selected = f"CASE WHEN {bad} THEN NULL ELSE {name} END"
    refused_if = f"coalesce({bad}, false)" if bad else None
    padded = not isinstance(kind, pa.JsonType) and _holds_padded(field)
    return Column(field.name, kind, selected, refused_if=refused_if, reason=reason, padded=padded)


def _holds_padded(field: "pa.Field") -> bool:
    inner = (field.type.field(place) for place in range(field.type.num_fields))
    return (field.metadata or {}).get(_TYPE) == _PADDED.encode() or any(map(_holds_padded, inner))


def _unpadded(array: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """Take the blanks at the end off the texts of CHAR(n), at whatever depth; the driver says which they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(kind):
        return pc.utf8_rtrim(array, " ")
    inner = [kind.field(place) for place in range(kind.num_fields)]
    if not any(map(_holds_padded, inner)):
        return array
    if pa.types.is_struct(kind):
        members = [
            _unpadded(array.field(place), one.type) if _holds_padded(one) else array.field(place)
            for place, one in enumerate(inner)
        ]
        return pa.StructArray.from_arrays(members, fields=inner, mask=array.is_null())
    values = _unpadded(array.values, inner[0].type)
    return pa.ListArray.from_arrays(array.offsets, values, type=kind, mask=array.is_null())


def _leaves(kind: "pa.DataType") -> "list[pa.DataType]":
    import pyarrow as pa

    if not pa.types.is_nested(kind):
        return [kind]
    return [leaf for place in range(kind.num_fields) for leaf in _leaves(kind.field(place).type)]


def _is_interval(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(kind == pa.month_day_nano_interval())


def probe(rows: str, columns: Sequence[Column]) -> str:
    """Ask how many digits the numerics have that do not say it: before the point, and after it."""
    asked = []
    for column in columns:
        if column.unmeasured:
            name = identifier(column.name)
            # NaN and infinity have no scale.
            finite = f"FILTER (WHERE scale({name}) IS NOT NULL)"
            asked += [f"length(trunc(max(abs({name})) {finite})::text)", f"max(scale(trim_scale({name})))"]
    return f"SELECT {', '.join(asked)} FROM {rows}"


def widened(columns: Sequence[Column], found: Sequence[int | None]) -> list[Column]:
    """Return the columns, each numeric with the type that holds all its values; `found` is what the probe said."""
    measures = iter(found)
    done = []
    for column in columns:
        if not column.unmeasured:
            done.append(column)
            continue
        whole, scale = next(measures) or 0, next(measures) or 0
        # All 38 digits where they do, so that one more digit next time does not change the type.
        kind = decimal_type(max(whole + scale, DECIMAL_DIGITS_MAX), scale)
        done.append(replace(column, kind=kind, unmeasured=False))
    return done


def arrays(batch: "pa.RecordBatch", columns: Sequence[Column]) -> "tuple[list[pa.Array], Refused]":
    """Bring a batch to the types of the seam; beside it, the rows that cannot be given."""
    import pyarrow as pa

    refused: Refused = {}
    done: list[Any] = []
    flags = iter(range(len(columns), batch.num_columns))
    for column, array in zip(columns, batch.columns, strict=False):
        values = _numbers(array, column, refused) if column.numeric else array
        if values.type != column.kind:
            values = _storage(values)
            values = (
                pa.ExtensionArray.from_storage(column.kind, values)
                if isinstance(column.kind, pa.BaseExtensionType)
                else values.cast(column.kind)
            )
        done.append(_unpadded(values, column.kind) if column.padded else values)
        if column.refused_if:
            _note(refused, _true(batch.column(next(flags))), Reason("nested", column.reason, column.name))
    return done, refused


def _numbers(array: "pa.Array", column: Column, refused: Refused) -> "pa.Array":
    """Read the text of numerics: NaN is null, infinity is refused."""
    import pyarrow.compute as pc

    texts = _storage(array)
    for words, reason in (
        ((b"NaN", b"nan"), None),
        ((b"Infinity", b"-Infinity", b"inf", b"-inf"), Reason("infinity", "the value is infinite", column.name)),
    ):
        places = _true(pc.is_in(texts, text_array(words)))
        texts = without(texts, places)
        if reason is not None:
            _note(refused, places, reason)
    values, bad = typed(texts, column.kind)
    _note(refused, bad, Reason("number", f"the value does not fit {column.kind}, its type when it was asked first",
                               column.name))  # fmt: skip
    return values


def _storage(array: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _true(flags: "pa.Array") -> list[int]:
    import pyarrow.compute as pc

    places: list[int] = pc.indices_nonzero(flags).to_pylist()
    return places


def _note(refused: Refused, places: Sequence[int], reason: Reason) -> None:
    for place in places:
        refused.setdefault(place, []).append(reason)
