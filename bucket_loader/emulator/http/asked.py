"""What the calls of the control API ask, read and refused, and how they are answered."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bucket_loader.emulator.answers import Answer, refusal
from bucket_loader.emulator.http.calls import BODY_BYTES_MAX, DISCARDED_BYTES_MAX
from bucket_loader.emulator.store import wire
from bucket_loader.model import UsageError

LIMIT_MAX: Final = 500
WAIT_S_MAX: Final = 60
TIME: Final = r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(s|ms)"
_TIME: Final = re.compile(TIME, re.ASCII)
_DIGITS_MAX: Final = 15
_T = TypeVar("_T")


class RefusedError(Exception):
    """The call is not one that can be answered."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


def wrong_query(message: str) -> RefusedError:
    """Return the refusal of a query."""
    return RefusedError(refusal(400, "QUERY_VALIDATION_FAILED", message))


def wrong_body(message: str, *mistakes: str) -> RefusedError:
    """Return the refusal of a body."""
    return RefusedError(refusal(400, "BODY_VALIDATION_FAILED", message, mistakes=mistakes))


@contextmanager
def well_formed(what: str) -> Iterator[None]:
    """Refuse a body that turns out to be none of what it should be, with what to do about it."""
    try:
        yield
    except UsageError as error:
        raise wrong_body(f"Malformed {what}: {error.hint}", error.message) from error


def number(request: Request, name: str, default: int, *, least: int = 0, most: int = 10**15 - 1) -> int:
    """Return a number of the query."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX and least <= int(text) <= most):
        raise wrong_query(f"{name}: must be a number from {least} to {most}")
    return int(text)


def digits(text: str) -> int:
    """Return a number of the path; 0, which no call has, where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX else 0


def is_true(request: Request, name: str) -> bool:
    """Return a yes or no of the query; no when it is not there."""
    text = request.query_params.get(name, "false")
    if text not in {"true", "false"}:
        raise wrong_query(f"{name}: must be true or false")
    return text == "true"


def text(request: Request, name: str) -> str:
    """Return a text of the query; it has to be there."""
    text = request.query_params.get(name, "")
    if not text:
        raise wrong_query(f"{name}: must be a text")
    return text


def one_of(request: Request, name: str, choices: Sequence[str]) -> str | None:
    """Return a word of the query; None when it is not there."""
    word = request.query_params.get(name)
    if word is not None and word not in choices:
        raise wrong_query(f"{name}: must be {', '.join(choices[:-1])} or {choices[-1]}")
    return word


def seconds(request: Request, name: str, *, most: int) -> float:
    """Return a time of the query, `2s` or `500ms`; 0 when it is not there."""
    time = _TIME.fullmatch(request.query_params.get(name, "0s"))
    found = most + 1 if time is None else float(time[1]) / (1 if time[2] == "s" else 1_000)
    if found > most:
        raise wrong_query(f"{name}: must be a time such as 2s or 500ms, at most {most}s")
    return found


def known(one: _T | None, what: str) -> _T:
    """Return what was found, or refuse the call when nothing was."""
    if one is None:
        raise RefusedError(refusal(404, "UNKNOWN_ERROR", f"There is no such {what}"))
    return one


async def body(request: Request) -> bytes:
    """Read the whole body, within the limits of the API."""
    body = await _read(request, BODY_BYTES_MAX)
    if wire.is_deep(body):
        raise HTTPException(400, "The body is nested too deeply")
    return body


async def large_body(request: Request) -> bytes:
    """Read the whole body of a call that may bring much more than those of the API."""
    return await _read(request, DISCARDED_BYTES_MAX)


async def _read(request: Request, most: int) -> bytes:
    body, taken = bytearray(), 0
    try:
        async for piece in request.stream():
            taken += len(piece)
            if len(body) <= most:
                body += piece
            if taken > DISCARDED_BYTES_MAX:
                break
    except ClientDisconnect:  # nobody hears the answer
        raise HTTPException(400, "The body ends before it is whole") from None
    if len(body) > most:
        raise HTTPException(413, f"The body is larger than {most} bytes")
    return bytes(body)


def as_json(document: msgspec.Struct | dict[str, int]) -> Response:
    """Answer with a document."""
    return Response(msgspec.json.encode(document), media_type="application/json")


def sent(answer: Answer) -> Response:
    """Answer as the API answers."""
    return Response(answer.body, answer.status, media_type="application/json")


async def refuse(_: Request, error: Exception) -> Response:
    """Answer a call that failed, in the envelope of the API."""
    if isinstance(error, RefusedError):
        return sent(error.answer)
    assert isinstance(error, HTTPException)  # noqa: S101  # narrows the type
    response = sent(refusal(error.status_code, "UNKNOWN_ERROR", error.detail))
    response.headers.update(error.headers or {})
    return response
