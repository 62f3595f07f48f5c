"""A value in few signs, none of which does anything: what a row holds may be long, and may be meant to harm."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

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
        head = (self.most - len(self.cut) + 1) // 2
        return text[:head] + self.cut + text[len(text) - (self.most - len(self.cut) - head) :]

    def _window(self, text: str, place: int) -> str:
        """Return what stands around a place of a text."""
        first = max(0, place - self.most // _BEFORE)
        after = first + self.most
        return f"{self.cut if first else ''}{text[first:after]}{self.cut if after < len(text) else ''}"


def _escaped(sign: str) -> str:
    number = ord(sign)
    return f"\\u{number:04x}" if number <= _BASIC else f"\\U{number:08x}"
