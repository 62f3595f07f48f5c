"""What may stand where the pipeline file names a source: one of our types, one of another package, or a name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, Union

from pydantic import (
    Discriminator,
    GetJsonSchemaHandler,
    PlainValidator,
    SerializeAsAny,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, PydanticOmit

from bucket_loader.config.plugins import OURS, PluginError, is_plugin, type_named, usable_plugins
from bucket_loader.config.source_base import SourceSpec
from bucket_loader.config.sources import SOURCE_TYPES

_PLUGIN: Final = "plugin"
TAGS: Final = frozenset({_PLUGIN, *(row.name for row in SOURCE_TYPES)})


def _tag(value: object) -> str | None:
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    if not isinstance(name, str):
        return None
    return OURS[name].name if name in OURS else _PLUGIN if is_plugin(name) else name


def _of_plugin(value: Any) -> SourceSpec:  # noqa: ANN401  # whatever stands in the file
    """Read the words of another package's source type by its own model."""
    if isinstance(value, SourceSpec):
        return value
    try:
        row = type_named(value["type"])
    except PluginError as error:
        raise PydanticCustomError(
            "source_plugin", "{said}", {"said": error.message, "hint": error.hint}
        ) from None  # fmt: skip
    assert row is not None  # noqa: S101  # `_tag` has asked
    return row.model.model_validate(value)


class _AsPlugins:
    """In the JSON Schema: the models of all packages that can be imported."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        models = [handler(row.model.__pydantic_core_schema__) for row in usable_plugins()]
        if not models:
            raise PydanticOmit
        return {"anyOf": models}


if TYPE_CHECKING:
    AnySource: TypeAlias = SourceSpec
else:
    _unwritten = {True: (), False: (SkipJsonSchema(),)}
    _ours = [Annotated[(row.model, *_unwritten[row.is_for_files], Tag(row.name))] for row in SOURCE_TYPES]
    _theirs = Annotated[SerializeAsAny[SourceSpec], PlainValidator(_of_plugin), _AsPlugins(), Tag(_PLUGIN)]
    AnySource = Annotated[
        Union[(*_ours, _theirs)],  # of as many as there are rows
        Discriminator(_tag, custom_error_type="source_type", custom_error_message="needs `type:`"),
    ]


def _named_or_inline(value: object) -> str:
    return "name" if isinstance(value, str) else "inline"


SourceOrName = Annotated[
    Annotated[str, Tag("name")] | Annotated[AnySource, Tag("inline")], Discriminator(_named_or_inline)
]


def source_from(words: Mapping[str, Any]) -> SourceSpec:
    """Return the source of a file's words, as plain data.

    Raises:
        ValueError: they are wrong; says which.
    """
    try:
        return TypeAdapter(AnySource).validate_python(dict(words))
    except ValidationError as error:
        raise ValueError(str(error)) from None
