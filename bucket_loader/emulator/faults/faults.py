"""What can be ordered to go wrong, one tiny class each.

Every fault takes `on` (which calls it is for), `rate` (the share of them that it strikes) and `times` (how often it
strikes at most). A new one is a class here and a line in `AnyFault`.
"""

import asyncio
import math
from typing import Annotated, ClassVar, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from bucket_loader.emulator.answers import VARIES, Answer, refusal
from bucket_loader.emulator.faults.meeting import Call, Drop, Meeting
from bucket_loader.emulator.store import wire
from bucket_loader.model import ERROR_CODES

Seconds: TypeAlias = Annotated[float, Meta(ge=0)]
Status: TypeAlias = Annotated[int, Meta(ge=200, le=599)]
CallsNamed: TypeAlias = Annotated[str, Meta(pattern=r"^([A-Z]+ )?/[^ ]*\Z")]  # `GET /features`, or only the path
HeaderText: TypeAlias = Annotated[str, Meta(pattern=r"^[\x20-\x7e]*\Z")]

_KEY_IN_PATH: Final = "/{key}"  # of the legacy API, whose paths may be named without
_BODILESS: Final = (204, 205, 304)
_CODES: Final[dict[int, ERROR_CODES]] = {
    400: "BODY_VALIDATION_FAILED",
    401: "INVALID_API_KEY",
    403: "INVALID_API_KEY",
}


