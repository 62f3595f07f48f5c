"""The shapes of answers that are put together elsewhere, from no type; `openapi` describes them."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from bucket_loader.emulator.evaluation import features
from bucket_loader.model import ERROR_CODES, rules


class Success(Struct):
    """The call was applied."""

    success: Literal[True]


class FeedbackTaken(Struct, rename="camel"):
    """The feedback was applied; its id amends it later."""

    success: Literal[True]
    feedback_id: str


class OptedIn(Struct, rename="camel"):
    """The opt-in was kept; it shows from this version of the definitions on."""

    success: Literal[True]
    flag_state_version: int


class Mistake(Struct, forbid_unknown_fields=True):
    """One thing that is wrong: `[17].userId: must ...` names the item and the field."""

    message: str


class Error(Struct, rename="camel", forbid_unknown_fields=True):
    """Why a call was refused."""

    code: ERROR_CODES
    message: str
    validation_errors: list[Mistake]


class Refusal(Struct, forbid_unknown_fields=True):
    """The call was refused, and nothing of it applied."""

    success: Literal[False]
    error: Error


class DefinitionsShown(features.Definitions, rename="camel", kw_only=True):
    """Every feature, with its rules and variants."""

    success: Literal[True]


class EvaluationProblem(Struct):
    """Why a rule could not be decided; such a rule does not match."""

    code: rules.ErrorCode
    field: str
    message: str
    operator: str | UnsetType = UNSET


class EvaluatedConfig(Struct, rename="camel"):
    """The variant of a feature's config; `key` and `name` are the same."""

    key: str | None
    name: str | None
    version: int
    default: bool
    payload: Any
    rule_evaluation_results: list[bool]
    missing_context_fields: list[str]
    evaluation_errors: list[EvaluationProblem] | UnsetType = UNSET


class OptInState(Struct, rename="camel"):
    """Whether the user or the company has opted into a feature, and what they are told of it."""

    user_opted_in: bool
    company_opted_in: bool
    is_opted_in: bool
    name: str
    description: str | None


class EvaluatedFeature(Struct, rename="camel"):
    """A feature for one context; `value` and `version` are what the first clients read."""

    key: str
    is_enabled: bool
    targeting_version: int
    rule_evaluation_results: list[bool]
    missing_context_fields: list[str]
    value: bool
    version: int
    opt_in_enabled: bool
    opt_in: OptInState | None
    evaluation_errors: list[EvaluationProblem] | UnsetType = UNSET
    config: EvaluatedConfig | UnsetType = UNSET


class Flag(Struct):
    """A feature, as the legacy API names it."""

    key: str
    value: bool
    version: int


class Evaluated(Struct, rename="camel"):
    """Features for one context, by key; `flags` is there in the legacy API."""

    success: Literal[True]
    features: dict[str, EvaluatedFeature]
    remote_context_used: bool
    flag_state_version: int
    flags: dict[str, Flag] | UnsetType = UNSET
