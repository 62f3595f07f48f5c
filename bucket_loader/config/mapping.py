"""How a record is made from a row: the fields of a stream."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, create_model, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from bucket_loader.config.scalars import Model, Scale, Texts, Timezone, directives
from bucket_loader.model import KINDS, FieldForm, contract

Names = Mapping[str, Sequence[str] | None]
"""Mapped fields; those that have several values with the names of these, where `*` stands for any."""

FieldType = Literal["string", "integer", "number", "boolean", "timestamp", "date", "json"]


class FieldSpec(Model):
    """Where one field's value comes from: a column, a constant, or an expression; and how to read it."""

    column: str | None = None
    value: str | bool | int | float | None = None
    sql: str | None = None
    type: FieldType | None = None
    format: Texts | None = None
    timezone: Timezone | None = None
    dst: Literal["earliest", "latest"] | None = None
    unit: Literal["s", "ms", "us", "ns"] | None = None
    null_values: list[str] | None = None
    default: str | bool | int | float | None = None
    encoding: Literal["utf8", "hex", "base64"] | None = None
    hash: Literal["sha256", "hmac"] | None = Field(
        default=None,
        description="hmac needs `hash_key:`; sha256 of a guessable value, such as an address, is no secret",
    )
    scale: Scale | None = Field(
        default=None,
        exclude_if=lambda scale: scale is None,  # so that mappings without it are known by what they were known by
        description="of a `score`: the least and the greatest one that was asked for, which become 1 and 5",
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_column(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [name for name in ("column", "value", "sql") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError("needs exactly one of `column:`, `value:` and `sql:` (a bare text is a column)")
        if "value" in given and (extra := self.model_fields_set - {"value", "type"}):
            raise ValueError(f"a constant takes no {', '.join(f'`{name}:`' for name in sorted(extra))}")
        if self.format is not None and self.unit is not None:
            raise ValueError("`format:` reads text and `unit:` reads numbers since 1970; give one of them")
        for wanted in ("format", "unit"):
            if getattr(self, wanted) is not None and self.type not in {None, "timestamp", "date"}:
                raise ValueError(f"`{wanted}:` belongs to `type: timestamp` or `type: date`")
        if any({"%y", "%-y"} & set(directives(form)) for form in self.format or []):
            raise ValueError("a two-digit year (%y) has no certain century; use %Y")
        if self.hash is not None and self.type not in {None, "string"}:
            raise ValueError(f"`hash:` makes text, which is no `type: {self.type}`")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a bare text is a column."""
        return {"anyOf": [{"type": "string", "description": "a column"}, handler.resolve_ref_schema(handler(core))]}


class Star(Model):
    """Every column that is not used elsewhere in the stream."""

    exclude: Texts = Field(default=[])


class Values(Model):
    """Named values of a record: its attributes, or the context of an evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    star: Star | None = None
    named: dict[str, FieldSpec] = Field(default={})

    def names(self) -> list[str]:
        """Return the names that are written, `*` among them."""
        return [*self.named, *(["*"] if self.star is not None else [])]

    @model_validator(mode="before")
    @classmethod
    def _split_star(cls, value: object) -> object:
        if value == "*":
            return {"star": {}}
        if not isinstance(value, dict):
            raise ValueError(  # noqa: TRY004  # pydantic collects ValueError only
                'is a mapping from attribute names to fields, or "*" for every column not used elsewhere'
            )
        named = dict(value)
        split: dict[str, object] = {"named": named}
        if "*" in named:
            split["star"] = named.pop("*") or {}
        return split

    @model_validator(mode="after")
    def _usable_names(self) -> Self:
        if "" in self.named:
            raise ValueError("an attribute needs a name")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that names stand beside `*`."""
        parts = handler.resolve_ref_schema(handler(core))["properties"]
        named = {
            "type": "object",
            "properties": {"*": parts["star"]},
            "additionalProperties": parts["named"]["additionalProperties"],
        }
        return {"anyOf": [{"const": "*"}, named]}


def _forms() -> dict[str, FieldForm]:
    """Return the form of each field of all kinds of records: single values, then named ones, then the time."""
    forms = {rule.name: rule.form for kind in KINDS for rule in contract.rules(kind).values() if rule.form != "context"}
    return dict(sorted(forms.items(), key=lambda field: (field[1] == "timestamp", field[1] == "values")))


_FORMS: Final = _forms()
NAMED_VALUES: Final = frozenset(name for name, form in _FORMS.items() if form == "values")


class _Given(Model):
    """The fields of a record, by their names on the wire."""

    def given(self) -> dict[str, FieldSpec | Values]:
        """Return the mapped fields by name."""
        return {name: spec for name in type(self).model_fields if (spec := getattr(self, name)) is not None}

    def by_path(self) -> dict[str, FieldSpec]:
        """Return what is written of each value, by its path: `companyId`, `attributes.seats`; not what `*` spreads."""
        found: dict[str, FieldSpec] = {}
        for name, spec in self.given().items():
            if isinstance(spec, Values):
                found |= {f"{name}.{key}": inner for key, inner in spec.named.items()}
            else:
                found[name] = spec
        return found

    def names(self) -> Names:
        """Return the mapped fields by name, each with the names of its values where it has several."""
        return {name: spec.names() if isinstance(spec, Values) else None for name, spec in self.given().items()}


if TYPE_CHECKING:
    Fields: TypeAlias = _Given
else:  # one member for each field that the contract has
    _members = {name: ((Values if name in NAMED_VALUES else FieldSpec) | None, None) for name in _FORMS}
    Fields = create_model("Fields", __base__=_Given, __doc__=_Given.__doc__, **_members)
