"""The pipeline file: YAML text in, a `Pipeline` out, or every mistake at once, each with its line."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bucket_loader.config.any_source import TAGS
from bucket_loader.config.checks import problems
from bucket_loader.config.document import Document, Path_, parse, read_whole, spell
from bucket_loader.config.fixtures import Instead, nowhere, put_in, stand_ins, take_out
from bucket_loader.config.found import holds_rows, other_than
from bucket_loader.config.mapping import NAMED_VALUES
from bucket_loader.config.noting import ABSENT, Words, note, words_of
from bucket_loader.config.pipeline import Pipeline
from bucket_loader.config.references import (
    is_unset,
    pass_over_unset_places,
    pass_over_unset_webhooks,
    refuse_literals,
    replaced,
    sources_of,
)
from bucket_loader.config.scalars import Model
from bucket_loader.config.sources import SOURCE_TYPES
from bucket_loader.model import ConfigError, UsageError

PassOver = Callable[[Document, Mapping[str, str]], None]
"""Puts something in the place of each word of a kind whose variable is not set."""


def load_pipeline(
    file: Path,
    *,
    variables: Mapping[str, str] | None = None,
    destination: Mapping[str, Any] | None = None,
    fixtures: Mapping[str, Path] | None = None,
    tells: bool = True,
) -> Pipeline:
    """Read a pipeline file.

    Args:
        file: the YAML file.
        variables: what `${VAR}` refers to; the environment by default.
        destination: values to put in place of the file's own, unread (a rehearsal's host and key).
        fixtures: files that stand for sources, by the source's or the stream's name; then no other source is read but
            files of this machine, and no variable of the others and of the destination needs to be set.
        tells: whether `notify:` is told of what comes of it; else no variable of a webhook needs to be set.

    Raises:
        UsageError: there is no such file, or a fixture that stands for nothing.
        ConfigError: it has mistakes; all that could be found.
    """
    document = _read(file)
    known = os.environ if variables is None else variables
    instead: Instead = {} if fixtures is None else stand_ins(document, fixtures, known)
    instead |= {("destination", name): value for name, value in (destination or {}).items()}
    return _completed(document, known, instead, () if tells else (pass_over_unset_webhooks,))


def look_at_pipeline(file: Path) -> Pipeline:
    """Read a pipeline file of which nothing is read or sent: no variable of an address or a secret needs to be set.

    Raises:
        UsageError: there is no such file.
        ConfigError: it has mistakes; all that could be found.
    """
    document = _read(file)
    passed_over = (pass_over_unset_webhooks, pass_over_unset_places)
    return _completed(document, os.environ, nowhere(document), passed_over)


def _completed(
    document: Document, variables: Mapping[str, str], instead: Instead, passed_over: Sequence[PassOver]
) -> Pipeline:
    """Return what a file says, with variables in the place of their references, and `instead` in that of its words."""
    for path in instead:
        take_out(document, path)  # unread: its variable need not be set
    refuse_literals(document)
    for pass_over in passed_over:
        pass_over(document, variables)
    document.data = replaced(document, (), document.data, variables)
    _refuse_frames(document)
    for path, value in instead.items():
        put_in(document, path, value)
    return _validated(document)


def lacks_key(file: Path) -> bool:
    """Whether the variable of a pipeline file's key is not set, or is empty. A file with mistakes lacks none."""
    try:
        document = parse(read_whole(file), str(file), "")
    except (OSError, ConfigError):
        return False
    destination = document.data.get("destination")
    return isinstance(destination, dict) and is_unset(destination.get("key"), os.environ)


def pipeline_from(data: Mapping[str, Any]) -> Pipeline:
    """Make a pipeline from plain data, as a program gives it: nothing is replaced, a key is taken as it is.

    Raises:
        ConfigError: it has mistakes; all that could be found.
    """
    return _validated(Document(dict(data), dict(data), file="the pipeline"))


def _read(file: Path) -> Document:
    try:
        text = read_whole(file)
    except OSError as error:
        raise UsageError(f"cannot read the pipeline file {file}: {error.strerror}", hint=other_than(file)) from None
    if holds_rows(file):
        raise UsageError(
            f"{file} is a file of rows by its name; a pipeline file says what becomes of them",
            hint=f"`{shlex.join(['bucket-loader', 'init', str(file), '-o', f'{file.stem}.yaml'])}` writes one for it",
        )
    return parse(text, str(file), "begin with `name:`; `bucket-loader init SOURCE -o FILE` writes a first one")


def _refuse_frames(document: Document) -> None:
    """Refuse a DataFrame in a file: only a program has one."""
    refused = [name for row in SOURCE_TYPES if not row.is_for_files for name in row.names]
    for path, source in sources_of(document):
        if isinstance(source, dict) and (name := source.get("type")) in refused:
            document.mistake(
                path, f"`type: {name}` is for programs; a file names a source that it can read, such as csv or sql"
            )


def _validated(document: Document) -> Pipeline:
    pipeline: Pipeline | None = None
    known = {mistake.path for mistake in document.mistakes}  # a variable that is not set says nothing of its value
    for path, message in problems(document.data):
        if spell(path) not in known:
            document.mistake(path, message)
    try:
        pipeline = Pipeline.model_validate(document.data)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            absent = found["type"] in ABSENT
            path = _path_in_file(document, found["loc"], absent=absent)
            if spell(path) not in known:
                note(document, found, path, Words(words_of(Model), "`bucket-loader schema` lists what is"))
    if document.mistakes or pipeline is None:
        raise ConfigError(document.file, document.mistakes)
    return pipeline


def _path_in_file(document: Document, location: tuple[str | int, ...], *, absent: bool) -> Path_:
    """Drop what pydantic adds to a location: the tags of unions, and our `named` and `star`.

    `absent` says that the last part is a key, which the file need not have.
    """
    path: Path_ = ()
    tagged = False
    for index, part in enumerate(location):
        before = location[index - 1] if index else None
        if before in NAMED_VALUES and path[2:] == ("fields", before):
            if part == "star":
                path = (*path, "*")
            continue
        named_source = len(path) == 2 and path[0] == "sources"  # noqa: PLR2004  # sources, its name
        inline_source = path[:1] == ("streams",) and path[2:] == ("source",)
        tags = TAGS | {"inline", "name"} if inline_source else TAGS
        if (inline_source or named_source) and not tagged and part in tags:
            tagged = part in TAGS
            continue
        is_there = (*path, part) in document.places or not document.places  # a program's data has no places
        if is_there or (absent and index == len(location) - 1):
            path = (*path, part)
    return path


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the pipeline file, for editors."""
    schema = Pipeline.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "bucket_loader pipeline file"} | {
        key: value for key, value in schema.items() if key != "title"
    }
