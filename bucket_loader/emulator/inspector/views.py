"""What the control API shows: the shape of each answer, which `openapi` describes as it stands here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bucket_loader.emulator.environments import Known
from bucket_loader.emulator.store.exchanges import Exchange, Headers, shown_headers, shown_query, without
from bucket_loader.emulator.store.requests_log import Noted, Wrong
from bucket_loader.emulator.store.store import Company, User
from bucket_loader.model import COMPANY, KINDS, USER, Explanation

# Whom the emulator keeps one by one.
SUBJECTS: Final = (USER.name, COMPANY.name)
if TYPE_CHECKING:
    Kind: TypeAlias = str
else:
    Kind = Literal[SUBJECTS]
JsonObject: TypeAlias = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
Moment: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Done(Struct, kw_only=True):
    """That it is done."""

    success: Literal[True] = True


class EnvironmentsView(Struct):
    """All environments, `main` first."""

    environments: list[Known]


class Overrides(Struct, rename="camel"):
    """The definitions that stand in front of others until they are lifted; the version is that of all definitions."""

    flag_state_version: int
    overrides: list[dict[str, Any]]


State: Final = msgspec.defstruct(
    "State",
    [(name, int) for name in (*(kind.plural for kind in KINDS.values()), "unassociated_events", "requests", "refused")],
    namespace={"__doc__": "How much there is of everything."},
)


class RequestView(Struct):
    """One API call and its verdict: `status` is null when the connection was cut, `error` when all was well."""

    request: int
    at: Moment
    method: str
    path: str
    status: int | None
    error: str | None
    fault: str | None
    records: int | None
    wrong: list[Wrong]

    @classmethod
    def of(cls, noted: Noted) -> "RequestView":
        """Show a call."""
        return cls(
            noted.request,
            time_text(noted.at_ms),
            noted.method,
            noted.path,
            noted.status,
            noted.error,
            noted.fault,
            noted.records,
            noted.wrong,
        )


class Identity(Struct):
    """What tells one emulator from another."""

    id: str


class Header(Struct):
    """One header, with no key in it."""

    name: str
    value: str


class Part(Struct, rename="camel"):
    """The headers and the body of a call, or of its answer; `length` is in bytes, and a long body is cut."""

    headers: list[Header]
    body: str
    length: int
    is_cut: bool

    @classmethod
    def of(cls, headers: Headers, body: bytes, length: int, keys: Sequence[str]) -> "Part":
        """Show one of the two."""
        shown = [Header(*header) for header in shown_headers(headers, keys)]
        return cls(shown, without(body.decode(errors="replace"), keys), length, len(body) < length)


class RequestWhole(Struct):
    """One of the latest calls, word by word.

    Attributes:
        call: what became of it.
        query: of its address.
        sent: null where it is no longer kept.
        answered: null there too, and where the connection was cut.
    """

    call: RequestView
    query: str = ""
    sent: Part | None = None
    answered: Part | None = None

    @classmethod
    def of(cls, noted: Noted, exchange: Exchange | None, keys: Sequence[str]) -> "RequestWhole":
        """Show a call."""
        shown = cls(RequestView.of(noted))
        if exchange is not None:
            shown.query = shown_query(exchange.query, keys)
            shown.sent = Part.of(exchange.headers, exchange.body, exchange.body_bytes, keys)
        if exchange is not None and noted.status is not None:
            shown.answered = Part.of(exchange.answer_headers, exchange.answer, exchange.answer_bytes, keys)
        return shown


class Requests(Struct):
    """The latest calls, newest first."""

    requests: list[RequestView]


class UserView(Struct, rename="camel"):
    """A user, as it is now."""

    user_id: str
    attributes: JsonObject
    companies: list[str]
    default_company: str | None
    first_seen: Moment | None
    last_seen: Moment | None
    events: int

    @classmethod
    def of(cls, user: User) -> "UserView":
        """Show a user."""
        return cls(
            user.id,
            msgspec.Raw(user.attributes),
            list(user.companies),
            user.default_company,
            _time_or_none(user.first_ms),
            _time_or_none(user.last_ms),
            user.events,
        )


class CompanyView(Struct, rename="camel"):
    """A company, as it is now; with a `limit`, only as many of its users, and how many there are."""

    company_id: str
    attributes: JsonObject
    users: list[str]
    first_seen: Moment | None
    last_seen: Moment | None
    events: int
    users_total: int | UnsetType = UNSET

    @classmethod
    def of(cls, company: Company, limit: int | None) -> "CompanyView":
        """Show a company."""
        return cls(
            company.id,
            msgspec.Raw(company.attributes),
            [user for user, _ in zip(company.users, range(limit), strict=False)] if limit else list(company.users),
            _time_or_none(company.first_ms),
            _time_or_none(company.last_ms),
            company.events,
            UNSET if limit is None else len(company.users),
        )


class Look(Struct, rename="camel"):
    """What every look into a large store says of itself: it stops after a moment, and can be taken up again.

    Attributes:
        next: what to send as `after` to go on; after a complete look, to see what has come since.
        is_complete: whether everything there was has been looked at.
        seen: how far the look has come, of `total`.
        total: how much there is to look at.
    """

    next: str
    is_complete: bool
    seen: int
    total: int


class Arrived(Struct):
    """One accepted record that names what was asked for; `text` is its JSON as it was sent, cut where it is long."""

    request: int
    at: Moment
    type: str
    text: str


class Timeline(Look, kw_only=True):
    """What arrived for a user or company, in order."""

    items: list[Arrived]


class Found(Struct, rename="camel"):
    """A user or company that a search found."""

    kind: Kind
    id: str
    name: str | None
    events: int
    last_seen: Moment | None
    is_exact: bool


class Search(Look, kw_only=True):
    """What a search found: by id or by anything in the attributes, whatever the case."""

    found: list[Found]


class Holder(Struct):
    """Who has a feature, and the variant of its config."""

    id: str
    name: str | None
    variant: str | None


class Holders(Look, kw_only=True):
    """Who has a feature: `have` of the `checked` that were looked at this time; named unless `limit` is 0."""

    items: list[Holder]
    checked: int
    have: int


class LastSet(Struct):
    """The record that last set an attribute."""

    request: int
    at: Moment


class Origins(Look, kw_only=True):
    """Which record last set each attribute, as far as this look came."""

    attributes: dict[str, LastSet]


# Text by column; null where null was sent.
Cells: TypeAlias = dict[str, str | None]


class Rows(Look, kw_only=True):
    """Rows of a table: text by column, and the columns in the order in which they came.

    `rows_total` is how many there are in all, where that is known without looking; `left_out` is how many older ones
    are not kept.
    """

    columns: list[str]
    rows: list[Cells]
    rows_total: int | None
    left_out: int


class Counted(Struct):
    """A feature: its rules in words, and how many companies and users have it."""

    key: str
    rules: list[str]
    companies: int
    users: int


class Counts(Struct, rename="camel", kw_only=True):
    """How many have each feature.

    Attributes:
        is_complete: whether everybody was counted; until then it is of the first so many.
        is_current: whether nothing has changed since; what is asked again goes on counting.
        features: each one.
        companies: how many companies were counted.
        users: how many users were counted.
    """

    is_complete: bool
    is_current: bool
    features: list[Counted]
    companies: int
    users: int


class Explanations(Done, rename="camel"):
    """Why each feature is on or off; an emulator knows every value that was compared."""

    explanations: list[Explanation]
    is_complete: Literal[True] = True


def time_text(moment_ms: float) -> str:
    """Write a time as every example of the API does: UTC, with milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=round(moment_ms))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time_or_none(moment_ms: float | None) -> str | None:
    return None if moment_ms is None else time_text(moment_ms)
