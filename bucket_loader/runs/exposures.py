"""What dbt should know of pipelines: an exposure for each stream that reads its models, as a file of dbt's project."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bucket_loader.config import DbtSource, Owner, Pipeline, Stream, look_at_pipeline
from bucket_loader.model import UsageError
from bucket_loader.planning import sources_under
from bucket_loader.runs.init.guess import in_quotes

_HEAD: Final = "# Made by `bucket-loader exposures`: change the pipeline files, and run it again.\nexposures:"


@dataclass(frozen=True)
class Exposure:
    """One exposure.

    Attributes:
        name: as dbt wants it: of letters, digits and underscores.
        of: the pipeline file and the stream, for a message.
        description: what it is.
        refs: the calls of `ref` for what it reads.
        owner: who answers for it.
    """

    name: str
    of: str
    description: str
    refs: Sequence[str]
    owner: Owner


@dataclass(frozen=True)
class Exposures:
    """The exposures of some pipelines.

    Attributes:
        members: each of them, by name.
        others: the streams that read no model of dbt, a sentence for each pipeline file.
    """

    members: Sequence[Exposure]
    others: Sequence[str]

    @property
    def text(self) -> str:
        """What the file holds: the same for the same pipelines, in whatever order they are named."""
        lines = [line for one in self.members for line in _lines(one)]
        return "\n".join([_HEAD, *lines] if lines else [f"{_HEAD} []"]) + "\n"


def exposures_of(files: Sequence[Path]) -> Exposures:
    """Return the exposures of pipeline files. Nothing but the files themselves is read.

    Raises:
        UsageError: one says nothing of its owner, whom dbt wants to know, or two streams would have one name.
        ConfigError: one has mistakes.
    """
    found: dict[str, Exposure] = {}
    others: list[str] = []
    for file in dict.fromkeys(files):
        pipeline = look_at_pipeline(file)
        without = []
        for stream in pipeline.streams:
            if not (refs := _refs(pipeline, stream)):
                without.append(stream.name)
                continue
            one = _exposure(file, pipeline, stream, refs)
            if (other := found.setdefault(one.name, one)) is not one:
                raise UsageError(
                    f"{other.of} and {one.of} would both be the exposure {one.name!r}",
                    hint="give the pipelines or the streams names that differ in their letters or digits",
                )
        others += [f"{file}: no model of dbt is read by {', '.join(without)}"] if without else []
    return Exposures([found[name] for name in sorted(found)], others)


def is_written(exposures: Exposures, file: Path) -> bool:
    """Whether a file holds these exposures, byte for byte."""
    try:
        return file.read_bytes() == exposures.text.encode()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint="give a file with -o") from None


def write_exposures(exposures: Exposures, file: Path) -> None:
    """Write the exposures. Anybody may read the file who may read others of dbt's project.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file.write_bytes(exposures.text.encode())
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", hint="is its folder there?") from None


def _refs(pipeline: Pipeline, stream: Stream) -> list[str]:
    """Return the calls of `ref` for what a stream reads, also under a query."""
    specs = sources_under(pipeline, stream)
    return sorted({_ref(spec) for spec in specs if isinstance(spec, DbtSource)})


def _ref(spec: DbtSource) -> str:
    name, version = spec.ref
    parts = [f"'{part}'" for part in (spec.package, name) if part is not None]
    if version is not None:
        parts.append(f"v={version}" if version.isdigit() else f"v='{version}'")
    return f"ref({', '.join(parts)})"


def _exposure(file: Path, pipeline: Pipeline, stream: Stream, refs: Sequence[str]) -> Exposure:
    if pipeline.owner is None:
        raise UsageError(
            f"{file} does not say whose it is, and dbt wants to know that of an exposure",
            hint="write at the top: `owner: {name: Growth, email: growth@example.com}`",
        )
    what = (
        f"The stream {stream.name} of the pipeline {pipeline.name} loads it into Bucket, as {stream.kind.name} records."
    )
    return Exposure(
        name=re.sub(r"[^a-z0-9]+", "_", f"{pipeline.name} {stream.name}".lower()).strip("_"),
        of=f"{file}: stream {stream.name!r}",
        description=" ".join([*([pipeline.description] if pipeline.description else []), what]),
        refs=refs,
        owner=pipeline.owner,
    )


def _lines(one: Exposure) -> Iterator[str]:
    yield f"  - name: {one.name}"
    yield "    type: application"
    if one.owner.url is not None:
        yield f"    url: {_text(one.owner.url)}"
    yield f"    description: {_text(one.description)}"
    yield "    depends_on:"
    yield from (f"      - {ref}" for ref in one.refs)
    yield "    owner:"
    yield from (f"      {name}: {_text(value)}" for name in ("name", "email") if (value := getattr(one.owner, name)))


def _text(text: str) -> str:
    """Return a text in double quotes, in which dbt sees no Jinja."""
    return in_quotes(re.sub(r"\{(?=[{%#])", "{ ", " ".join(text.split())))
