"""On which lines of a CSV file its rows begin: a second look at the file, for the rows that a person has to find."""

import re
from collections.abc import Iterable, Iterator

from bucket_loader.sources.files.escapes import line_ends


def first_lines(chunks: Iterable[bytes], *, quote: str, delimiter: str, line: int = 1) -> Iterator[int]:
    """Return the line on which each row begins, the header's first; lines without anything in them are no rows.

    Args:
        chunks: the text, as UTF-8.
        quote: empty where quotes mean nothing.
        delimiter: between the values.
        line: the number of the first line.
    """
    row, rest = _row(quote, delimiter), b""
    for chunk in _ended(chunks):
        data, position = rest + (chunk or b""), 0
        while position < len(data):
            found = row.match(data, position)
            # The last one may go on in the next chunk; so may the end of its line.
            if found is None or (found.end() == len(data) and chunk is not None):
                break
            if found[1]:
                yield line
            line += line_ends(found[0])
            position = found.end()
        rest = data[position:]


def _row(quote: str, delimiter: str) -> re.Pattern[bytes]:
    """Return the pattern of a row with the end of its last line; a quote that does not open a value is a letter."""
    d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
    value = rb"[^\r\n" + d + rb"]*+"
    quoted = q + rb"(?:[^" + q + rb"]++|" + q + q + rb")*+" + q if quote else b""
    value = rb"(?:" + quoted + rb")?+" + value if quote else value
    return re.compile(rb"(" + value + rb"(?:" + d + value + rb")*+)(?:\r\n|\r|\n|\Z)")


def _ended(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from chunks
    yield None