class Fault(Struct, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """What all faults have in common."""

    rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    times: Annotated[int, Meta(ge=0)] | None = None
    on: CallsNamed | None = None

    default_paths: ClassVar[frozenset[str] | None] = None  # whatever brings records

    def is_for(self, call: Call) -> bool:
        """Whether this is one of the calls that it may strike; the others draw no chance."""
        paths = {call.path, call.path.removeprefix(_KEY_IN_PATH)}
        if self.on is not None:
            method, _, path = self.on.rpartition(" ")
            return method in {"", call.method} and path in paths
        return call.is_write if self.default_paths is None else not paths.isdisjoint(self.default_paths)

    def strikes(self, meeting: Meeting) -> bool:  # noqa: ARG002  # most do not look
        """Whether this call is one it is for; the rate has been drawn already."""
        return True

    async def meet(self, meeting: Meeting) -> bool:
        """Do the harm, and say whether that ended the call."""
        raise NotImplementedError


def _code(status: int) -> ERROR_CODES:
    return _CODES.get(status, "UNKNOWN_ERROR")


class StatusFault(Fault, tag="status"):
    """Answers with a status, applies nothing."""

    status: Status
    retry_after: int | float | HeaderText | None = None

    async def meet(self, meeting: Meeting) -> bool:
        """Answer in the API's envelope."""
        headers = () if self.retry_after is None else ((b"retry-after", str(self.retry_after).encode()),)
        answer = refusal(self.status, _code(self.status), f"Fault: status {self.status}", headers=headers)
        await meeting.call.reply(msgspec.structs.replace(answer, body=b"") if self.status in _BODILESS else answer)
        return True


class LatencyFault(Fault, tag="latency"):
    """Waits before anything else happens; the call goes on."""

    seconds: Seconds

    async def meet(self, meeting: Meeting) -> bool:  # noqa: ARG002  # every call waits
        """Wait."""
        await asyncio.sleep(self.seconds)
        return False


class CutBeforeFault(Fault, tag="cut_before"):
    """Closes the connection without an answer, applies nothing."""

    async def meet(self, meeting: Meeting) -> bool:
        """Cut."""
        await meeting.call.cut()
        return True


class CutAfterFault(Fault, tag="cut_after"):
    """Applies the call, then closes the connection without an answer."""

    async def meet(self, meeting: Meeting) -> bool:
        """Apply, then cut."""
        meeting.call.apply()
        await meeting.call.cut()
        return True


class TruncatedFault(Fault, tag="truncated"):
    """Applies the call, and closes the connection in the middle of the answer."""

    async def meet(self, meeting: Meeting) -> bool:
        """Apply, and send half of the Content-Length."""
        await meeting.call.reply_broken(meeting.call.apply())
        return True


class EndlessFault(Fault, tag="endless"):
    """Applies the call, and sends an answer that never ends."""

    seconds: Seconds = 0.01  # between pieces of 64 KiB

    async def meet(self, meeting: Meeting) -> bool:
        """Apply, and send until the caller has enough."""
        answer = meeting.call.apply()
        begun = msgspec.structs.replace(answer, body=answer.body[:-1] + b',"filler":"')
        await meeting.call.reply_forever(begun, b"x" * 65_536, self.seconds)
        return True


class DrippingFault(Fault, tag="dripping"):
    """Applies the call, and sends the answer one byte at a time, `seconds` apart."""

    seconds: Seconds = 1.0

    async def meet(self, meeting: Meeting) -> bool:
        """Apply, and drip."""
        await meeting.call.reply_slowly(meeting.call.apply(), self.seconds)
        return True


class SuccessFalseFault(Fault, tag="success_false"):
    """Answers 200 with `"success": false`, applies nothing."""

    status: Status = 200

    async def meet(self, meeting: Meeting) -> bool:
        """Answer."""
        await meeting.call.reply(refusal(self.status, "UNKNOWN_ERROR", "Fault: success_false"))
        return True


class HtmlFault(Fault, tag="html"):
    """Answers with a web page, as a proxy or a login wall does; applies nothing."""

    status: Status = 200

    async def meet(self, meeting: Meeting) -> bool:
        """Answer."""
        page = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>Sign in</h1></body></html>"
        await meeting.call.reply(
            Answer(self.status, page, ((b"content-type", b"text/html; charset=utf-8"), VARIES), "Fault: html")
        )
        return True


class RedirectFault(Fault, tag="redirect"):
    """Sends the caller elsewhere, applies nothing."""

    to: HeaderText
    status: Annotated[int, Meta(ge=300, le=399)] = 307

    async def meet(self, meeting: Meeting) -> bool:
        """Answer."""
        await meeting.call.reply(Answer(self.status, b"", ((b"location", self.to.encode()), VARIES), "Fault: redirect"))
        return True


class Partial400Fault(Fault, tag="partial_400"):
    """Applies the first half of the items, rounded down, then answers 400 without naming any."""

    async def meet(self, meeting: Meeting) -> bool:
        """Apply a half, and refuse."""
        meeting.call.apply_part()
        await meeting.call.reply(refusal(400, "BODY_VALIDATION_FAILED", "Fault: partial_400"))
        return True


class RateLimitFault(Fault, tag="rate_limit"):
    """Answers 429 to what exceeds a rate, in records; a call larger than the burst passes on a full bucket.

    A call that brings no records counts as one.
    """

    records_per_second: Annotated[float, Meta(gt=0)]
    burst: Annotated[float, Meta(gt=0)] | None = None  # records; a second's worth by default
    status: Status = 429

    def strikes(self, meeting: Meeting) -> bool:
        """Take the records from the bucket, or find it too empty."""
        memory, call = meeting.memory, meeting.call
        records = wire.count(call.body) if call.is_write else 1
        burst = self.records_per_second if self.burst is None else self.burst
        now_s = memory.clock()
        had = burst if memory.tokens is None else memory.tokens
        memory.tokens = min(burst, had + (now_s - memory.refilled_s) * self.records_per_second)
        memory.refilled_s = now_s
        memory.wait_s = (min(records, burst) - memory.tokens) / self.records_per_second
        if memory.wait_s <= 0:
            memory.tokens -= records
        return memory.wait_s > 0

    async def meet(self, meeting: Meeting) -> bool:
        """Answer, with the whole seconds until the call would pass."""
        header = (b"retry-after", b"%d" % math.ceil(meeting.memory.wait_s))
        await meeting.call.reply(refusal(self.status, "UNKNOWN_ERROR", "Fault: rate_limit", headers=(header,)))
        return True


class OutageFault(Fault, tag="outage"):
    """Closes every connection without an answer, from one moment to another after the order."""

    to_s: Seconds
    from_s: Seconds = 0.0

    def strikes(self, meeting: Meeting) -> bool:
        """Look at the clock."""
        return self.from_s <= meeting.memory.age_s < self.to_s

    async def meet(self, meeting: Meeting) -> bool:
        """Cut."""
        await meeting.call.cut()
        return True


class PoisonFault(Fault, tag="poison"):
    """Answers 500 to any body that contains a text, every time."""

    match: Annotated[str, Meta(min_length=1)]
    status: Status = 500

    def strikes(self, meeting: Meeting) -> bool:
        """Look for the text."""
        return self.match.encode() in meeting.call.body

    async def meet(self, meeting: Meeting) -> bool:
        """Answer."""
        await meeting.call.reply(refusal(self.status, _code(self.status), "Fault: poison"))
        return True


class StaleVersionFault(Fault, tag="stale_version"):
    """Answers a reading as before the last change of the definitions, at once; the call goes on."""

    default_paths = frozenset({"/features", "/features/enabled", "/features/evaluated", "/flags/evaluate"})

    async def meet(self, meeting: Meeting) -> bool:
        """Let the call see the earlier definitions."""
        meeting.call.is_stale = True
        return False


class DroppedStreamFault(Fault, tag="dropped_stream"):
    """Cuts a push stream after so many seconds or messages; without either, after the first message."""

    default_paths = frozenset({"/sse/server", "/sse/client"})

    seconds: Seconds | None = None
    messages: Annotated[int, Meta(ge=1)] | None = None

    @property
    def when(self) -> Drop:
        """When a stream is cut."""
        return Drop(self.seconds, 1 if self.seconds is None and self.messages is None else self.messages)

    async def meet(self, meeting: Meeting) -> bool:
        """Say when to cut; the call goes on."""
        meeting.call.drop(self.when)
        return False


AnyFault: TypeAlias = (
    StatusFault
    | LatencyFault
    | CutBeforeFault
    | CutAfterFault
    | TruncatedFault
    | EndlessFault
    | DrippingFault
    | SuccessFalseFault
    | HtmlFault
    | RedirectFault
    | Partial400Fault
    | RateLimitFault
    | OutageFault
    | PoisonFault
    | StaleVersionFault
    | DroppedStreamFault
)
