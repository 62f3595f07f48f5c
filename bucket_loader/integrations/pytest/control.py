"""The control API of an emulator, over HTTP and the standard library."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Final

_ANSWER_S_MAX: Final = 10  # beside what a call is asked to wait
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the variables name


class Control:
    """Calls what is below one address.

    Attributes:
        url: the address.
    """

    def __init__(self, url: str) -> None:
        self.url: Final = url

    def call(self, method: str, path: str, document: object = None, *, wait_s: float = 0) -> bytes:
        """Return the body of the answer.

        Raises:
            LookupError: there is no such thing (404).
            ValueError: the emulator refuses the call, and says why.
            OSError: it does not answer.
        """
        __tracebackhide__ = True
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self.url + path, body, headers, method=method)  # noqa: S310  # http
            with _OPENER.open(request, timeout=_ANSWER_S_MAX + wait_s) as answer:
                found: bytes = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                message = _reason(error.read())
            kind = LookupError if error.code == 404 else ValueError  # noqa: PLR2004
            raise kind(message) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise OSError(f"no emulator answers at {self.url}: {getattr(error, 'reason', error)}") from None
        return found

    def read(self, path: str, *, wait_s: float = 0) -> Any:  # noqa: ANN401  # JSON
        """Return the document at a path."""
        return json.loads(self.call("GET", path, wait_s=wait_s))

    def lines(self, path: str, *, wait_s: float = 0) -> list[Any]:
        """Return the documents at a path, one a line."""
        return [json.loads(line) for line in self.call("GET", path, wait_s=wait_s).split(b"\n") if line]


def _reason(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
    return "; ".join([error["message"], *(one["message"] for one in error["validationErrors"])])
