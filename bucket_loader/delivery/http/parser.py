"""An answer as it comes, read by httptools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httptools

_CONTINUE: Final = 100


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

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.complete = False
        self.status = 0
        self.keeps_open = False
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.bytes = 0
        self._surplus = False

    def feed(self, data: bytes, *, at_end: bool) -> None:
        """Read on.

        Raises:
            OSError: it is cut short, or no HTTP.
        """
        self.bytes += len(data)
        try:
            if data:
                self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.keeps_open = False
        except httptools.HttpParserError:
            self.keeps_open = False
            if not self.complete:
                raise OSError("the answer is not HTTP") from None
        if at_end and not self.complete:
            if not self.status or {"content-length", "transfer-encoding"} & self.headers.keys():
                raise OSError("the answer is cut short")
            self.complete, self.keeps_open = True, False

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
        """See the end; what only says that the body may come is not the answer."""
        if self.status == _CONTINUE and not self.complete:
            self.status, self.headers = 0, {}
        elif not self._surplus:
            self.complete, self.keeps_open = True, self._parser.should_keep_alive()
