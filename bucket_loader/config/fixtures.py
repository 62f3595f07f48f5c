"""Fixtures: small files that stand for the sources of a pipeline file in a rehearsal.

Where any are given, no other source is asked but files of this machine: each of the others gives way to one that is
`not_given`, so that no variable of it needs to be set, and whoever wants its rows is told which fixture is missing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from bucket_loader.config.addresses import scheme_of
from bucket_loader.config.document import Document, Path_
from bucket_loader.config.noting import in_our_words
from bucket_loader.config.plugins import type_named
from bucket_loader.config.references import replaced
from bucket_loader.config.sources import (
    SOURCE_TYPES,
    CsvSource,
    FileSource,
    FixtureSource,
    QuerySource,
    SourceType,
    type_of_path,
)
from bucket_loader.model import UsageError, did_you_mean


class UnknownFixtureError(UsageError):
    """A fixture is for a name that the pipeline file does not have.

    Attributes:
        name: that name.
        known: those that it has.
    """

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"no source and no stream of the pipeline file is named {name!r}, so a fixture for it stands for nothing",
            hint=did_you_mean(name, known, f"the file has: {', '.join(known) or 'none'}"),
        )
        self.name = name
        self.known = known


Instead = dict[Path_, Any]
"""What stands in the place of a file's own values, by their paths."""

HASH_KEY: Final = "a-hash-key-for-fixtures"
"""What `hash: hmac` hashes with then: the same on every machine, so that a test can name what comes out."""

_NOT_THOSE_OF_A_FIXTURE: Final = {"type", "path", "storage", "new_files", "compression"}
_KINDS: Final = tuple(row for row in SOURCE_TYPES if issubclass(row.model, FileSource))


def stand_ins(document: Document, fixtures: Mapping[str, Path], variables: Mapping[str, str]) -> Instead:
    """Return what takes the place of sources, of the hash key, and of words of the destination that are not set.

    Raises:
        UsageError: a fixture stands for nothing, or is no file that can be read.
    """
    own = _own_sources(document)
    unknown = [name for name in fixtures if name not in own]
    if unknown:
        raise UnknownFixtureError(unknown[0], sorted(own))
    _require_one_each(fixtures, own)
    found: Instead = {("hash_key",): HASH_KEY} if "hash_key" in document.data else {}
    for path, source in _by_place(document).items():
        name = next((name for name in fixtures if own[name] == path), None)
        if name is not None:
            found[path] = _fixture(name, fixtures[name], source, variables)
        elif isinstance(source, dict) and not _may_stay(source, variables):
            found[path] = FixtureSource()
    destination = document.data.get("destination")
    if isinstance(destination, dict):
        known = _known(destination, variables)
        found |= {("destination", name): None for name in destination if name not in known}
    return found


def nowhere(document: Document) -> Instead:
    """Return what takes the place of the destination and of the hash key for who only looks at the file."""
    destination = document.data.get("destination")
    api = {"api": destination["api"]} if isinstance(destination, dict) and "api" in destination else {}
    found: Instead = {("destination",): {"key": "pub_not-needed", **api}}
    return found | ({("hash_key",): HASH_KEY} if "hash_key" in document.data else {})


def take_out(document: Document, path: Path_) -> None:
    """Take a value out of a document, where it has it."""
    parent = _parent(document, path)
    if isinstance(parent, dict):
        parent.pop(path[-1], None)


def put_in(document: Document, path: Path_, value: object) -> None:
    """Put a value into a document; None stands for a word that is not written."""
    parent = _parent(document, path)
    if isinstance(parent, dict) and value is not None:
        parent[path[-1]] = value


def _parent(document: Document, path: Path_) -> object:
    """Return what holds the value of a path; a mapping that is not there yet is made."""
    parent = document.data
    for part in path[:-1]:
        parent = parent.setdefault(part, {}) if isinstance(parent, dict) else parent[part]
    return parent


def _by_place(document: Document) -> dict[Path_, Any]:
    """Return every source that is written in the file, by its path."""
    sources, streams = document.data.get("sources"), document.data.get("streams")
    named = sources.items() if isinstance(sources, dict) else ()
    listed = enumerate(streams) if isinstance(streams, list) else ()
    found: dict[Path_, Any] = {("sources", name): source for name, source in named}
    return found | {
        ("streams", index, "source"): stream["source"]
        for index, stream in listed
        if isinstance(stream, dict) and not isinstance(stream.get("source", ""), str)
    }


def _own_sources(document: Document) -> dict[str, Path_]:
    """Return the path of what each name stands for: a named source, else the source of the stream that is called so."""
    streams = document.data.get("streams")
    found: dict[str, Path_] = {}
    for index, stream in enumerate(streams if isinstance(streams, list) else ()):
        if isinstance(stream, dict) and isinstance(name := stream.get("name"), str):
            source = stream.get("source")
            found[name] = ("sources", source) if isinstance(source, str) else ("streams", index, "source")
    return found | {str(path[1]): path for path in _by_place(document) if path[0] == "sources"}


def _require_one_each(fixtures: Iterable[str], own: Mapping[str, Path_]) -> None:
    names: dict[Path_, str] = {}
    for name in fixtures:
        if (other := names.setdefault(own[name], name)) != name:
            raise UsageError(
                f"two fixtures stand for one source: {other!r} and {name!r}",
                hint=f"the stream reads the named source {own[name][-1]!r}; give one of them",
            )


def _may_stay(source: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    """Whether a source without a fixture is read as it is: a query over others, or files of this machine."""
    row = type_named(str(source.get("type")))
    if row is None or row.model is QuerySource:  # what is not known is reported as in any file
        return True
    place = _known({"place": source.get(row.place)}, variables).get("place")
    return isinstance(place, str) and scheme_of(place) is None


def _known(words: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the words whose variables are set, with their values."""
    found: dict[str, Any] = {}
    for name, value in words.items():
        seen = Document()
        said = replaced(seen, (name,), value, variables)
        if not seen.mistakes:
            found[name] = said
    return found


def _fixture(name: str, file: Path, source: object, variables: Mapping[str, str]) -> FixtureSource:
    row = _type_of(name, file)
    own = source if isinstance(source, dict) else {}
    is_like_its_own = own.get("type") in row.names
    words = {word: value for word, value in own.items() if is_like_its_own and word not in _NOT_THOSE_OF_A_FIXTURE}
    kind = str(own["type"]) if is_like_its_own else file.suffix[1:] if file.suffix[1:] in row.names else row.name
    try:
        read = row.model.model_validate({**_known(words, variables), "type": kind, "path": str(file.absolute())})
    except ValidationError as error:
        said = "; ".join(in_our_words(found) for found in error.errors(include_url=False, include_input=False))
        raise UsageError(
            f"the fixture {name}={file} cannot be read as the source's own words say: {said}",
            hint="correct these words in the pipeline file, or give the fixture another kind of file",
        ) from None
    return FixtureSource(read=read, typed=row.model is CsvSource and not is_like_its_own)


def _type_of(name: str, file: Path) -> SourceType:
    row = type_of_path(file.name.removesuffix(".gz").removesuffix(".zst").lower())
    if row not in _KINDS:
        raise UsageError(
            f"the fixture {name}={file} is no file of rows by its name",
            hint="CSV (.csv), Parquet (.parquet) and JSON Lines (.jsonl) can stand for a source",
        )
    if not file.is_file():
        raise UsageError(f"there is no fixture {file} (for {name})", hint="paths start from where the command runs")
    return row
