"""What the management API takes and answers; it is read, written and described as it stands here. Source: MSDK, CLI."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from bucket_loader.model import FeatureKey

Name: TypeAlias = Annotated[str, Meta(min_length=1)]
JsonObject: TypeAlias = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
Code: TypeAlias = Literal["invalid_request", "not_found", "not_possible", "unauthenticated", "unauthorized"]


class Problem(Struct):
    """Why a call was refused."""

    code: Code
    message: str


class ManagementRefusal(Struct):
    """A call that was refused: nothing of it was done; `issues` are the mistakes by field."""

    error: Problem
    issues: dict[str, list[str]] | UnsetType = UNSET


# --- apps ----------------------------------------------------------------------------------------------------------


class Org(Struct):
    """An organisation."""

    id: str
    name: str


class EnvironmentHeader(Struct, rename="camel"):
    """An environment of an app."""

    id: str
    name: str
    is_production: bool
    order: int


class App(Struct, rename="camel", kw_only=True):
    """An app, and who owns it."""

    org: Org | UnsetType = UNSET
    id: str
    name: str
    demo: bool
    flag_key_format: str
    environments: list[EnvironmentHeader]


class Apps(Struct):
    """The apps that a key opens."""

    data: list[App]


class OrgWithApps(Org, rename="camel", kw_only=True):
    """An organisation, with its apps."""

    apps: list[App]
    feature_key_format: str


class Person(Struct):
    """Who is logged in."""

    id: str
    email: str
    name: str


class Bootstrap(Struct):
    """What the command line asks for first."""

    org: OrgWithApps
    user: Person


# --- flags ---------------------------------------------------------------------------------------------------------


class FlagHeader(Struct, rename="camel", kw_only=True):
    """A flag."""

    id: str
    key: str
    name: str
    description: str | UnsetType = UNSET
    stage: Any | UnsetType = UNSET
    created_at: str | UnsetType = UNSET
    archived: bool
    permanent: bool
    stale: Literal[False] = False
    code_refs_cleaned_up: Literal[False] = False
    no_recent_checks: Literal[False] = False


class Flags(Struct):
    """All flags."""

    data: list[FlagHeader]


class FlagChanged(Struct, rename="camel"):
    """A flag as it is now, and the version that the definitions have in each environment, by its id."""

    flag: FlagHeader
    flag_state_versions: dict[str, int]


class NewFlag(Struct, rename="camel", kw_only=True):
    """A flag to make; there are no stages and no owners here, so nothing comes of them."""

    key: FeatureKey
    name: Name
    description: str | None = None
    permanent: bool = False
    secret: bool = False
    stage_id: str | UnsetType = UNSET
    owner_user_id: str | None = None


class FlagChange(Struct, rename="camel", kw_only=True):
    """What to change of a flag; what is not named stays."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    permanent: bool | UnsetType = UNSET
    secret: bool | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET
    stage_id: str | UnsetType = UNSET
    owner_user_id: str | UnsetType | None = UNSET


class RemoteVariant(Struct):
    """One value of a flag's config."""

    key: str
    payload: Any


class RemoteConfigItem(Struct):
    """A variant, as the command line looks for it."""

    variant: RemoteVariant


class RemoteConfig(Struct):
    """The variants of a flag's config."""

    variants: list[RemoteConfigItem]


class FlagListed(Struct, rename="camel"):
    """A flag, as the command line wants it."""

    id: str
    key: str
    name: str
    description: str | None
    stage: Any
    remote_configs: list[RemoteConfig]


class Page(Struct, rename="camel", kw_only=True):
    """What every list says of itself: it is whole here, in one page."""

    total_count: int
    page_size: int
    page_index: Literal[0] = 0


class FlagsListed(Page, rename="camel", kw_only=True):
    """All flags, as the command line wants them."""

    data: list[FlagListed]
    sort_by: str
    sort_order: str
    metadata: dict[str, Any] = {}


class FlagMade(Struct):
    """The flag that the command line made."""

    feature: FlagListed


# --- users and companies -------------------------------------------------------------------------------------------


class EntityChange(Struct):
    """What to change of a user or company; what is not named stays. `name` is the attribute of that name."""

    name: str | UnsetType = UNSET
    attributes: dict[str, Raw] | None = None


class Entity(Struct):
    """A user or company as it is now."""

    id: str
    attributes: JsonObject
    name: str | UnsetType = UNSET


class UserDeletion(Struct):
    """Nothing is asked."""


class CompanyDeletion(Struct, rename="camel"):
    """Whether the users go too that are in no other company."""

    delete_users: bool = True


class Deleted(Struct):
    """That it is done."""


class EntityFlag(Struct, rename="camel", kw_only=True):
    """A flag for a user or company; nobody counts here who saw it."""

    id: str
    key: str
    name: str
    created_at: str
    value: bool
    specific_target_value: bool | None
    first_exposure_at: str | None = None
    last_exposure_at: str | None = None
    last_check_at: str | None = None
    exposure_count: Literal[0] = 0
    first_track_at: str | None = None
    last_track_at: str | None = None
    track_count: Literal[0] = 0


class EntityFlags(Page, kw_only=True):
    """All flags for a user or company."""

    data: list[EntityFlag]


class EntityFlagsChanged(EntityFlags, rename="camel", kw_only=True):
    """All flags for a user or company, and the version that the definitions have now."""

    flag_state_version: int


class FlagUpdate(Struct, rename="camel"):
    """Whether a flag is on for this one, whatever its rules say; null ends that."""

    flag_key: FeatureKey
    specific_target_value: Annotated[bool, Meta(extra_json_schema={"const": True})] | None


class FlagUpdates(Struct, rename="camel"):
    """Flags to turn on for a user or company."""

    updates: list[FlagUpdate]
    change_description: str | UnsetType = UNSET
    notifications: list[Literal["linearComment", "slack"]] | UnsetType = UNSET
