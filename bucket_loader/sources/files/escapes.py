r"""Escapes in CSV: with `escape: "\\"`, `\"` is a quote, `\\` a backslash, and so on for delimiters and line breaks.

Before any other character the escape is a character like any other, as PostgreSQL and Spark have it: `C:\temp` stays.
pyarrow would drop it there, so that it is doubled before pyarrow sees it.
"""

import re
from collections.abc import Iterator

# What no UTF-8 has stands for an escaped pair where only quotes, delimiters and line ends matter.
_OTHER, _LINE_FEED, _RETURN = b"\xff\xff", b"\xff\xfe", b"\xff\xfd"


class Escapes:
    """The escapes of one source."""

    def __init__(self, sign: str, *, quote: str, delimiter: str) -> None:
        self._sign = sign.encode()
        self._special = {text.encode() for text in (sign, quote, delimiter, "\r", "\n") if text}
        self._pair = re.compile(re.escape(self._sign) + rb"([\s\S])")

    def doubled(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Return the text with each escape that escapes nothing doubled; no chunk ends between it and what follows."""
        carried = b""
        for chunk in chunks:
            data = carried + chunk
            is_open = (len(data) - len(data.rstrip(self._sign))) % 2
            carried = self._sign if is_open else b""
            if whole := data[: len(data) - is_open]:
                yield self._pair.sub(lambda pair: pair[0] if pair[1] in self._special else self._sign + pair[0], whole)
        if carried:
            yield carried * 2

    def masked(self, data: bytes) -> bytes:
        """Return data of the same length in which nothing escaped looks like a quote, a delimiter or a line end."""
        if self._sign not in data:
            return data
        ends = {b"\n": _LINE_FEED, b"\r": _RETURN}
        return self._pair.sub(lambda pair: ends.get(pair[1], _OTHER), data)

    def undoubled(self, line: str) -> str:
        """Return a line as the file has it, for a person to find it again."""

        def spelt(pair: re.Match[str]) -> str:
            following = line[pair.end() : pair.end() + 1].encode()
            is_ours = pair[0] == sign * 2 and following and following not in self._special
            return sign if is_ours else pair[0]

        sign = self._sign.decode()
        return re.sub(re.escape(sign) + r"[\s\S]", spelt, line)


def line_ends(data: bytes) -> int:
    r"""Count the lines that end in data, masked or not: with \n, \r\n or \r; whichever it is, the more frequent."""
    feeds = data.count(b"\n") + data.count(_LINE_FEED)
    returns = data.count(b"\r") + data.count(_RETURN)
    return max(feeds, returns)
