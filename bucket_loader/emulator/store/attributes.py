"""The form in which attributes are kept since autumn 2026: lists of texts, within limits, and no name that is unsafe.

Source: DOC' (arrays are values; the limits, of which it says that the server may use others; the names).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from bucket_loader.model import javascript

ITEMS_MAX: Final = 1_000
LIST_CHARACTERS_MAX: Final = 2_000  # of the JSON of the items, as texts
TRUNCATED: Final = "[TRUNCATED]"
UNSAFE_NAMES: Final = frozenset({"__proto__", "constructor", "prototype"})


_UNSAFE: Final = tuple(name.encode() for name in sorted(UNSAFE_NAMES))
_pack = msgspec.json.Encoder().encode


def put_in_form(items: Iterable[msgspec.Struct], body: bytes) -> None:
    """Bring the attributes of all items of a body into the form in which they are kept.

    Most bodies hold nothing that is changed. A few looks at their bytes find those out, and the bytes of its attributes
    those of the other records: a text that merely looks alike costs a little time, and stays as it is.
    """
    # The first bracket is that of /bulk. A backslash may spell NUL, or any letter of a name.
    if body.rfind(b"[") > 0 or b"\\" in body or _may_be_unsafe(body):
        for item in items:
            attributes = getattr(item, "attributes", None)
            if attributes:
                packed = _pack(attributes)
                if b"[" in packed or b"\\u0000" in packed or _may_be_unsafe(packed):
                    item.attributes = as_kept(attributes)  # type: ignore[attr-defined]  # those that have any


def _may_be_unsafe(body: bytes) -> bool:
    return any(name in body for name in _UNSAFE)


def as_kept(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes as they are kept."""
    return {name: _value(value) for name, value in _safe(attributes)}


def _safe(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the members whose names are kept, with these names."""
    for sent, value in members.items():
        name = sent.replace("\0", "")
        if UNSAFE_NAMES.isdisjoint(name.split(".")):
            yield name, value


def _value(value: Any) -> Any:  # noqa: ANN401  # any JSON
    if isinstance(value, dict):
        return as_kept(value)
    if not isinstance(value, list):
        return value
    texts = javascript.list_texts([_item(item) for item in value])
    return list(texts) if len(texts) <= ITEMS_MAX and _characters(texts) <= LIST_CHARACTERS_MAX else TRUNCATED


def _item(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return what stands inside a list: it becomes text as it is, but for unsafe names."""
    if isinstance(value, dict):
        return {name: _item(inner) for name, inner in _safe(value)}
    return [_item(inner) for inner in value] if isinstance(value, list) else value


def _characters(texts: tuple[str, ...]) -> int:
    """Return the length of a list's JSON as JavaScript counts: a sign beyond 16 bits is two."""
    return len(javascript.json_text(texts).encode("utf-16-le", "surrogatepass")) // 2
