"""The API's records: each limit stated once, with its source, in two shapes.

Strict is what we send: documented fields only, ids as text, timestamps in the one form that every example uses.
Lenient is what the API accepts, as far as anybody outside knows; the emulator is built on it.

Sources: `S0`..`S4` are the five API documents, `OA` the vendor's OpenAPI drafts, `NODE`, `BROW`, `NET` its SDKs. Where
they conflict, the comment names the conflict (`C1`..`C18` in docs/fidelity.md) and what we decided.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bucket_loader.model.kinds import COMPANY, EVENT, FEATURE_EVENT, FEEDBACK, KINDS, USER, RecordKind

# The current API, and the two before it: the key in the path, one record a request. Source: S0 and S1; S2; S4.
Api = Literal["front", "front-legacy", "tracking-legacy"]
# How lists are sent: whole, or each item with a dotted name, as all clients did before autumn 2026.
ArrayForm = Literal["keep", "flatten"]

FEEDBACK_SOURCES = Literal["api", "manual", "prompt", "sdk", "widget"]  # OA5..15
# S1 and NET the long forms, S3 and OA the short ones (C8): all six are accepted.
FEATURE_ACTIONS = Literal[
    "evaluate", "check", "evaluate-is-enabled", "check-is-enabled", "evaluate-config", "check-config"
]

# No source states a batch limit; NODE and NET never send more than 100 items.
CHUNK_RECORDS_MAX_KNOWN: Final = 100

ERROR_CODES = Literal[
    "UNKNOWN_ERROR",
    "INVALID_API_KEY",
    "FEEDBACK_PROMPTING_DISABLED",
    "BODY_VALIDATION_FAILED",
    "QUERY_VALIDATION_FAILED",
    "SEGMENT_AUTH_REQUIRED",
    "SEGMENT_MESSAGE_TYPE_NOT_SUPPORTED",
    "SEGMENT_MESSAGE_VALIDATION_FAILED",
    "FEATURE_NOT_FOUND",
    "WRONG_REGION",
]  # OA

# --- limits, once each ---------------------------------------------------------------------------------------------

Text1: TypeAlias = Annotated[str, Meta(min_length=1)]  # ids, event names, feedbackId: "string, min 1" (S1)
FeatureId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=14)]  # S0, S1
FeatureKey: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]  # S1
Comment: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4000)]  # S0, S1
Question: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]  # S1
PromptId: TypeAlias = Annotated[str, Meta(min_length=10, max_length=40)]  # S1
# S1's own example sends the placeholder "text" there, and an example must be accepted.
LenientPromptId: TypeAlias = Annotated[str, Meta(pattern=r"\A(?:(?s:.{10,40})|text)\Z")]
# C5: 1 to 5 in S0, S2, S4; at most 5 in S1; 0 to 5 in OA15. Whole numbers from 1 are right everywhere.
Score: TypeAlias = Annotated[int, Meta(ge=1, le=5)]
LenientScore: TypeAlias = Annotated[float, Meta(ge=0, le=5)]
TargetingVersion: TypeAlias = Annotated[int, Meta(ge=0)]  # OA
LenientNumber: TypeAlias = Annotated[float, Meta(ge=0)]
# The exact form of every example in S1, S2 and S4.
Timestamp: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
]
# S3, OA: milliseconds since the epoch, or an ISO-8601 text. The emulator parses the text itself.
LenientTimestamp: TypeAlias = int | float | str
# C1: documented as text, shown as numbers in every example.
LenientId: TypeAlias = Annotated[str, Meta(min_length=1)] | int | float
# NODE README: "cannot be nested"; OA: any object (C13). We send flat values, the emulator takes any object.
Value: TypeAlias = str | int | float | bool
# A list is one attribute, and an update replaces it whole. Source: the vendor's documentation of autumn 2026.
Attribute: TypeAlias = Value | list[Any]


class Context(Struct, forbid_unknown_fields=True):
    """Whether the record counts as activity. Source: S4 (C4: gone from S1, still sent by every SDK)."""

    active: bool


# --- strict: what we send ------------------------------------------------------------------------------------------


class User(Struct, tag_field="type", tag=USER.wire, forbid_unknown_fields=True):
    """A user to create or update."""

    userId: Text1
    attributes: dict[str, Attribute] | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET
    context: Context | UnsetType = UNSET


class Company(Struct, tag_field="type", tag=COMPANY.wire, forbid_unknown_fields=True):
    """A company to create or update, and the user to associate with it."""

    companyId: Text1
    userId: Text1 | UnsetType = UNSET
    attributes: dict[str, Attribute] | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET
    context: Context | UnsetType = UNSET


class Event(Struct, tag_field="type", tag=EVENT.wire, forbid_unknown_fields=True):
    """Something a user did, in a company where known."""

    userId: Text1
    event: Text1
    companyId: Text1 | UnsetType = UNSET
    attributes: dict[str, Attribute] | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET
    context: Context | UnsetType = UNSET


class Feedback(Struct, tag_field="type", tag=FEEDBACK.wire, forbid_unknown_fields=True):
    """What a user says of a feature: a score, a comment, or both; the feature by id or by key (C6)."""

    userId: Text1
    featureId: FeatureId | UnsetType = UNSET
    key: FeatureKey | UnsetType = UNSET
    score: Score | UnsetType = UNSET
    comment: Comment | UnsetType = UNSET
    companyId: Text1 | UnsetType = UNSET
    feedbackId: Text1 | UnsetType = UNSET
    promptId: PromptId | UnsetType = UNSET
    question: Question | UnsetType = UNSET
    promptedQuestion: Question | UnsetType = UNSET
    source: FEEDBACK_SOURCES | UnsetType = UNSET
    timestamp: Timestamp | UnsetType = UNSET


class FeatureEvent(Struct, tag_field="type", tag=FEATURE_EVENT.wire, forbid_unknown_fields=True):
    """An evaluation or a check of a feature flag."""

    action: FEATURE_ACTIONS
    key: FeatureKey
    evalResult: bool
    targetingVersion: TargetingVersion | UnsetType = UNSET
    # Nested, as every SDK of autumn 2026 sends it.
    evalContext: dict[str, Attribute | dict[str, Any]] | UnsetType = UNSET
    evalRuleResults: list[bool] | UnsetType = UNSET
    evalMissingFields: list[str] | UnsetType = UNSET
    evalErrors: list[dict[str, Any]] | UnsetType = UNSET  # {code, field, operator?, message}; NET 0.3


def _by_kind(*structs: type[Struct]) -> dict[RecordKind, type[Struct]]:
    """Return the structs by the kind whose row they carry as their tag, in the order of the rows."""
    tagged = {struct.__struct_config__.tag: struct for struct in structs}
    return {kind.name: tagged[kind.wire] for kind in KINDS.values()}


STRICT: Final = _by_kind(User, Company, Event, Feedback, FeatureEvent)

# What the legacy APIs take of users, companies and events is what S4 has (S2 leaves out `context`, and `companyId` of
# an event; the same host has taken both since: OA, S1). Of feedback they take fewer fields. Source: S2, S4.
LEGACY_FIELDS: Final = {FEEDBACK.name: ("userId", "featureId", "companyId", "score", "comment")}
LEGACY_REQUIRED: Final = {FEEDBACK.name: ("featureId",)}  # C6

# At least one of each group must be there. Source: S0, S1 (score, comment); C6 (featureId, key).
ONE_OF: Final[dict[RecordKind, tuple[tuple[str, ...], ...]]] = dict.fromkeys(KINDS, ()) | {
    FEEDBACK.name: (("score", "comment"), ("featureId", "key"))
}

# --- lenient: what the API accepts ---------------------------------------------------------------------------------
# Unknown fields pass: OA15 forbids them on user and company, but SDKs send `context` and `type` there. null is absent
# (C16: the vendor's own example form sends nulls).


class AcceptedContext(Struct):
    """`active` is the only defined member; others pass."""

    active: bool | None = None


class AcceptedUser(Struct, tag_field="type", tag=USER.wire):
    """A user, as the API takes it."""

    userId: LenientId
    attributes: dict[str, Any] | None = None
    timestamp: LenientTimestamp | None = None
    context: AcceptedContext | None = None


class AcceptedCompany(Struct, tag_field="type", tag=COMPANY.wire):
    """A company, as the API takes it."""

    companyId: LenientId
    userId: LenientId | None = None
    attributes: dict[str, Any] | None = None
    timestamp: LenientTimestamp | None = None
    context: AcceptedContext | None = None


class AcceptedEvent(Struct, tag_field="type", tag=EVENT.wire):
    """An event, as the API takes it."""

    userId: LenientId
    event: Text1
    companyId: LenientId | None = None
    attributes: dict[str, Any] | None = None
    timestamp: LenientTimestamp | None = None
    context: AcceptedContext | None = None


class AcceptedFeedback(Struct, tag_field="type", tag=FEEDBACK.wire):
    """Feedback, as the API takes it; neither featureId nor key alone is required (C6)."""

    userId: LenientId
    featureId: FeatureId | None = None
    key: FeatureKey | None = None
    score: LenientScore | None = None
    comment: Comment | None = None
    companyId: LenientId | None = None
    feedbackId: Text1 | None = None
    promptId: LenientPromptId | None = None
    question: Question | None = None
    promptedQuestion: Question | None = None
    source: FEEDBACK_SOURCES | None = None
    timestamp: LenientTimestamp | None = None


class AcceptedFeatureEvent(Struct, tag_field="type", tag=FEATURE_EVENT.wire):
    """A feature event, as the API takes it; evalResult a boolean, an object or absent (C2)."""

    action: FEATURE_ACTIONS
    key: FeatureKey
    evalResult: bool | dict[str, Any] | None = None
    targetingVersion: LenientNumber | None = None
    evalContext: dict[str, Any] | None = None
    evalRuleResults: list[bool] | None = None
    evalMissingFields: list[str] | None = None
    evalErrors: list[dict[str, Any]] | None = None


LENIENT: Final = _by_kind(AcceptedUser, AcceptedCompany, AcceptedEvent, AcceptedFeedback, AcceptedFeatureEvent)

# --- what mapping needs to know of a strict field ------------------------------------------------------------------

FieldForm = Literal[
    "text", "choice", "integer", "boolean", "timestamp", "values", "booleans", "texts", "objects", "context"
]


class FieldRule(Struct, frozen=True):
    """One field of a strict record, read off its struct: the only place a limit is looked up.

    Attributes:
        name: the field on the wire.
        form: what its value is.
        required: whether a record without it is refused.
        length_min: fewest characters of a text.
        length_max: most characters of a text.
        choices: the texts that are allowed, for a choice.
        minimum: the least integer.
        maximum: the greatest integer.
    """

    name: str
    form: FieldForm
    required: bool
    length_min: int = 0
    length_max: int | None = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


def rules(kind: RecordKind, api: Api = "front") -> dict[str, FieldRule]:
    """Return the strict rules of a kind of record, by field, in wire order."""
    info = msgspec.inspect.type_info(STRICT[kind])
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101  # narrows the type
    found = {field.name: _rule(field) for field in info.fields}
    if api == "front":
        return found
    for name in LEGACY_REQUIRED.get(kind, ()):
        found[name] = msgspec.structs.replace(found[name], required=True)
    return {name: found[name] for name in found if name in LEGACY_FIELDS.get(kind, found)}


def one_of(kind: RecordKind, api: Api = "front") -> list[tuple[str, ...]]:
    """Return the groups of fields of which a record needs one, but for those whose field it needs anyway."""
    known = rules(kind, api)
    return [group for group in ONE_OF[kind] if not any(name in known and known[name].required for name in group)]


def _rule(field: msgspec.inspect.Field) -> FieldRule:  # noqa: C901  # a table of types
    inspect = msgspec.inspect
    declared = field.type
    if isinstance(declared, inspect.UnionType):  # the optional ones: X | UnsetType
        declared = declared.types[0]
    match declared:
        case inspect.StrType(pattern=str()):
            return FieldRule(field.name, "timestamp", field.required)
        case inspect.StrType():
            return FieldRule(field.name, "text", field.required, declared.min_length or 0, declared.max_length)
        case inspect.LiteralType():
            return FieldRule(field.name, "choice", field.required, choices=tuple(map(str, declared.values)))
        case inspect.IntType():
            return FieldRule(field.name, "integer", field.required, minimum=declared.ge, maximum=declared.le)
        case inspect.BoolType():
            return FieldRule(field.name, "boolean", field.required)
        case inspect.DictType():
            return FieldRule(field.name, "values", field.required)
        case inspect.ListType(item_type=inspect.BoolType()):
            return FieldRule(field.name, "booleans", field.required)
        case inspect.ListType(item_type=inspect.DictType()):
            return FieldRule(field.name, "objects", field.required)
        case inspect.ListType():
            return FieldRule(field.name, "texts", field.required)
        case _:
            return FieldRule(field.name, "context", field.required)
