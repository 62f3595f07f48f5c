"""The form in which attributes are kept since autumn 2026: lists of texts, within limits, and no name that is unsafe.

Source: DOC' (arrays are values; the limits, of which it says that the server may use others; the names).
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bucket_loader.model import javascript

ITEMS_MAX: Final = 1_000
LIST_CHARACTERS_MAX: Final = 2_000  # of the JSON of the items, as texts
TRUNCATED: Final = "[TRUNCATED]"
UNSAFE_NAMES: Final = frozenset({"__proto__", "constructor", "prototype"})

_UNSAFE: Final = tuple(name.encode() for name in sorted(UNSAFE_NAMES))
# Characters by their number that may be in an unsafe name or make one: NUL, the dot, the underscore and small letters.
_SPELT: Final = re.compile(rb"\\u00[02567]")
_ESCAPED_CHARACTERS_MAX: Final = 6  # of one in JSON: `\u0001`


def put_in_form(items: Iterable[msgspec.Struct], body: bytes) -> None:
    """Bring the attributes of all items of a body into the form in which they are kept.

    A few looks at the bytes of a body find out what its items cannot hold, and is not looked for in each.
    """
    has_lists = body.rfind(b"[") > 0  # the first bracket is that of /bulk
    has_names = any(name in body for name in _UNSAFE) or (b"\\" in body and _SPELT.search(body) is not None)
    if not (has_lists or has_names):
        return
    for item in items:
        attributes = getattr(item, "attributes", None)
        if attributes:
            if has_names:
                attributes = item.attributes = _with_safe_names(attributes)  # type: ignore[attr-defined]  # it has them
            if has_lists:
                _keep_lists(attributes)


def _with_safe_names(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return a value without members of unsafe names, in lists too; NUL is taken out of the names that stay."""
    if isinstance(value, list):
        return [_with_safe_names(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    named = ((name.replace("\0", ""), inner) for name, inner in value.items())
    return {name: _with_safe_names(inner) for name, inner in named if UNSAFE_NAMES.isdisjoint(name.split("."))}


def _keep_lists(attributes: dict[str, Any]) -> None:
    """Put what is kept of each list in its place, also inside objects."""
    for name, value in attributes.items():
        if type(value) is list:
            try:
                characters = len("".join(value))
            except TypeError:  # not all are texts
                attributes[name] = _kept(value)
            else:  # at the longest, and with quotes and a comma each
                if characters * _ESCAPED_CHARACTERS_MAX + 3 * len(value) >= LIST_CHARACTERS_MAX:
                    attributes[name] = _kept(value)
        elif type(value) is dict:
            _keep_lists(value)


def _kept(items: list[Any]) -> list[str] | str:
    texts = javascript.list_texts(items)
    return TRUNCATED if is_too_long(texts) else list(texts)


def is_too_long(texts: tuple[str, ...]) -> bool:
    """Whether a list of these texts is not kept."""
    return len(texts) > ITEMS_MAX or _characters(texts) > LIST_CHARACTERS_MAX


def _characters(texts: tuple[str, ...]) -> int:
    """Return the length of a list's JSON as JavaScript counts: a sign beyond 16 bits is two."""
    return len(javascript.json_text(texts).encode("utf-16-le", "surrogatepass")) // 2
