"""Reads request bodies into records, or names every mistake in them.

One typed decode is the fast way. Only a body that fails it is read again, item by item, to say what is wrong where.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias, Union

import msgspec

from bucket_loader.emulator.store.effects import BESIDE, BULK, KNOWN_RECORDS, SHAPES, PromptEvent
from bucket_loader.model import json_mistake

# One accepted record, of any shape in the table of types.
Item: TypeAlias = msgspec.Struct


class Mistakes(msgspec.Struct, frozen=True):
    """Everything that is wrong with a body, each with its place first."""

    messages: list[str]


Reader: TypeAlias = Callable[[bytes], "list[Item] | Mistakes"]

_ANY: Final = Union[SHAPES]  # noqa: UP007  # made from the table
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _reader(shape: Any) -> Reader:  # noqa: ANN401  # a struct, or several of which each item names its own
    """Make the reader of a body that is one record."""
    decoder = msgspec.json.Decoder(shape)

    def read(body: bytes) -> list[Item] | Mistakes:
        item = _one(decoder, body)
        if isinstance(item, str):
            return Mistakes([_placed("body", item)])
        return _objection(body) or [item]

    return read


def _list_reader(shape: Any) -> Reader:  # noqa: ANN401  # the same
    """Make the reader of a body that is a list of records."""
    whole, each = msgspec.json.Decoder(list[shape]), msgspec.json.Decoder(shape)

    def read(body: bytes) -> list[Item] | Mistakes:
        try:
            items: list[Item] = whole.decode(body)
        except msgspec.ValidationError:
            return _each(each, body)
        except _NOT_JSON as error:
            return Mistakes([f"body: {_not_json(error)}"])
        return _checked_list(items, body)

    return read


def _reader_of_either(shape: type[msgspec.Struct]) -> Reader:
    """Make the reader of a body that is one record or a list of them."""
    read_one, read_list = _reader(shape), _list_reader(shape)
    return lambda body: read_one(body) if body.lstrip()[:1] == b"{" else read_list(body)


def split(body: bytes) -> list[bytes]:
    """Return the items of a body, each as the bytes it was sent in; an object is its own only item."""
    if body.lstrip()[:1] == b"{":
        return [body]
    return [bytes(raw) for raw in _RAWS.decode(body)]


def count(body: bytes) -> int:
    """Return how many records a body holds; what is not JSON holds none."""
    try:
        return len(split(body))
    except _NOT_JSON:
        return 0


# --- naming mistakes -----------------------------------------------------------------------------------------------

_FIELD: Final = re.compile(r"[\w.\[\]]+")


def _each(decoder: msgspec.json.Decoder[Any], body: bytes) -> list[Item] | Mistakes:
    """Read a list item by item, to name every bad one."""
    try:
        raws = _RAWS.decode(body)
    except msgspec.ValidationError as error:
        return Mistakes([json_mistake(error, "body")])
    except _NOT_JSON as error:
        return Mistakes([f"body: {_not_json(error)}"])
    items = [_one(decoder, raw) for raw in raws]
    messages = [_placed(f"[{index}]", item) for index, item in enumerate(items) if isinstance(item, str)]
    return Mistakes(messages) if messages else [item for item in items if not isinstance(item, str)]


def _one(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw) -> Item | str:
    """Read one record, or say what is wrong with it."""
    try:
        item: Item = decoder.decode(body)
    except msgspec.ValidationError as error:
        return json_mistake(error)
    except _NOT_JSON as error:
        return _not_json(error)
    return check(item) or item


def _checked_list(items: list[Item], body: bytes) -> list[Item] | Mistakes:
    messages = [_placed(f"[{index}]", mistake) for index, item in enumerate(items) if (mistake := check(item))]
    if messages:
        return Mistakes(messages)
    return _objection(body) or items


def _objection(body: bytes) -> Mistakes | None:
    """Object to what the decoder lets pass: bad UTF-8 in fields that it skips, and depths that others cannot read."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return Mistakes(["body: not valid UTF-8"])
    return Mistakes([f"body: {_TOO_DEEP}"]) if is_deep(body) else None


def is_deep(body: bytes) -> bool:
    """Whether JSON is nested more than 250 deep; what is no JSON may be called deep too.

    How deep a decoder can go depends on who called it: what is accepted here must be readable everywhere.
    """
    # Brackets in texts count too, at first: most bodies have none, and taking the texts out is slow.
    brackets = _brackets(body)
    return _is_nested(brackets) and _is_nested(_brackets(_TEXT_IN_JSON.sub(b"", body)))


