"""What a test of a pipeline expects, as frozen models: how many, which users and companies, events, features.

All that is not named may be as it likes. The models know nothing of YAML; `assert_file` turns text into them.
"""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
    model_validator,
)

from bucket_loader.config.scalars import Name, Texts
from bucket_loader.model import COUNTS, KINDS, FieldForm, contract, read_time

ABSENT: Final = "absent"


class Expectation(BaseModel):
    """A part of the file: unknown words are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


# --- values --------------------------------------------------------------------------------------------------------


def _flat(value: object) -> object:
    if isinstance(value, dict):
        message = "an object has dotted names in Bucket: write `address.city: Oslo`, not a mapping"
        raise ValueError(message)  # noqa: TRY004  # pydantic reports ValueErrors
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict | list):
            message = "a list holds texts, numbers, true, false and null; what else it had is a text in Bucket"
            raise ValueError(message)  # noqa: TRY004
    return value


def _id(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _moment(value: str) -> str:
    try:
        read_time(value)
    except ValueError:
        raise ValueError("is no time; write for example 2026-01-31 or 2026-01-31T08:00:00Z") from None
    return value


_SCALARS: Final = ["string", "number", "boolean", "null"]
Value = Annotated[Any, BeforeValidator(_flat), WithJsonSchema({"type": [*_SCALARS, "array"]})]
Id = Annotated[str, BeforeValidator(_id), WithJsonSchema({"type": ["string", "number"]})]
_ID_OR_IDS: Final = {"type": ["string", "number", "array"], "items": {"type": ["string", "number"]}}
Ids = Annotated[
    list[Id], BeforeValidator(lambda value: value if isinstance(value, list) else [value]), WithJsonSchema(_ID_OR_IDS)
]
Moment = Annotated[str, AfterValidator(_moment)]
Amount = Annotated[int, Field(ge=0, strict=True)]
_FORMS: Final[dict[FieldForm, Any]] = {
    "text": Id, "choice": Id, "timestamp": Moment, "values": dict[str, Value], "context": dict[str, Value],
}  # fmt: skip


# --- how many ------------------------------------------------------------------------------------------------------

_ROWS: Final = {count.name: (Amount | None, Field(default=None, description=count.says)) for count in COUNTS}
_THERE: Final = {kind.plural: (Amount | None, Field(default=None, description=f"{kind.plural.replace('_', ' ')} that "
                 "are in Bucket")) for kind in KINDS.values()}  # fmt: skip

if TYPE_CHECKING:
    RowCounts: TypeAlias = Expectation
    AllCounts: TypeAlias = Expectation
else:
    RowCounts = create_model(
        "RowCounts", __base__=Expectation, __doc__="How many rows of one stream came to which end.", **_ROWS
    )
    AllCounts = create_model(
        "AllCounts",
        __base__=Expectation,
        __doc__="How many are in Bucket, and how many rows of all streams came to which end.",
        **_THERE,
        **_ROWS,
    )


# --- users and companies -------------------------------------------------------------------------------------------


class Seen(Expectation):
    """What users and companies have in common."""

    attributes: dict[str, Value] = {}
    without: Texts = Field(default=[], description="attributes that must not be there")
    exactly: bool = Field(default=False, description="no other attributes may be there")
    events: Amount | None = None
    firstSeen: Moment | None = Field(default=None, description="null: never")  # noqa: N815  # as the API spells it
    lastSeen: Moment | None = Field(default=None, description="null: never")  # noqa: N815


class User(Seen):
    """A user, as it is in Bucket after the load."""

    companies: Ids | None = Field(default=None, description="all of them, in any order")
    defaultCompany: Id | None = None  # noqa: N815


class Company(Seen):
    """A company, as it is in Bucket after the load."""

    users: Ids | None = Field(default=None, description="all of them, in any order")


def _there_or_not(value: object) -> str:
    return ABSENT if isinstance(value, str) else "there"


def _by_id(model: type[Seen]) -> Any:  # noqa: ANN401  # a type
    """Return the type of a mapping from ids: what is expected of each, where anything is, or that it is absent."""
    there: Any = Annotated[model | None, Tag("there")]
    return dict[str, Annotated[Annotated[Literal["absent"], Tag(ABSENT)] | there, Discriminator(_there_or_not)]]


if TYPE_CHECKING:
    Users: TypeAlias = dict[str, User | Literal["absent"] | None]
    Companies: TypeAlias = dict[str, Company | Literal["absent"] | None]
else:
    Users, Companies = _by_id(User), _by_id(Company)


# --- records that are not kept one by one --------------------------------------------------------------------------


class Sent(Expectation):
    """A record that was delivered: of those that have all that is named here there must be one, or `count`."""

    count: Amount | None = Field(default=None, description="how many there must be; at least one by default")
    without: Texts = Field(default=[], description="attributes that must not be there")
    exactly: bool = Field(default=False, description="no other attributes may be there")

    @model_validator(mode="after")
    def _names_something(self) -> "Sent":
        if not self.model_fields_set - {"count", "exactly"}:
            raise ValueError("says nothing of a record; name at least one field of it")
        return self


def _records(kind: str) -> Any:  # noqa: ANN401  # a type
    fields = {rule.name: (_FORMS.get(rule.form, Any) | None, None) for rule in contract.rules(kind).values()}
    name = f"Sent{''.join(map(str.title, kind.split('_')))}"
    return list[create_model(name, __base__=Sent, __doc__=Sent.__doc__, **fields)]  # type: ignore[misc,call-overload]


LISTED: Final = {kind.plural: kind for kind in KINDS.values() if not kind.ordered}
"""The kinds whose records are expected as a list, by what many of them are called."""


class RejectedRow(Expectation):
    """A row that must have been rejected."""

    stream: str | None = None
    row: Annotated[int, Field(ge=1, strict=True)] | None = Field(default=None, description="its number, from 1")
    field: str | None = Field(default=None, description="the column or field that is at fault")
    reason: str | None = Field(default=None, description="the code of the reason, or a part of its sentence")
    count: Amount | None = Field(default=None, description="how many such rows there must be; at least one by default")


# --- features ------------------------------------------------------------------------------------------------------


class Context(Expectation):
    """Whom a feature is evaluated for."""

    user: dict[str, Any] | None = None
    company: dict[str, Any] | None = None
    other: dict[str, Any] | None = None


class Whom(Expectation):
    """Users and companies that are in Bucket, each alone; and contexts, as an application would send them."""

    companies: Ids = []
    users: Ids = []
    contexts: list[Context] = []


class Feature(Expectation):
    """For whom a feature must be on after the load, and for whom off."""

    on: Whom = Whom()
    off: Whom = Whom()


# --- the file ------------------------------------------------------------------------------------------------------


def _shape(value: object) -> str:
    return next((shape for kind, shape in ((list, "list"), (dict, "mapping")) if isinstance(value, kind)), "file")


_File = Annotated[str, Field(min_length=1), Tag("file")]
_List = Annotated[list[dict[str, Any]], Tag("list")]
Rows = Annotated[_File | _List, Discriminator(lambda value: "list" if isinstance(value, list) else "file")]
Body = Annotated[_File | _List | Annotated[dict[str, Any], Tag("mapping")], Discriminator(_shape)]


class Expected(Expectation):
    """A whole assert file."""

    version: Literal[1] = 1
    as_of: Moment | None = Field(default=None, description="the time of the run, where the command gives none")
    sources: dict[Name, Rows] = Field(
        default={}, description="fixtures, by the name of the source or stream: a file beside this one, or its rows"
    )
    definitions: Body | None = Field(
        default=None, description="what features there are: a file beside this one, or the body of GET /features"
    )
    counts: AllCounts = AllCounts()
    streams: dict[str, RowCounts] = Field(default={}, description="counts of a stream, by its name")
    users: Users = {}
    companies: Companies = {}
    rejected: list[RejectedRow] | None = None
    features: dict[str, Feature] = Field(default={}, description="by the feature's key")


if TYPE_CHECKING:
    AssertFile: TypeAlias = Expected
else:
    AssertFile = create_model(
        "AssertFile",
        __base__=Expected,
        __doc__=Expected.__doc__,
        **{plural: (_records(kind.name), []) for plural, kind in LISTED.items()},
    )
