"""What the endpoints of the API do.

Source: S1 (paths, answers), OA15 and S0 (keys), S0, S2 and S4 (the content type), BROW and TRK (feedbackId).
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from bucket_loader.emulator import wire
from bucket_loader.emulator.answers import JSON_TYPE, OK, Answer, raw_success, refusal, success
from bucket_loader.emulator.calls import Call
from bucket_loader.emulator.emulator import Emulator
from bucket_loader.emulator.wire import Item, Mistakes

NOT_JSON_TYPE: Final = refusal(400, "BODY_VALIDATION_FAILED", "The Content-Type header must be application/json")


@dataclass(frozen=True)
class Write:
    """POST: take records.

    Attributes:
        type: the type of the records, or `bulk` when each names its own.
    """

    is_write: ClassVar[bool] = True

    type: str

    def perform(self, emulator: Emulator, call: Call) -> Answer:
        """Take all records of a call, or none."""
        items = self._read(emulator, call)
        if isinstance(items, Answer):
            return items
        feedback_id = emulator.accept(call.number, self.type, call.body, items)
        return success(feedbackId=feedback_id) if self.type == "feedback" else OK

    def perform_part(self, emulator: Emulator, call: Call) -> None:
        """Take the first half of the records, rounded down; of a call that is refused, nothing."""
        items = self._read(emulator, call)
        if isinstance(items, Answer) or len(items) < 2:  # noqa: PLR2004  # one has no half
            return
        half = len(items) // 2
        body = b"[" + b",".join(wire.split(call.body)[:half]) + b"]"
        emulator.accept(call.number, self.type, body, items[:half])

    def _read(self, emulator: Emulator, call: Call) -> list[Item] | Answer:
        refused = emulator.keys.refuse(call.authorization, call.query, secret_only=False)
        if refused is not None:
            return refused
        if call.content_type != JSON_TYPE and not _is_json(call.content_type):
            return NOT_JSON_TYPE
        items = wire.TYPES[self.type](call.body)
        if isinstance(items, Mistakes):
            return refusal(400, "BODY_VALIDATION_FAILED", "Body validation failed", mistakes=items.messages)
        return items


class ListFeatures:
    """GET /features: the definitions, for the secret key alone."""

    is_write: ClassVar[bool] = False

    def perform(self, emulator: Emulator, call: Call) -> Answer:
        """Give the definitions; `waitForVersion` is not waited for."""
        refused = emulator.keys.refuse(call.authorization, call.query, secret_only=True)
        return refused or raw_success(emulator.features_body)

    def perform_part(self, emulator: Emulator, call: Call) -> None:
        """Do nothing: a reading has no half."""


@dataclass(frozen=True)
class Refuse:
    """What is not there: always the same answer."""

    is_write: ClassVar[bool] = False

    answer: Answer

    def perform(self, emulator: Emulator, call: Call) -> Answer:  # noqa: ARG002  # the same for all
        """Refuse."""
        return self.answer

    def perform_part(self, emulator: Emulator, call: Call) -> None:
        """Do nothing."""


def _is_json(content_type: bytes) -> bool:
    """Accept parameters (NET sends a charset) and any case."""
    return content_type.partition(b";")[0].strip().lower() == JSON_TYPE
