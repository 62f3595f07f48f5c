"""All that an environment holds, as one JSON document: to save it, and to restore it there or elsewhere."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from bucket_loader.emulator.faults.order import Order
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.journal import Entry
from bucket_loader.emulator.store.requests_log import SavedLog
from bucket_loader.emulator.store.wire import Mistakes
from bucket_loader.model import UsageError, json_mistake


class SavedCall(Struct, forbid_unknown_fields=True):
    """One accepted call, as the journal holds it."""

    request: Annotated[int, Meta(ge=1, le=10**15)]
    at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    type: Annotated[str, Meta(extra_json_schema={"enum": list(wire.TYPES)})]
    body: msgspec.Raw


class Settings(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What a snapshot holds beside the calls; it is small."""

    version: Literal[1]
    features: dict[str, Any] = field(default_factory=lambda: {"features": []})
    overrides: dict[str, dict[str, Any]] = {}
    faults: Order = field(default_factory=Order)
    log: SavedLog = field(default_factory=SavedLog)


class Snapshot(Settings, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The whole of it; what is left out is empty."""

    calls: list[SavedCall] = []

    @classmethod
    def read(cls, body: bytes) -> "Snapshot":
        """Read a snapshot; its definitions are not looked at yet.

        Raises:
            UsageError: it is malformed, or a call in it is none that would be accepted.
        """
        try:
            snapshot = msgspec.json.decode(body, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(json_mistake(error)) from error
        if wire.is_deep(msgspec.json.encode(snapshot.features)):
            raise _malformed("features: nested too deeply")
        for place, call in enumerate(snapshot.calls):
            _check(call, f"calls[{place}]")
        return snapshot

    def entries(self) -> Iterator[Entry]:
        """Yield the calls, as the journal holds them."""
        for call in self.calls:
            yield Entry(call.request, wire.milliseconds(call.at) or 0, call.type, bytes(call.body))


def _check(call: SavedCall, place: str) -> None:
    if call.type not in wire.TYPES:
        raise _malformed(f"{place}.type: must be one of {', '.join(wire.TYPES)}")
    if wire.milliseconds(call.at) is None:
        raise _malformed(f"{place}.at: must be an ISO-8601 date-time with its offset")
    items = wire.TYPES[call.type](bytes(call.body))
    if isinstance(items, Mistakes):
        raise _malformed(f"{place}.body: {items.messages[0]}")


def _malformed(message: str) -> UsageError:
    return UsageError(f"malformed snapshot: {message}", hint="write it as GET /_emulator/snapshot gives it")
