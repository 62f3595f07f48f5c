"""What the emulator remembers.

Built for tens of millions of events: an event leaves a count behind, never an object. Only users and companies are
kept one by one, with their attributes packed; the items themselves lie in the journal, on disk.

Source: S0, S2 and S4 for each rule unless it names another; what is inferred says so (`docs/fidelity.md`).
"""

from collections import defaultdict
from typing import Any, Final

import msgspec

from bucket_loader.emulator.store.opt_ins import OptIns
from bucket_loader.model import LenientId, javascript

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
            known = self.attributes
            self.attributes = _pack(attributes if known == b"{}" else _unpack(known) | attributes)

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


class Store:
    """Users, companies and counts.

    Attributes:
        counts: how many came of what is counted and not kept, by name.
        unassociated_events: how many events are of users who are in no company, as things are now.
        opt_ins: who has opted into what.
    """

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.companies: dict[str, Company] = {}
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.unassociated_events = 0
        self.opt_ins = OptIns()
        self._feedback_named: set[str] = set()
        self._feedback_generated = 0

    @property
    def feedback(self) -> int:
        """How much distinct feedback there is."""
        return len(self._feedback_named) + self._feedback_generated

    def user(self, identifier: LenientId) -> User:
        """Return the user with an id, a new one when there is none."""
        key = identifier if type(identifier) is str else id_text(identifier)
        user = self.users.get(key)
        if user is None:
            user = self.users[key] = User(key)
        return user

    def company(self, identifier: LenientId) -> Company:
        """Return the company with an id, a new one when there is none."""
        key = identifier if type(identifier) is str else id_text(identifier)
        company = self.companies.get(key)
        if company is None:
            company = self.companies[key] = Company(key)
        return company

    def associate(self, user: User, company: Company, *, becomes_default: bool) -> None:
        """Make a user belong to a company.

        The company that a user was last seen acting in is the default (DOC concepts/company.md). A call that is no
        activity gives a default only to a user who has none (inferred).
        """
        if user.default_company == company.id:
            return
        if not user.companies:
            self.unassociated_events -= user.events
        if company.id not in user.companies:
            user.companies = (*user.companies, company.id)
            company.users[user.id] = None
        if becomes_default or user.default_company is None:
            user.default_company = company.id

    def delete_user(self, identifier: str) -> None:
        """Forget a user, also in its companies; what it did stays counted."""
        for company in self.users.pop(identifier).companies:
            del self.companies[company].users[identifier]
        self.opt_ins.forget("user", identifier)

    def delete_company(self, identifier: str, *, with_users: bool) -> None:
        """Forget a company, also in its users; with them those that are in no other."""
        self.opt_ins.forget("company", identifier)
        for name in self.companies.pop(identifier).users:
            user = self.users[name]
            user.companies = tuple(company for company in user.companies if company != identifier)
            if with_users and not user.companies:
                self.delete_user(name)
            elif user.default_company == identifier:
                user.default_company = user.companies[-1] if user.companies else None
                self.unassociated_events += 0 if user.companies else user.events

    def feedback_id(self, named: str | None) -> str:
        """Note a feedbackId, and return it; a new one when the caller named none."""
        if named is None:
            self._feedback_generated += 1
            return _generated_id(self._feedback_generated)
        if not self._is_generated(named):
            self._feedback_named.add(named)
        return named

    def _is_generated(self, feedback_id: str) -> bool:
        """Whether an id is one that we made; ours are counted, not kept."""
        number = feedback_id.removeprefix(_GENERATED)
        if len(number) > _DIGITS_MAX or not number.isdecimal() or int(number) > self._feedback_generated:
            return False
        return feedback_id == _generated_id(int(number))


_GENERATED: Final = "fdb_local_"
_DIGITS_MAX: Final = 18


def _generated_id(number: int) -> str:
    return f"{_GENERATED}{number:08d}"


def id_text(identifier: LenientId) -> str:
    """Return an id as text: a number as the decimal text that JavaScript would write (C1)."""
    if isinstance(identifier, str):
        return identifier
    return str(identifier) if isinstance(identifier, int) else javascript.number_text(identifier)