def _brackets(body: bytes) -> bytes:
    return body.translate(_BRACES_AS_BRACKETS, _NO_BRACKETS)


def _is_nested(brackets: bytes) -> bool:
    if len(brackets) <= _DEPTH_MAX:
        return False
    if b"[" * (_DEPTH_MAX + 1) in brackets:  # the loop below would take its time
        return True
    for _ in range(_DEPTH_MAX):
        shorter = brackets.replace(b"[]", b"")
        if len(shorter) == len(brackets):
            break
        brackets = shorter
    return bool(brackets)


_DEPTH_MAX: Final = 250
_TOO_DEEP: Final = "nested too deeply"
_TEXT_IN_JSON: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACES_AS_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def with_whole_texts(body: bytes) -> bytes:
    r"""Return JSON whose texts can be read, where a client cut one in the middle of a pair (`\ud83d` alone).

    `JSON.stringify` writes such texts. What is left of the pair becomes the sign for what cannot be shown.
    """
    return _SURROGATES.sub(lambda found: found[0] if found["lone"] is None else rb"\ufffd", body)


# Escaped backslashes and whole pairs come first, so that what is left is alone.
_SURROGATES: Final = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _placed(place: str, message: str) -> str:
    """Put the place of a record before what is wrong with it: `[17].userId: must ...`.

    A mistake that names no field is the record's own; a field of the body needs no place.
    """
    field, is_named, _ = message.partition(": ")
    if not is_named or not _FIELD.fullmatch(field):
        return f"{place}: {message}"
    return message if place == "body" else f"{place}.{message}"


def _not_json(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not valid UTF-8"
    return _TOO_DEEP if isinstance(error, RecursionError) else json_mistake(error)


# --- what types alone cannot say -----------------------------------------------------------------------------------

# RFC 3339, and ISO-8601 with a short offset or without seconds. The offset is required: OpenAPI's date-time has one.
_ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
)
MS_MIN: Final = -62_135_596_800_000  # the year 1
MS_MAX: Final = 253_402_300_799_999  # the end of the year 9999


_TIMED: Final = frozenset(shape for shape in SHAPES if "timestamp" in shape.__struct_fields__)
_ONE_OF: Final = {record.shape: record.needs_one_of for record in KNOWN_RECORDS if record.needs_one_of}


def check(item: Any) -> str | None:  # noqa: ANN401  # an item, whose fields depend on its type
    """Hold an item against what its types do not say, and turn its timestamp into milliseconds.

    Source: S3 and OA (timestamp: milliseconds since the epoch or ISO-8601), S0 and S1 (score or comment).
    """
    shape = type(item)
    if shape in _TIMED and item.timestamp is not None:
        moment = milliseconds(item.timestamp)
        if moment is None:
            return "timestamp: must be milliseconds since the epoch or an ISO-8601 date-time with its offset"
        item.timestamp = moment
    if shape in _ONE_OF and all(getattr(item, name) is None for name in _ONE_OF[shape]):
        needed = _ONE_OF[shape]
        return f"{needed[0]}: neither a {' nor a '.join(needed)} is there"
    return None


def milliseconds(timestamp: float | str) -> float | None:
    """Return a timestamp as milliseconds since the epoch, or None when it is not one."""
    moment = _parsed(timestamp) if isinstance(timestamp, str) else timestamp
    return moment if moment is not None and MS_MIN <= moment <= MS_MAX else None


def _parsed(timestamp: str) -> float | None:
    if not _ISO.fullmatch(timestamp):
        return None
    try:
        return datetime.fromisoformat(timestamp).timestamp() * 1000
    except ValueError:  # the thirtieth of February
        return None


# How the bodies of each type are read; `bulk` is a list whose items name theirs (S1).
TYPES: Final[dict[str, Reader]] = {
    BULK: _list_reader(_ANY),
    **{
        record.kind.wire: (_reader_of_either if record.takes_list else _reader)(record.shape)
        for record in KNOWN_RECORDS
    },
    **{str(shape.__struct_config__.tag): _reader(shape) for shape in BESIDE},
}
read_prompt_event: Final = _reader(PromptEvent)
