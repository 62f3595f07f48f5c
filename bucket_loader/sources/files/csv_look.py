"""What a CSV file's own text says of how to read it: for `init`, which then writes it down."""

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from bucket_loader.config import CsvSource
from bucket_loader.model import SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.files.bytestream import as_utf8, chunks_of
from bucket_loader.sources.files.escapes import Escapes
from bucket_loader.sources.files.listing import found
from bucket_loader.sources.files.quotes import QuoteChecker
from bucket_loader.sources.files.separator import DELIMITERS, without_separator

_ROWS: Final = 200
_BACKSLASH: Final = "\\"


def csv_words(spec: CsvSource, context: SourceContext) -> dict[str, str]:
    """Return the words of a source that its first file speaks for: `encoding`, `delimiter`, `escape`.

    Each is only there where it is not the default. The text is looked at as the source reads it: decompressed.

    Raises:
        SourceError: there is no such file, or it cannot be read.
    """
    (file, *_) = found(spec, context)
    with closing(chunks_of(file, spec.compression)) as chunks:
        head = next(chunks, b"")
    words = _encoding(head)
    text = without_separator(file, as_utf8(file, iter([head]), words.get("encoding", spec.encoding)), None)
    lines = b"".join(_but_the_rest(text.chunks)).decode("utf-8", "replace")
    delimiter = text.delimiter or _delimiter(lines)
    if delimiter != ",":
        words["delimiter"] = delimiter
    if _is_escaped(lines.encode(), delimiter):
        words["escape"] = _BACKSLASH
    return words


def _but_the_rest(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return chunks but for an error at their end, where the head of a file is cut."""
    try:
        yield from chunks
    except SourceError:
        return


def _encoding(head: bytes) -> dict[str, str]:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return {"encoding": "utf-16"}
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if head and zeros.count(0) * 2 > len(zeros):  # more than half of its characters are of ASCII
            return {"encoding": encoding}
    # The last character may be cut.
    if _is(head, "utf-8") or not _is(head, "cp1252"):
        return {}
    return {"encoding": "cp1252"}


def _is(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


_Fit = tuple[float, bool, int]
"""How well a delimiter fits: the share of rows with the header's width, whether no name has a quote, the width."""

_NO_FIT: Final[_Fit] = (0.0, False, 1)


def _delimiter(text: str) -> str:
    """Return the sign that cuts most rows to the width of the header; of several, the one that makes it widest."""
    fits = {sign: _fit(text, sign) for sign in DELIMITERS}
    best = max(fits, key=lambda sign: (fits[sign], sign == ","))
    return best if fits[best] > _NO_FIT else ","


def _fit(text: str, delimiter: str) -> _Fit:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            rows += [row] if row else []
            if len(rows) >= _ROWS:
                break
    except csv.Error:
        return _NO_FIT
    if text[-1:] not in {"\n", "\r"} and rows[1:]:
        del rows[-1]  # it may be cut
    if not rows or len(rows[0]) == 1:
        return _NO_FIT
    width = len(rows[0])
    share = sum(1 for row in rows if len(row) == width) / len(rows)
    return (share, not any('"' in name for name in rows[0]), width)


def _is_escaped(text: bytes, delimiter: str) -> bool:
    r"""Whether quotes are sound only where `\"` is a quote."""
    if b'\\"' not in text:
        return False
    escapes = Escapes(_BACKSLASH, quote='"', delimiter=delimiter)
    plain = QuoteChecker("", quote='"', delimiter=delimiter).checked(iter([text]))
    escaped = QuoteChecker("", quote='"', delimiter=delimiter, escapes=escapes).checked(escapes.doubled(iter([text])))
    return not _is_sound(plain) and _is_sound(escaped)


def _is_sound(checked: Iterator[bytes]) -> bool:
    """Whether quotes are sound as far as the text goes: the head of a file may end inside of a field."""
    try:
        next(checked, b"")
    except SourceError:
        return False
    return True
