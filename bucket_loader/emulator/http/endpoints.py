"""What the endpoints of the API do.

Source: S1 (paths, answers), OA15 and S0 (keys), S0, S2 and S4 (the content type), BROW and TRK (feedbackId).
"""

import re
import time
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, parse_qsl

import msgspec

from bucket_loader.emulator.answers import JSON_TYPE, OK, Answer, raw_success, refusal, success
from bucket_loader.emulator.evaluation import contexts, evaluated
from bucket_loader.emulator.http import auth
from bucket_loader.emulator.http.calls import Call, Endpoint
from bucket_loader.emulator.store import opt_ins, strict, wire
from bucket_loader.emulator.store.effects import OptIn
from bucket_loader.emulator.store.wire import Item, Mistakes, Reader
from bucket_loader.model import ERROR_CODES, FeatureKey, json_mistake

# The clients give up after 5 (BROW) and 10 (NODE) seconds, and take what they get before that for what there is.
WAIT_S_MAX: Final = 4.0
_WAITING: Final = b"waitForVersion"
_NUMBER: Final = re.compile(r"[0-9]{1,16}", re.ASCII)
NOT_JSON_TYPE: Final = refusal(400, "BODY_VALIDATION_FAILED", "The Content-Type header must be application/json")


@dataclass(frozen=True)
class Write(Endpoint):
    """POST: take records.

    Attributes:
        type_name: the type of the records, or `bulk` when each names its own.
        answer_id: the member of the answer that names the record; None where there is none.
    """

    is_write: ClassVar[bool] = True

    type_name: str
    answer_id: str | None = None

    def perform(self, call: Call) -> Answer:
        """Take all records of a call, or none."""
        items = self._read(call)
        if isinstance(items, Answer):
            return items
        given_id = call.environment.accept(call.number, self.type_name, call.body, items)
        call.records = len(items)
        return OK if self.answer_id is None else success(**{self.answer_id: given_id})

    def perform_part(self, call: Call) -> None:
        """Take the first half of the records, rounded down; of a call that is refused, nothing."""
        items = self._read(call)
        if isinstance(items, Answer) or len(items) < 2:  # noqa: PLR2004  # one has no half
            return
        half = len(items) // 2
        body = b"[" + b",".join(wire.split(call.body)[:half]) + b"]"
        call.environment.accept(call.number, self.type_name, body, items[:half])
        call.records = half

    def _read(self, call: Call) -> list[Item] | Answer:
        items = _refuse_write(call) or _items(call, wire.TYPES[self.type_name])
        if isinstance(items, Answer):
            return items
        objections = call.environment.objections(call.body, items)
        return _strictly("BODY_VALIDATION_FAILED", objections) if objections else items


class Read(Endpoint):
    """GET: what comes of the definitions; first waits for the version of them that it is asked for."""

    secret_only: ClassVar[bool] = False

    async def answer(self, call: Call) -> None:
        """Wait, unless there is nothing to wait for; then answer with what there is."""
        if _WAITING in call.query and not (call.is_stale or auth.refuse(call.rank, secret_only=self.secret_only)):
            asked = parse_qs(call.query.decode("latin-1")).get(_WAITING.decode(), [""])[-1]
            if _NUMBER.fullmatch(asked):
                await call.environment.versions.reach(int(asked), WAIT_S_MAX)
        await super().answer(call)


class ListFeatures(Read):
    """GET /features: the definitions, for the secret key alone."""

    secret_only: ClassVar[bool] = True

    def perform(self, call: Call) -> Answer:
        """Return the definitions."""
        return auth.refuse(call.rank, secret_only=self.secret_only) or raw_success(call.defined.body)


