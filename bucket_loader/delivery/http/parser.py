"""An answer as it comes, read by httptools.

What is legal is read at once. What is not, and common all the same, is read again with its head put in order; that is
doubtful, and ends the connection: where the next answer begins is not certain.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httptools

_SWITCHING: Final = 101  # the one answer below 200 that another does not follow
_INTERIM: Final = range(100, 200)
_CUT_SHORT: Final = "the answer is cut short"
_NOT_HTTP: Final = "the answer is not HTTP"
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")  # a header may go on in the next line, as it was done long ago
_LINE_END: Final = re.compile(rb"\r?\n")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
_LENIENCIES: Final = (
    "lenient_headers",
    "lenient_chunked_length",
    "lenient_version",
    "lenient_optional_cr_before_lf",
    "lenient_spaces_after_chunk_size",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: by their names in lower case; the values of one that comes twice have a comma between.
        body: all of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Parsed:
    """An answer as far as it has come; `httptools` calls the methods that begin with `on_`."""

    complete = False
    status = 0
    keeps_open = False
    _surplus = False
    _is_doubtful = False
    _doubtful: bytes | None = None  # what came of a head that is to be put in order

    def __init__(self) -> None:
        self.bytes = 0
        self._came: list[bytes] = []
        self._begin()

    def _begin(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []

    def feed(self, data: bytes, *, at_end: bool) -> None:
        """Read on.

        Raises:
            OSError: it is cut short, or no HTTP.
        """
        self.bytes += len(data)
        self._came.append(data)
        try:
            if data:
                self._feed(data)
        except httptools.HttpParserError:
            self.keeps_open = False
            if not self.complete:
                self._read_again()
        if not self.complete:
            if at_end:
                self._end()
        elif self.status < _INTERIM.start:
            raise OSError(_NOT_HTTP)

    def _feed(self, data: bytes) -> None:
        if self._doubtful is not None:
            data = self._in_order(self._doubtful + data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keeps_open = False

    def _read_again(self) -> None:
        """Read all that came as leniently as it can be meant; what cannot is no HTTP."""
        if self._is_doubtful:
            raise OSError(_NOT_HTTP)
        self._begin()
        self.status, self._is_doubtful, self._doubtful = 0, True, b""
        self._parser.set_dangerous_leniencies(**dict.fromkeys(_LENIENCIES, True))
        try:
            self._feed(b"".join(self._came))
        except httptools.HttpParserError:
            if not self.complete:
                raise OSError(_NOT_HTTP) from None

    def _in_order(self, came: bytes) -> bytes:
        """Feed heads, put in order, until one is not followed by another; return what is the body's."""
        while not self.status:
            if (end := _HEAD_END.search(came)) is None:
                self._doubtful = came
                return b""
            self._parser.feed_data(_tidied(came[: end.start()].lstrip()))
            came = came[end.end() :]
        self._doubtful = None
        return came

    def _end(self) -> None:
        """Take the connection's end for the answer's, where it can be."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            with contextlib.suppress(httptools.HttpParserError):
                self._parser.feed_data(b"\r\n")  # the empty last chunk is there: only the line after it is missing
        elif not self.status or {"content-length", "transfer-encoding"} & self.headers.keys():
            raise OSError(_CUT_SHORT)
        else:
            self.complete = True
        self.keeps_open = False
        if not self.complete:
            raise OSError(_CUT_SHORT)

    def on_message_begin(self) -> None:
        """Another answer after the one that was asked for ends the connection."""
        self._surplus = self.complete
        self.keeps_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        if not self._surplus:
            known, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[known] = f"{self.headers[known]}, {text}" if known in self.headers else text

    def on_headers_complete(self) -> None:
        """Keep the status."""
        if not self._surplus:
            self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if not self._surplus:
            self.body.append(body)

    def on_message_complete(self) -> None:
        """See the end; what only says that an answer will come is not the answer."""
        if self.status in _INTERIM and self.status != _SWITCHING and not self.complete:
            self.status, self.headers = 0, {}
        elif not self._surplus:
            self.complete = True
            self.keeps_open = not self._is_doubtful and self._parser.should_keep_alive()


def _tidied(head: bytes) -> bytes:
    """Return a head that says once how long the body is: in chunks, in bytes, or to the connection's end.

    Lines that are no headers are left out. Of a length and chunks, chunks are meant (RFC 9112, 6.3).

    Raises:
        OSError: it gives two lengths.
    """
    first, *lines = _LINE_END.split(_FOLD.sub(b" ", head))
    named = [(name.strip(), value.strip()) for name, colon, value in (line.partition(b":") for line in lines) if colon]
    fields = [(name, value) for name, value in named if _NAME.fullmatch(name)]
    lengths = {one.strip() for name, value in fields if name.lower() == _LENGTH for one in value.split(b",")}
    codings = [one.strip() for name, value in fields if name.lower() == _CODING for one in value.lower().split(b",")]
    codings = [one for one in codings if one != b"identity"]
    if len(lengths) > 1:
        raise OSError(_NOT_HTTP)
    kept = [(name, value) for name, value in fields if name.lower() not in (_LENGTH, _CODING)]
    if codings:
        kept.append((_CODING, b", ".join(codings)))
    elif lengths:
        kept.append((_LENGTH, lengths.pop()))
    return b"\r\n".join([first, *(b"%b: %b" % field for field in kept), b"", b""])
