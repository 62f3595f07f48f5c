"""Which names stand where in a file's objects, and whether many lines at once have no others and none twice.

A line that is looked at alone costs ten times as much as one among others. So what was found in some lines becomes a
type, into which msgspec reads the next ones: a name or a kind of value that is not in the type is refused. What no type
refuses is a name that comes twice, because the last value wins. But what was read can be written again: where a name
stood twice, fewer names are written than were read, and names can be counted in bytes without reading them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from bucket_loader.sources.files.jsonl_column import NULL, Column, Spelt
from bucket_loader.sources.files.jsonl_line import LINE_BYTES_MAX, Row

NAMES_MAX: Final = 512  # msgspec looks for a name among a type's names one by one
_DEPTH_MAX: Final = 16
_VAIN_MAX: Final = 8  # pieces in turn that taught nothing
_SCALAR: Final = str | int | float | bool | None
_LINE_END, _RETURN, _OPEN, _CLOSE = b"\n\r{}"

# Stands behind each name; also where a text begins with a colon, or has one behind a quote.
_NAME: Final = b'":'

# An escape that is a NUL, or that hides a quote or a colon from who counts them.
_HIDDEN: Final = re.compile(rb"\\u00(?:00|22|3[aA])")
_SPACED_PAIRS: Final = (b" :", b"\t:", b"\r:")
_SPACED: Final = re.compile(rb'"[ \t\r]+:')
_UNFIT: Final = re.compile('["\\\\\x00-\x1f]')  # for a name of a type's member, says msgspec


class Piece(NamedTuple):
    """Some whole lines of a file.

    Attributes:
        first: the number of the first line.
        lines: how many they are.
        data: their bytes; the last line of a file may lack its end.
    """

    first: int
    lines: int
    data: bytes


class Shape:
    """What the lines looked at so far have in them.

    Args:
        columns: those of the file, with what is known of each; more are found as lines are looked at.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self._nodes: dict[str, _Node] = {}
        self._names = self._vain = 0
        self._known: object = None
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._spelt: list[tuple[int, str]] = []
        self._encoder = msgspec.json.Encoder()

    @property
    def is_ready(self) -> bool:
        """Whether anything was learned, and columns are not too many for a type."""
        return self._decoder is not None

    def values(self, piece: Piece) -> dict[str, Spelt] | None:
        """Return the values whose kinds are still to be noted, if every line of a piece is a sound object.

        None says that its lines must be looked at one by one.
        """
        if self._decoder is None or not _may_be_sound(piece):
            return None
        try:
            rows = self._decoder.decode_lines(piece.data)
        except (msgspec.DecodeError, RecursionError):
            return None
        if len(rows) != piece.lines or _count(piece.data, _NAME) != _count(self._encoder.encode_lines(rows), _NAME):
            return None
        found = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
        spelt = {name: Spelt(found[place]) for place, name in self._spelt}
        if any("nested" in one.kinds for one in spelt.values()):
            return None
        self._vain = 0
        return spelt

    def learn(self, rows: Sequence[Row]) -> None:
        """Take note of what stands in sound lines."""
        if len(self._columns) > NAMES_MAX:
            self._decoder = None
            return
        if self._vain < _VAIN_MAX:
            for name, raw in ((name, raw) for row in rows for name, raw in row.items()):
                if bytes(raw)[:1] in (b"{", b"["):
                    self._learn_one(name, raw)
        types = [(name, self._type(name, column)) for name, column in self._columns.items() if not _UNFIT.search(name)]
        known = (self._names, [(name, kind if kind in (Raw, _TEXT) else "nested") for name, kind in types])
        self._vain = self._vain + 1 if known == self._known else 0
        if known != self._known:
            self._known = known
            self._decoder = msgspec.json.Decoder(_struct(types))
            self._spelt = [(place, name) for place, (name, kind) in enumerate(types) if kind is Raw]

    def _learn_one(self, name: str, raw: Raw) -> None:
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):  # a number beyond all floats
            return
        self._note(self._nodes.setdefault(name, _Node()), value, 1)

    def _note(self, node: "_Node", value: object, depth: int) -> None:
        if depth > _DEPTH_MAX or not isinstance(value, (dict, list)):
            return
        if isinstance(value, list):
            self._names += node.items is None
            node.items = node.items or _Node()
            for item in value:
                self._note(node.items, item, depth + 1)
            return
        self._names += node.members is None
        node.members = {} if node.members is None else node.members
        for name, child in value.items():
            if name not in node.members and self._names < NAMES_MAX and not _UNFIT.search(name):
                node.members[name] = _Node()
                self._names += 1
            if name in node.members:
                self._note(node.members[name], child, depth + 1)

    def _type(self, name: str, column: Column) -> Any:  # noqa: ANN401  # a type, or a union of some
        if name in self._nodes:
            return self._nodes[name].type
        return _TEXT if column.kinds == {"text"} else Raw


_TEXT: Final = str | None


class _Node:
    """What was seen in one place: an object's members, a list's items; scalars may always be there."""

    def __init__(self) -> None:
        self.members: dict[str, _Node] | None = None
        self.items: _Node | None = None

    @property
    def type(self) -> Any:  # noqa: ANN401  # a union
        nested: list[Any] = [] if self.items is None else [list[self.items.type]]  # type: ignore[name-defined]
        if self.members is not None:
            nested.append(_struct([(name, child.type) for name, child in self.members.items()]))
        return reduce(or_, nested, _SCALAR)


def plain(names: Sequence[str]) -> "msgspec.json.Decoder[Any] | None":
    """Return what reads lines that have these names and no others; None where they are too many, or unfit."""
    if len(names) > NAMES_MAX or any(map(_UNFIT.search, names)):
        return None
    return msgspec.json.Decoder(_struct([(name, Raw) for name in names]))


def _struct(members: Sequence[tuple[str, Any]]) -> type[msgspec.Struct]:
    """Return a type with these members and no others; one that a line lacks is not written again."""
    fields = [
        (f"f{number}", kind, NULL) if kind is Raw else (f"f{number}", kind | UnsetType, UNSET)
        for number, (_, kind) in enumerate(members)
    ]
    return msgspec.defstruct(
        "Line",
        fields,
        rename={f"f{number}": name for number, (name, _) in enumerate(members)},
        forbid_unknown_fields=True,
        omit_defaults=True,
        kw_only=True,
        gc=False,
    )


def _may_be_sound(piece: Piece) -> bool:
    """Whether nothing in a piece is hidden from counting, and each of its lines begins and ends an object."""
    import numpy as np

    data = piece.data
    if len(data) > LINE_BYTES_MAX or data[0] != _OPEN or (b"\\" in data and _HIDDEN.search(data)):
        return False
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
    if any(_count(data, pair) for pair in _SPACED_PAIRS) and _SPACED.search(data):
        return False
    # Within a value no object begins after a line end that another one stands before.
    signs = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(signs == _LINE_END)[: piece.lines - 1]
    before = np.where(signs[ends - 1] == _RETURN, signs[ends - 2], signs[ends - 1])
    return bool((before == _CLOSE).all() and (signs[ends + 1] == _OPEN).all())


def _count(data: bytes, pair: bytes) -> int:
    """Count two bytes that stand side by side, ten times as fast as `bytes.count` does."""
    import numpy as np

    sought = np.frombuffer(pair, np.uint16)
    halves = (data[begin : begin + (len(data) - begin) // 2 * 2] for begin in (0, 1))
    return sum(int(np.count_nonzero(np.frombuffer(half, np.uint16) == sought)) for half in halves)
