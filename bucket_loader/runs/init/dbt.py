"""A model of dbt as a place: what dbt says of it goes into the first pipeline file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bucket_loader.config import DbtSource, type_of
from bucket_loader.model import UsageError
from bucket_loader.runs.init.place import Place, label_of, path_from
from bucket_loader.runs.init.places import Places
from bucket_loader.sources import DbtFiles, SourceContext

_MODEL: Final = re.compile(r"\w+(\.v\d+)?")
_PATHS: Final = ("project", "manifest")


@dataclass(frozen=True)
class DbtName:
    """A model that a person has named.

    Attributes:
        name: as in `ref`: `dim_accounts`, one version `dim_accounts.v2`, or with its package `shop.dim_accounts`.
        words: the words of the source that were given beside it: project, manifest, profile, target.
    """

    name: str
    words: Mapping[str, str] = field(default_factory=dict)


def dbt_places(named: DbtName, base: Path | None) -> Places:
    """Return a model of dbt as a source.

    Args:
        named: the model.
        base: the folder that paths are written relative to; the working directory where it is None.

    Raises:
        UsageError: nothing says where dbt's project is.
        SourceError: dbt has no such model.
    """
    words = {"type": "dbt", **_model_of(named.name), **named.words}
    if not set(_PATHS) & words.keys():
        if not Path("dbt_project.yml").is_file():
            raise UsageError("where is the project of dbt?", hint="--project ../dbt, or --manifest FILE --profile NAME")
        words["project"] = "."
    row = type_of(DbtSource)
    try:
        spec = DbtSource.model_validate(words)
    except ValueError:  # the one thing that can lack
        raise UsageError("a manifest alone does not say how to connect", hint="give --project, or --profile") from None
    node = DbtFiles(spec, SourceContext(Path.cwd())).node()
    written = {name: path_from(base, value) if name in _PATHS else value for name, value in words.items()}
    described = {one.name.lower(): one.description for one in node.columns.values() if one.description}
    place = Place(
        f"the {node.shown} of dbt", label_of(node.name), written, row, looked_at=words, described=described,
    )  # fmt: skip
    return Places(place.shown, place.label, [place], list(_notes(node.description or "")))


def _model_of(name: str) -> dict[str, str]:
    package, dot, model = name.partition(".")
    return {"model": name} if not dot or _MODEL.fullmatch(name) else {"model": model, "package": package}


def _notes(description: str) -> Iterator[str]:
    if description:
        yield f"dbt says of it: {description}"
    yield (
        "`require: {max_age: 6h}` in the source stops a run (exit 4) when dbt has not built the model for so long, or "
        "a test on it has failed."
    )
