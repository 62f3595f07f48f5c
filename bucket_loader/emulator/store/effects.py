"""What each kind of record does to the store, and what else is the emulator's own about it: a row each.

A new kind is a row of `KNOWN_RECORDS` and its effect, here and nowhere else in the emulator: reading, the paths, the
journal, the counts and the description follow from this table and from the kinds.

Source: S0, S2 and S4 for each effect unless it names another; what is inferred says so (`docs/fidelity.md`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from msgspec import Struct

from bucket_loader.emulator.store.opt_ins import TYPE, Scope
from bucket_loader.emulator.store.store import Store, id_text
from bucket_loader.model import (
    COMPANY,
    EVENT,
    FEATURE_EVENT,
    FEEDBACK,
    LENIENT,
    USER,
    FeatureKey,
    Kind,
    LenientId,
    contract,
)

# What a record does, given the moment of the call in milliseconds since the epoch; returns the id that it was given.
Effect: TypeAlias = Callable[[Store, Any, float], str | None]

BULK: Final = "bulk"  # stands for a type where each record of a call names its own


@dataclass(frozen=True)
class KnownRecord:
    """What the emulator does with one kind of record.

    Attributes:
        kind: its row among the kinds.
        effect: what a record does to the store.
        count: how many there are; None when the effect counts them in `store.counts`, under the kind's plural.
        needs_one_of: fields of which a record needs at least one.
        takes_list: whether the endpoint takes a list as well as a single record.
    """

    kind: Kind
    effect: Effect
    count: Callable[[Store], int] | None = None
    needs_one_of: tuple[str, ...] = ()
    takes_list: bool = False

    @property
    def shape(self) -> type[Struct]:
        """What is accepted."""
        return LENIENT[self.kind.name]


def _user(store: Store, item: contract.AcceptedUser, now_ms: float) -> None:
    user = store.user(item.userId)
    user.merge(item.attributes)
    if _is_active(item.context):
        user.touch(_moment(item.timestamp, now_ms))


def _company(store: Store, item: contract.AcceptedCompany, now_ms: float) -> None:
    company = store.company(item.companyId)
    company.merge(item.attributes)
    user = None if item.userId is None else store.user(item.userId)
    active = _is_active(item.context)
    if user is not None:
        store.associate(user, company, becomes_default=active)
    if active:
        moment = _moment(item.timestamp, now_ms)
        company.touch(moment)
        if user is not None:
            user.touch(moment)  # inferred: the user is seen acting in the company


def _event(store: Store, item: contract.AcceptedEvent, now_ms: float) -> None:
    """Count an event for its user and company; the default company when it names none.

    An event creates its user and company when they are new, and associates them (inferred).
    """
    store.counts[EVENT.plural] += 1
    user = store.user(item.userId)
    active = _is_active(item.context)
    company = None
    if item.companyId is not None:
        company = store.company(item.companyId)
        store.associate(user, company, becomes_default=active)
    elif user.default_company is not None:
        company = store.companies[user.default_company]
    if active:
        moment = _moment(item.timestamp, now_ms)
        user.touch(moment)
        if company is not None:
            company.touch(moment)
    user.events += 1
    if company is None:
        store.unassociated_events += 1
    else:
        company.events += 1


def _feedback(store: Store, item: contract.AcceptedFeedback, _: float) -> str:
    """Count feedback once for each feedbackId. It creates no user and is no activity (S4: it has no context)."""
    return store.feedback_id(item.feedbackId)


def _feature_event(store: Store, _: contract.AcceptedFeatureEvent, __: float) -> None:
    store.counts[FEATURE_EVENT.plural] += 1


def _is_active(context: contract.AcceptedContext | None) -> bool:
    """Whether a call counts as activity: unless it says otherwise, it does. Source: S4."""
    return context is None or context.active is not False


def _moment(timestamp: contract.LenientTimestamp | None, now_ms: float) -> float:
    """Return the time of a record; reading has turned what was sent into milliseconds."""
    return now_ms if timestamp is None else float(timestamp)


class PromptEvent(Struct, tag_field="type", tag="prompt-event"):
    """What became of a survey; taken and forgotten. Source: reflag BROW from 1.4.7, NET's list of types."""


