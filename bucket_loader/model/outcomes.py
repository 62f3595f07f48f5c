"""What one attempt to deliver a chunk came to: the API's answer, judged."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """What the API made of one attempt; decided in `delivery/http/client.py`, nowhere else.

    delivered: 200 to our own POST, whole body written, a JSON object whose `success` is true.
    not_sent: nothing reached the API; a retry is free.
    rejected: 400, 422 (405, 409, 415 once something was delivered), or 200 with `success: false`.
    refused_key: 401, 403; 400 or 422 with the code of a refused key.
    too_big: 413.
    throttled: 429, or 503 with Retry-After.
    server_error: 408 and every other 5xx; documented to mean that a retry may duplicate.
    unknown: the request was sent, and its answer never came, or cannot be read.
    misrouted: a redirect, TLS, or an answer that is not Bucket's; after the first delivery such an answer is unknown.
    """

    DELIVERED = "delivered"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    REFUSED_KEY = "refused_key"
    TOO_BIG = "too_big"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNKNOWN = "unknown"
    MISROUTED = "misrouted"


HTTP_SERVER_ERROR: Final = 500
ASKED_S_MAX: Final = 300.0  # of a wait that the API asks for; then it is tried all the same


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to.

    Attributes:
        verdict: its class.
        status: the HTTP status, None when no answer came.
        message: for a person; scrubbed, and capped in length.
        details: the server's own words on a rejection, as they came.
        retry_after_s: seconds that the server named, None when it named none.
    """

    verdict: Verdict
    status: int | None = None
    message: str = ""
    details: dict[str, Any] | None = None
    retry_after_s: float | None = None

    @property
    def asked_s(self) -> float | None:
        """How long is waited because the server asked for it, in seconds; None when it did not."""
        return None if self.retry_after_s is None else min(self.retry_after_s, ASKED_S_MAX)

    @property
    def ambiguous(self) -> bool:
        """Whether the API may have applied the chunk all the same: sending it again may duplicate."""
        lost = self.verdict in {Verdict.SERVER_ERROR, Verdict.UNKNOWN}
        return lost or (self.status is not None and self.status >= HTTP_SERVER_ERROR)