@dataclass(frozen=True)
class Evaluate(Read):
    """GET: the features, held against the context in the query.

    Attributes:
        only_enabled: whether the others are left out.
    """

    only_enabled: bool

    def perform(self, call: Call) -> Answer:
        """Evaluate every feature, or the one that is asked for, with what is stored under what is sent."""
        refused = auth.refuse(call.rank, secret_only=False)
        if refused is not None:
            return refused
        store, edition = call.environment.store, call.environment.edition
        try:
            query = parse_qsl(call.query.decode(), keep_blank_values=True, errors="strict")
            key = msgspec.convert(dict(query).get("key"), FeatureKey | None)
            sent = contexts.read(query, edition)
        except (UnicodeDecodeError, msgspec.ValidationError, contexts.WrongContextError) as error:
            return refusal(400, "QUERY_VALIDATION_FAILED", "Query validation failed", mistakes=[_wrong_query(error)])
        if call.environment.is_strict and (objections := strict.context_objections(query)):
            return _strictly("QUERY_VALIDATION_FAILED", objections)
        definitions = call.defined.definitions
        stored = evaluated.remembered(store, sent, edition)
        now_ms = time.time() * 1000
        entries = [
            evaluated.entry(feature, {**stored, **sent}, now_ms, edition, store.opt_ins)
            for feature in definitions.features
            if key in {None, feature.key}
        ]
        shown = {one["key"]: one for one in entries if one["isEnabled"] or not self.only_enabled}
        answer: dict[str, Any] = {
            "success": True,
            "features": shown,
            "remoteContextUsed": bool(stored),
            "flagStateVersion": definitions.flag_state_version,
        }
        if call.path_key is not None:  # S2; TRK and BROW 0.0.1 read nothing else
            answer["flags"] = {
                key: {name: one[name] for name in ("key", "value", "version")} for key, one in shown.items()
            }
        return raw_success(msgspec.json.encode(answer))


class OptIntoFlag(Endpoint):
    """POST: a user or a company opts into a feature that is defined to allow it, or no longer does."""

    is_write: ClassVar[bool] = True

    def perform(self, call: Call) -> Answer:
        """Keep it; the answer names the version of the definitions that shows it."""
        items = _refuse_write(call) or _items(call, wire.TYPES[opt_ins.TYPE])
        if isinstance(items, Answer):
            return items
        [item] = items
        assert isinstance(item, OptIn)  # noqa: S101  # narrows the type
        feature = next((one for one in call.environment.definitions.features if one.key == item.key), None)
        if feature is None:
            return refusal(404, "FEATURE_NOT_FOUND", "There is no such feature")
        if feature.opt_in_enabled is not True:
            return _wrong_body("key: must be a feature with optInEnabled")
        if item.who is None:
            return _wrong_body(f"context.{item.scope}: must be an object with the id of who opts in")
        call.environment.opt_in(call.number, call.body, items)
        return success(flagStateVersion=call.environment.versions.current)


class Forget(Endpoint):
    """POST: what only SDKs send, about surveys; taken, and nothing comes of it. Source: BROW, TRK."""

    is_write: ClassVar[bool] = True

    def perform(self, call: Call) -> Answer:
        """Take any JSON object. An answer without `channel` says that there are no surveys."""
        items = _refuse_write(call) or _items(call, wire.read_prompt_event)
        return items if isinstance(items, Answer) else OK


@dataclass(frozen=True)
class Refuse(Endpoint):
    """What is not there: always the same answer."""

    refusal: Answer

    def perform(self, call: Call) -> Answer:  # noqa: ARG002  # the same for all
        """Refuse."""
        return self.refusal


def _items(call: Call, read: Reader) -> list[Item] | Answer:
    """Read the body of a call; halves of pairs in its texts are no mistake of its caller's, and are made good."""
    items = read(call.body)
    if isinstance(items, Mistakes) and (whole := wire.with_whole_texts(call.body)) != call.body:
        call.body = whole
        items = read(whole)
    return _wrong_body(*items.messages) if isinstance(items, Mistakes) else items


def _wrong_body(*mistakes: str) -> Answer:
    return refusal(400, "BODY_VALIDATION_FAILED", "Body validation failed", mistakes=mistakes)


def _strictly(code: ERROR_CODES, objections: list[str]) -> Answer:
    """Refuse what only `--strict` objects to."""
    message = "--strict: Bucket takes this, and then drops or changes some of it"
    return refusal(400, code, message, mistakes=objections)


def _wrong_query(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not valid UTF-8"
    return json_mistake(error, "key") if isinstance(error, msgspec.ValidationError) else str(error)


def _refuse_write(call: Call) -> Answer | None:
    """Return the refusal of a call that may not write, or that does not say it is JSON."""
    refused = auth.refuse(call.rank, secret_only=False)
    if refused is not None:
        return refused
    is_json = call.content_type == JSON_TYPE or _is_json(call.content_type)
    return None if is_json else NOT_JSON_TYPE


def _is_json(content_type: bytes) -> bool:
    """Accept parameters (NET sends a charset) and any case."""
    return content_type.partition(b";")[0].strip().lower() == JSON_TYPE
