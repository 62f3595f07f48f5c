"""Who is told how a run ended, and of which endings."""

from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bucket_loader.config.addresses import Webhook
from bucket_loader.config.scalars import Model

Occasion = Literal["failed", "stopped", "rejected", "held", "recovered"]
"""An ending that may be told: see docs/notify.md."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _one_or_several(value: object) -> object:
    if not isinstance(value, (dict, list, tuple)):
        raise ValueError("is a webhook or a list of them, for example {webhook: ${SLACK_WEBHOOK_URL}, on: failed}")  # noqa: TRY004  # pydantic reports ValueErrors
    return [value] if isinstance(value, dict) else value


def _not_recovered_alone(occasions: list[Occasion]) -> list[Occasion]:
    if set(occasions) == {"recovered"}:
        raise ValueError("`recovered` follows what was told before: name that too, for example [failed, recovered]")
    return occasions


_WORD: dict[str, Any] = {"enum": list(get_args(Occasion))}
_Occasions = Annotated[
    list[Occasion],
    BeforeValidator(_as_list),
    AfterValidator(_not_recovered_alone),
    WithJsonSchema({"anyOf": [_WORD, {"type": "array", "items": _WORD, "minItems": 1}]}),
]


class Notify(Model):
    """A webhook that is told how runs ended."""

    webhook: Webhook = Field(description="only by reference, for example ${SLACK_WEBHOOK_URL}")
    on: _Occasions = Field(
        default=list(get_args(Occasion)), min_length=1, description="the endings that it is told of; all by default"
    )

    @property
    def host(self) -> str:
        """The host and port, which may be shown; the rest of a webhook's address is a secret."""
        return urlsplit(self.webhook.get_secret_value()).netloc


class _OneOrSeveral:
    """Says in the JSON Schema that one webhook needs no list."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(core)
        return {"anyOf": [several["items"], several]}


Webhooks = Annotated[list[Notify], BeforeValidator(_one_or_several), _OneOrSeveral()]
