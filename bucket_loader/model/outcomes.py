"""What one attempt to deliver a chunk came to: the API's answer, judged."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """What the API made of one attempt; decided in `delivery/http/client.py`, nowhere else.

    delivered: 200 to our own POST, whole body written, a JSON object whose `success` is true.
    not_sent: nothing reached the API; a retry is free.
    rejected: 400 or 422 with a JSON object, or 200 with `success: false`.
    refused_key: 401 or 403 with a JSON object; 400 or 422 with the code of a refused key.
    blocked: 401 or 403 with a page, or another 4xx: of a firewall on the way, or of a host that is not Bucket.
    too_big: 413 with a JSON object.
    throttled: 429, or 503 with Retry-After.
    server_error: 408 and every other 5xx, documented to mean that a retry may duplicate; 400, 413 or 422 with a page.
    unknown: the request was sent, and its answer never came, or cannot be read.
    replaced: 412 of an emulator that this was not meant for: the one that was is gone, and nothing is applied.
    misrouted: a redirect, TLS, or 200 with an answer that is not Bucket's.
    """

    DELIVERED = "delivered"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    REFUSED_KEY = "refused_key"
    BLOCKED = "blocked"
    TOO_BIG = "too_big"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    UNKNOWN = "unknown"
    REPLACED = "replaced"
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
        hint: what to do about it, where that is known.
        emulator: which emulator has answered; None for the real API, and for what is not on this machine.
        nobody_listens: whether the connection was refused.
    """

    verdict: Verdict
    status: int | None = None
    message: str = ""
    details: dict[str, Any] | None = None
    retry_after_s: float | None = None
    hint: str = ""
    emulator: str | None = field(default=None, compare=False)
    nobody_listens: bool = False

    @property
    def asked_s(self) -> float | None:
        """How long is waited because the server asked for it, in seconds; None when it did not."""
        return None if self.retry_after_s is None else min(self.retry_after_s, ASKED_S_MAX)

    @property
    def ambiguous(self) -> bool:
        """Whether the API may have applied the chunk all the same: sending it again may duplicate."""
        if self.verdict is Verdict.MISROUTED:  # who answered may have passed it on; no answer came before it was sent
            return self.status is not None
        lost = self.verdict in {Verdict.SERVER_ERROR, Verdict.UNKNOWN}
        return lost or (self.status is not None and self.status >= HTTP_SERVER_ERROR)
