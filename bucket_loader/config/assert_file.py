"""The assert file of a rehearsal: YAML text in, what is expected out, or every mistake at once, each with its line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from bucket_loader.config.document import Document, Path_, parse, read_whole
from bucket_loader.config.expected import AssertFile, Expectation
from bucket_loader.config.noting import ABSENT, Words, note, words_of
from bucket_loader.model import ConfigError, UsageError, did_you_mean

_START: Final = "write for example `counts: {users: 3}`"
_LISTED: Final = "docs/testing-pipelines.md lists what is"


@dataclass(frozen=True)
class Assertions:
    """What a file expects, and where in it each thing stands.

    Attributes:
        file: the assert file.
        expected: what it says.
    """

    file: Path
    expected: AssertFile
    _document: Document = field(repr=False)

    def line(self, *path: str | int) -> int:
        """Return the line of the nearest thing that the file has for a path."""
        while path and path not in self._document.places:
            path = path[:-1]
        return self._document.places.get(path, (1, 1))[0]

    def require(self, given: Iterable[tuple[Path_, str]], known: Sequence[str], what: str) -> None:
        """Refuse names that nothing has.

        Args:
            given: the names that the file has, each with its place.
            known: those that there are.
            what: what they are names of, for the message.

        Raises:
            ConfigError: some are not known; all of them.
        """
        seen = Document(places=self._document.places)
        for path, name in given:
            if name not in known:
                hint = did_you_mean(name, known, f"there are: {', '.join(known[:20]) or 'none'}")
                seen.mistake(path, f"no {what} is called {name!r}", hint)
        if seen.mistakes:
            raise ConfigError(str(self.file), seen.mistakes)

    def require_sources(self, names: Sequence[str]) -> None:
        """Refuse fixtures for what the pipeline does not have.

        Raises:
            ConfigError: there are some.
        """
        self.require([(("sources", name), name) for name in self.expected.sources], names, "source or stream")

    def require_streams(self, names: Sequence[str]) -> None:
        """Refuse names of streams that the pipeline does not have.

        Raises:
            ConfigError: there are some.
        """
        given: list[tuple[Path_, str]] = [(("streams", name), name) for name in self.expected.streams]
        for index, row in enumerate(self.expected.rejected or ()):
            given += [(("rejected", index, "stream"), row.stream)] if row.stream is not None else []
        self.require(given, names, "stream")

    def require_features(self, keys: Sequence[str]) -> None:
        """Refuse features that are not defined.

        Raises:
            ConfigError: there are some.
        """
        self.require([(("features", key), key) for key in self.expected.features], keys, "feature")


def load_assertions(file: Path) -> Assertions:
    """Read an assert file.

    Raises:
        UsageError: there is no such file.
        ConfigError: it has mistakes; all that could be found.
    """
    try:
        text = read_whole(file)
    except OSError as error:
        raise UsageError(
            f"cannot read the assert file {file}: {error.strerror}", hint="docs/testing-pipelines.md shows a first one"
        ) from None
    document = parse(text, str(file), _START)
    try:
        expected = AssertFile.model_validate(document.data)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            note(document, found, _path(document, found), Words(words_of(Expectation), _LISTED))
        raise ConfigError(str(file), document.mistakes) from None
    if document.mistakes:
        raise ConfigError(str(file), document.mistakes)
    return Assertions(file, expected, document)


def _path(document: Document, found: Any) -> Path_:  # noqa: ANN401  # pydantic's own
    """Return where an error is in the file: without the names of alternatives, which only pydantic knows."""
    path: Path_ = ()
    for index, part in enumerate(found["loc"]):
        is_word = found["type"] in ABSENT and index == len(found["loc"]) - 1
        if (*path, part) in document.places or is_word:
            path = (*path, part)
    return path


def assert_schema() -> dict[str, Any]:
    """Return the JSON Schema of the assert file, for editors."""
    schema = AssertFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "bucket_loader assert file"} | {
        key: value for key, value in schema.items() if key != "title"
    }
