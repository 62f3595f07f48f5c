"""What JavaScript makes of a value, where rules depend on it: as text, as a number (as a date: see `dates`).

Contexts are compared as text, and the one public evaluation is written in JavaScript. Source: ECMAScript (Number,
Number::toString), FE (which of them it calls).
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Final

_PLAIN_BELOW: Final = 1e21  # larger numbers get an exponent (Number::toString), as do those below 0.000001
_PLAIN_FROM: Final = 1e-6
_BLANKS: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_NUMBER: Final = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_OTHER_BASE: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")


def text(value: object) -> str:
    """Return a JSON value that holds no others as `String(value)` does; null as the empty text, as FE does."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    assert isinstance(value, int | float)  # noqa: S101  # JSON has no other
    return number_text(_double(value))


def _double(value: float) -> float:
    """Return a number as JavaScript reads it: a whole one that no double reaches is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def list_texts(items: Sequence[object]) -> tuple[str, ...]:
    """Return the items of a list as texts: an object or a list among them as compact JSON."""
    return tuple(json_text(item) if isinstance(item, dict | list) else text(item) for item in items)


def json_text(value: object) -> str:
    """Return a JSON value as `JSON.stringify(value)` does."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{json_text(name)}:{json_text(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "null" if value is None or text(value).endswith("Infinity") else text(value)


def number_text(value: float) -> str:
    """Return a number as text: the fewest digits that tell it from its neighbours, and an exponent only far from 1."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    digits, _, exponent = repr(value).partition("e")
    if _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return f"{value:.0f}" if value.is_integer() and not exponent else _plain(digits, int(exponent or 0))
    power = int(exponent)
    return f"{digits.removesuffix('.0')}e{'+' if power > 0 else '-'}{abs(power)}"


def _plain(digits: str, power: int) -> str:
    """Write digits and a power of ten without an exponent."""
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, part = digits.partition(".")
    part = part.rstrip("0")
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{whole}{part}"
    whole, part = whole + part[:power].ljust(power, "0"), part[power:]
    return f"{sign}{whole}.{part}" if part else sign + whole


def number(value: str) -> float:
    """Return a text as `Number(text)` does: the empty text is 0, what is no number is NaN."""
    value = value.strip(_BLANKS)
    if not value:
        return 0.0
    if _NUMBER.fullmatch(value):
        return float(value)
    if _OTHER_BASE.fullmatch(value):
        try:
            return float(int(value, 0))
        except OverflowError:
            return math.inf
    return math.nan
