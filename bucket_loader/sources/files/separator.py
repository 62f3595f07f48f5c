"""The line `sep=;` that may stand before a CSV file's header: what Excel writes and reads, and no row."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bucket_loader.model import SourceError
from bucket_loader.sources.files.input_file import InputFile

DELIMITERS: Final = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}

_HEAD_BYTES: Final = 256  # more than such a line ever has
# Excel takes any sign; a letter or a digit after `sep=` is more likely a name.
_LINE: Final = re.compile(rb'\A"?sep=([\t !#$%&()*+,\-./:;<=>?@\[\]^_`{|}~])([^\r\n]*)(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_NO_TEXT: Final = re.compile(rb'[\t ",;|]*')


def delimiter_words(sign: str) -> str:
    """Spell a delimiter as the words of a source."""
    return 'delimiter: "\\t"' if sign == "\t" else f'delimiter: "{sign}"'


@dataclass(frozen=True)
class Text:
    """A file's text, and what stood before it.

    Attributes:
        chunks: the text without a `sep=` line.
        delimiter: what such a line says; None where there is none.
    """

    chunks: Iterator[bytes]
    delimiter: str | None = None


def without_separator(file: InputFile, chunks: Iterator[bytes], declared: str | None) -> Text:
    """Take the `sep=` line off a file's text, if it has one.

    Args:
        file: to name it.
        chunks: its text as UTF-8, without a byte order mark.
        declared: the delimiter that the pipeline file says; None where it says none.

    Raises:
        SourceError: the line and the pipeline file do not agree, or it holds more than a delimiter.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    found = _LINE.match(head)
    if found is None or not _NO_TEXT.fullmatch(found[2].strip(found[1])):
        return Text(itertools.chain([head], chunks) if head else chunks)
    sign = found[1].decode()
    if found[2].strip(b'" ' + found[1]):
        raise SourceError(
            f"{file.name} begins with a line `sep={sign}` that goes on with other signs",
            hint="remove that line from the file; it can hold nothing but the delimiter",
        )
    if declared not in {None, sign}:
        raise SourceError(
            f"{file.name} begins with `sep={sign}`, which says its delimiter, and the pipeline file says another one",
            hint=f"write `{delimiter_words(sign)}`; if that line is wrong, remove it from the file",
        )
    rest = head[found.end() :]
    return Text(itertools.chain([rest], chunks) if rest else chunks, sign)


def note_on(separators: dict[str, str]) -> Iterator[str]:
    """Say which files have such a line, by their names, and what it says: a sentence for each delimiter."""
    for sign in dict.fromkeys(separators.values()):
        first, *others = [name for name, found in separators.items() if found == sign]
        more = f" and {len(others):,} more begin" if others else " begins"
        what = DELIMITERS.get(sign, repr(sign))
        yield f"{first}{more} with the line `sep={sign}`: the delimiter is {what}, and the line is no row"