class ChannelStatusEvent(Struct, tag_field="type", tag="channel-status-event"):
    """The state of a push channel; taken and forgotten. Source: NET's list of types."""


class DeletedUser(Struct, tag_field="type", tag="delete-user"):
    """A user that the management API deleted; no record that is sent. Source: MSDK."""

    userId: str  # noqa: N815  # named as in all others


class DeletedCompany(Struct, tag_field="type", tag="delete-company"):
    """A company that the management API deleted, with the users that are in no other. Source: MSDK."""

    companyId: str  # noqa: N815
    deleteUsers: bool = True  # noqa: N815


class Identified(Struct):
    """A user or a company, by its id."""

    id: LenientId


class OptInContext(Struct):
    """Who opts in; other members are not looked at."""

    user: Identified | None = None
    company: Identified | None = None


class OptIn(Struct, tag_field="type", tag=TYPE):
    """A user or a company that opts into a feature, or no longer does. Source: BROW from 1.6."""

    key: FeatureKey
    optedIn: bool  # noqa: N815
    context: OptInContext
    scope: Scope = "user"

    @property
    def who(self) -> Identified | None:
        """Who opts in; None when the context has none of the scope."""
        return {"user": self.context.user, "company": self.context.company}[self.scope]


def _opt_in(store: Store, item: OptIn, _: float) -> None:
    if item.who is not None:
        store.opt_ins.put(item.key, item.scope, id_text(item.who.id), opted_in=item.optedIn)


def _delete_user(store: Store, item: DeletedUser, _: float) -> None:
    store.delete_user(item.userId)


def _delete_company(store: Store, item: DeletedCompany, _: float) -> None:
    store.delete_company(item.companyId, with_users=item.deleteUsers)


KNOWN_RECORDS: Final = (
    KnownRecord(USER, _user, count=lambda store: len(store.users)),
    KnownRecord(COMPANY, _company, count=lambda store: len(store.companies)),
    KnownRecord(EVENT, _event),
    KnownRecord(FEEDBACK, _feedback, count=lambda store: store.feedback, needs_one_of=("score", "comment")),  # S0, S1
    KnownRecord(FEATURE_EVENT, _feature_event, takes_list=True),  # S1, OA; browser SDKs send a single one (S0, C9)
)
FORGOTTEN: Final[tuple[type[Struct], ...]] = (PromptEvent, ChannelStatusEvent)
# Of every item that is accepted.
SHAPES: Final = (*(record.shape for record in KNOWN_RECORDS), *FORGOTTEN)
# What the journal keeps beside them, of calls of their own; /bulk has none of it.
BESIDE: Final[dict[type[Struct], Effect]] = {
    DeletedUser: _delete_user,
    DeletedCompany: _delete_company,
    OptIn: _opt_in,
}
_EFFECTS: Final = {record.shape: record.effect for record in KNOWN_RECORDS} | BESIDE


def apply(store: Store, items: list[Struct], now_ms: float) -> str | None:
    """Do what the records say, in order; return the last id that one was given, if there was any."""
    given = None
    for item in items:
        effect = _EFFECTS.get(type(item))
        if effect is not None:
            given = effect(store, item, now_ms) or given
    return given


def types(items: list[Struct]) -> frozenset[str]:
    """Return the types of records, as the journal names them."""
    return frozenset(str(item.__struct_config__.tag) for item in {type(item): item for item in items}.values())


def counts(store: Store) -> dict[str, int]:
    """Return how many there are of each kind, by the kind's plural, and the events of no company."""
    known = {
        record.kind.plural: store.counts[record.kind.plural] if record.count is None else record.count(store)
        for record in KNOWN_RECORDS
    }
    return {**known, "unassociated_events": store.unassociated_events}
