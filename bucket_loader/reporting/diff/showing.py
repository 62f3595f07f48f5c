"""A value in few signs, none of which does anything: what a row holds may be long, and may be meant to harm."""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

_SIGNS: Final = re.compile(r"\\(?:u[0-9a-f]{4}|U[0-9a-f]{8}|.)|.", re.DOTALL)
_BASIC: Final = 0xFFFF  # the last sign that four digits spell
_BEFORE: Final = 3  # where two values are alike where they are not cut, a third of what is shown stands before it


@dataclass(frozen=True)
class Showing:
    """How values are shown.

    Attributes:
        most: signs of each at the most.
        cut: stands where some were left out.
        arrow: stands between an old and a new value.
        encoding: what it cannot spell is escaped.
    """

    most: int
    cut: str = "…"
    arrow: str = "→"
    encoding: str = "utf-8"

    def text(self, text: str) -> str:
        """Return a text: what nobody sees, or a terminal obeys, is spelt in digits, and what is too long is cut."""
        return self._cut(self._visible(text))

    def value(self, value: object) -> str:
        """Return a value as JSON spells it, so that the text "5" is not the number 5."""
        return self._cut(self._json(value))

    def pair(self, field: Mapping[str, Any]) -> tuple[str, str]:
        """Return an old and a new value, cut so that they differ; empty for one that is not there."""
        old, new = (self._json(field[word]) if word in field else "" for word in ("old", "new"))
        if self._cut(old) != self._cut(new):
            return self._cut(old), self._cut(new)
        alike = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(old, new, strict=False)))
        return self._window(old, alike), self._window(new, alike)

    def _json(self, value: object) -> str:
        return self._visible(json.dumps(value, ensure_ascii=False))

    def _visible(self, text: str) -> str:
        if text.isascii() and text.isprintable():
            return text
        return "".join(sign if self._is_shown(sign) else _escaped(sign) for sign in text)

    def _is_shown(self, sign: str) -> bool:
        return sign.isprintable() and sign.encode(self.encoding, "ignore") != b""

    def _cut(self, text: str) -> str:
        if len(text) <= self.most:
            return text
        bounds, rest = _bounds(text), self.most - len(self.cut)
        head, tail = (rest + 1) // 2, rest // 2
        return text[: _before(bounds, head)] + self.cut + text[_after(bounds, len(text) - tail) :]

    def _window(self, text: str, place: int) -> str:
        """Return what stands around a place of a text."""
        bounds = _bounds(text)
        first = _before(bounds, max(0, place - self.most // _BEFORE))
        after = _before(bounds, first + self.most)
        return f"{self.cut if first else ''}{text[first:after]}{self.cut if after < len(text) else ''}"


def _bounds(text: str) -> list[int]:
    """Return where a text may be cut: not inside of what stands for one sign."""
    return [*(found.start() for found in _SIGNS.finditer(text)), len(text)]


def _before(bounds: list[int], place: int) -> int:
    return bounds[bisect_right(bounds, place) - 1]


def _after(bounds: list[int], place: int) -> int:
    return bounds[bisect_left(bounds, place)]


def _escaped(sign: str) -> str:
    number = ord(sign)
    return f"\\u{number:04x}" if number <= _BASIC else f"\\U{number:08x}"
