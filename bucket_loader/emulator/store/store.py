"""What the emulator remembers, and what each accepted record does to it.

Built for tens of millions of events: an event leaves a count behind, never an object. Only users and companies are
kept one by one, with their attributes packed; the items themselves lie in the journal, on disk.

Source: S0, S2 and S4 for each rule unless it names another; what is inferred says so (`docs/fidelity.md`).
"""

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from bucket_loader.emulator.store.wire import Item, id_text
from bucket_loader.model import (
    COMPANY,
    EVENT,
    FEATURE_EVENT,
    FEEDBACK,
    USER,
    AcceptedCompany,
    AcceptedContext,
    AcceptedEvent,
    AcceptedFeatureEvent,
    AcceptedFeedback,
    AcceptedUser,
    LenientId,
    LenientTimestamp,
)

_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(dict[str, Any]).decode


class Seen(msgspec.Struct, gc=False):
    """What users and companies have in common. No reference cycles, so the collector need not look.

    Attributes:
        id: the decimal or literal text of the id.
        attributes: JSON, packed because a dict of it takes three times the memory.
        first_ms: the first activity, milliseconds since the epoch.
        last_ms: the latest activity, milliseconds since the epoch.
        events: how many events counted here.
    """

    id: str
    attributes: bytes = b"{}"
    first_ms: float | None = None
    last_ms: float | None = None
    events: int = 0

    def merge(self, attributes: dict[str, Any] | None) -> None:
        """Take attributes over, each by itself: what is not named stays (inferred from S0, "it will update it")."""
        if attributes:
            known = _unpack(self.attributes) if self.attributes != b"{}" else {}
            self.attributes = _pack(known | attributes)

    def touch(self, moment_ms: float) -> None:
        """Note activity; a late arrival never moves the last one back."""
        if self.last_ms is None or self.first_ms is None:
            self.first_ms = self.last_ms = moment_ms
        elif moment_ms > self.last_ms:
            self.last_ms = moment_ms
        elif moment_ms < self.first_ms:
            self.first_ms = moment_ms


class User(Seen, gc=False):
    """A user, the companies it belongs to, and the one its events go to when they name none."""

    companies: tuple[str, ...] = ()
    default_company: str | None = None


class Company(Seen, gc=False):
    """A company and its users, in the order they came (a dict, because a company may have a million)."""

    users: dict[str, None] = {}  # replaced by the first association; msgspec copies an empty default


_Active: TypeAlias = AcceptedContext | None


class Store:
    """Users, companies and counts."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.companies: dict[str, Company] = {}
        self.events = 0
        self.unassociated_events = 0
        self.feature_events = 0
        self._feedback_named: set[str] = set()
        self._feedback_generated = 0

    @property
    def feedback(self) -> int:
        """How much distinct feedback there is."""
        return len(self._feedback_named) + self._feedback_generated

    def counts(self) -> dict[str, int]:
        """Return how many there are of each kind, by the kind's plural."""
        return {
            USER.plural: len(self.users),
            COMPANY.plural: len(self.companies),
            EVENT.plural: self.events,
            FEEDBACK.plural: self.feedback,
            FEATURE_EVENT.plural: self.feature_events,
        }

    def apply(self, items: Iterable[Item], now_ms: float) -> str | None:
        """Do what the records say, in order; return the feedbackId of the last feedback, if there was any."""
        feedback_id = None
        for item in items:
            match item:
                case AcceptedEvent():
                    self._event(item, now_ms)
                case AcceptedUser():
                    self._user(item, now_ms)
                case AcceptedCompany():
                    self._company(item, now_ms)
                case AcceptedFeedback():
                    feedback_id = self._feedback(item)
                case AcceptedFeatureEvent():
                    self.feature_events += 1
                case _:  # prompt-event, channel-status-event: taken and forgotten
                    pass
        return feedback_id

    def _user(self, item: AcceptedUser, now_ms: float) -> None:
        user = self._user_of(item.userId)
        user.merge(item.attributes)
        if _is_active(item.context):
            user.touch(_moment(item.timestamp, now_ms))

    def _company(self, item: AcceptedCompany, now_ms: float) -> None:
        company = self._company_of(item.companyId)
        company.merge(item.attributes)
        user = None if item.userId is None else self._user_of(item.userId)
        active = _is_active(item.context)
        if user is not None:
            _associate(user, company, becomes_default=active)
        if active:
            moment = _moment(item.timestamp, now_ms)
            company.touch(moment)
            if user is not None:
                user.touch(moment)  # inferred: the user is seen acting in the company

    def _event(self, item: AcceptedEvent, now_ms: float) -> None:
        """Count an event for its user and company; the default company when it names none.

        An event creates its user and company when they are new, and associates them (inferred).
        """
        self.events += 1
        user = self._user_of(item.userId)
        user.events += 1
        active = _is_active(item.context)
        company = None
        if item.companyId is not None:
            company = self._company_of(item.companyId)
            _associate(user, company, becomes_default=active)
        elif user.default_company is not None:
            company = self.companies[user.default_company]
        if active:
            moment = _moment(item.timestamp, now_ms)
            user.touch(moment)
            if company is not None:
                company.touch(moment)
        if company is None:
            self.unassociated_events += 1
        else:
            company.events += 1

    def _feedback(self, item: AcceptedFeedback) -> str:
        """Count feedback once for each feedbackId. It creates no user and is no activity (S4: it has no context)."""
        if item.feedbackId is None:
            self._feedback_generated += 1
            return _generated_id(self._feedback_generated)
        if not self._is_generated(item.feedbackId):
            self._feedback_named.add(item.feedbackId)
        return item.feedbackId

    def _is_generated(self, feedback_id: str) -> bool:
        """Whether an id is one that we made; ours are counted, not kept."""
        number = feedback_id.removeprefix(_GENERATED)
        if len(number) > _DIGITS_MAX or not number.isdecimal() or int(number) > self._feedback_generated:
            return False
        return feedback_id == _generated_id(int(number))

    def _user_of(self, identifier: LenientId) -> User:
        key = identifier if type(identifier) is str else id_text(identifier)
        user = self.users.get(key)
        if user is None:
            user = self.users[key] = User(key)
        return user

    def _company_of(self, identifier: LenientId) -> Company:
        key = identifier if type(identifier) is str else id_text(identifier)
        company = self.companies.get(key)
        if company is None:
            company = self.companies[key] = Company(key)
        return company


_GENERATED: Final = "fdb_local_"
_DIGITS_MAX: Final = 18


def _generated_id(number: int) -> str:
    return f"{_GENERATED}{number:08d}"


def _is_active(context: _Active) -> bool:
    """Whether a call counts as activity: unless it says otherwise, it does. Source: S4."""
    return context is None or context.active is not False


def _moment(timestamp: LenientTimestamp | None, now_ms: float) -> float:
    """Return the time of a record; reading has turned what was sent into milliseconds."""
    return now_ms if timestamp is None else float(timestamp)


def _associate(user: User, company: Company, *, becomes_default: bool) -> None:
    """Make a user belong to a company.

    The company that a user was last seen acting in is the default (DOC concepts/company.md). A call that is no
    activity gives a default only to a user who has none (inferred).
    """
    if user.default_company == company.id:
        return
    if company.id not in user.companies:
        user.companies = (*user.companies, company.id)
        company.users[user.id] = None
    if becomes_default or user.default_company is None:
        user.default_company = company.id
