"""What the API answers: one shape for success, one for every refusal.

Source: S1 (`{"success":true}`), OA1..15 (the error envelope, and its codes).
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.types import Send

from bucket_loader.model import ERROR_CODES

JSON_TYPE: Final = b"application/json"

# An answer to a page of one origin is none to a page of another: whoever keeps answers has to know.
VARIES: Final = (b"vary", b"origin")


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer.

    Attributes:
        status: the HTTP status.
        body: the bytes of the body.
        headers: beside content-length, lower case.
        error: why the call was refused, for the log of requests; None when it succeeded.
        mistakes: the first of what was wrong with it, for the same log.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    error: str | None = None
    mistakes: tuple[str, ...] = ()

    async def send(self, send: Send, signed: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Write this answer, whole, with headers that say whose it is."""
        length = (b"content-length", b"%d" % len(self.body))
        await send({"type": "http.response.start", "status": self.status, "headers": [length, *self.headers, *signed]})
        await send({"type": "http.response.body", "body": self.body})


_MISTAKES_NOTED: Final = 5
_JSON_HEADERS: Final = ((b"content-type", JSON_TYPE), VARIES)

OK: Final = Answer(200, b'{"success":true}', _JSON_HEADERS)


def success(**members: str | int | None) -> Answer:
    """Answer 200 with members beside `success`."""
    return Answer(200, msgspec.json.encode({"success": True, **members}), _JSON_HEADERS)


def raw_success(body: bytes) -> Answer:
    """Answer 200 with a JSON body that is already encoded."""
    return Answer(200, body, _JSON_HEADERS)


def refusal(
    status: int,
    code: ERROR_CODES,
    message: str,
    *,
    mistakes: Sequence[str] = (),
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:
    """Answer with the error envelope; `mistakes` become its validationErrors."""
    error = {"code": code, "message": message, "validationErrors": [{"message": mistake} for mistake in mistakes]}
    body = msgspec.json.encode({"success": False, "error": error})
    noted = tuple(mistakes[:_MISTAKES_NOTED])
    return Answer(status, body, (*_JSON_HEADERS, *headers), "; ".join([message, *noted]), noted)
