"""The pipeline file: YAML text in, a `Pipeline` out, or every mistake at once, each with its line.

Text is composed to nodes rather than loaded, so that every value keeps its place, a repeated key is seen, and nothing
but plain scalars, lists and mappings can come out (TRAPS: YAML config).
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bucket_loader import config
from bucket_loader.config import Pipeline, Stream
from bucket_loader.errors import ConfigError, Mistake, UsageError

FILE_BYTES_MAX: Final = 1024 * 1024
NODES_MAX: Final = 100_000  # an alias bomb expands past this long before it hurts
DEPTH_MAX: Final = 100

Path_ = tuple[str | int, ...]
_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_ONLY_A_REFERENCE = re.compile(r"\s*\$\{[A-Za-z_][A-Za-z0-9_]*\}\s*")


@dataclass
class Document:
    """A parsed file: plain data, the place of every node, and the mistakes met on the way."""

    data: Any = None
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def mistake(self, path: Path_, message: str, hint: str = "") -> None:
        """Note a mistake at the nearest place that the file has for a path."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        self.mistakes.append(Mistake(_spell(path), message, hint, line, column))


def load_pipeline(
    file: Path, *, variables: Mapping[str, str] | None = None, destination: Mapping[str, Any] | None = None
) -> Pipeline:
    """Read a pipeline file.

    Args:
        file: the YAML file.
        variables: what `${VAR}` refers to; the environment by default.
        destination: values to put in place of the file's own, unread (a rehearsal's host and key).

    Raises:
        UsageError: there is no such file.
        ConfigError: it has mistakes; all that could be found.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the pipeline file {file}: {error.strerror}",
            hint="give the path of a pipeline file; `bucket-loader init SOURCE` writes a first one",
        ) from None
    document = parse(text, str(file))
    given = dict(destination or {})
    written = document.data.setdefault("destination", {}) if given else document.data.get("destination")
    if isinstance(written, dict):
        for name in given:
            written.pop(name, None)  # unread: its variable need not be set
        _refuse_literal_key(document, written)
    document.data = _replace(document, (), document.data, os.environ if variables is None else variables)
    if given and isinstance(document.data["destination"], dict):
        document.data["destination"] |= given
    return _validated(document, str(file))


def pipeline_from(data: Mapping[str, Any]) -> Pipeline:
    """Make a pipeline from plain data, as a program gives it: nothing is replaced, a key is taken as it is.

    Raises:
        ConfigError: it has mistakes; all that could be found.
    """
    return _validated(Document(dict(data)), "the pipeline")


def parse(text: bytes, file: str) -> Document:
    """Parse YAML into plain data and places.

    Raises:
        ConfigError: the text is not YAML at all.
    """
    if len(text) > FILE_BYTES_MAX:
        raise ConfigError(file, [Mistake("", f"is larger than {FILE_BYTES_MAX} bytes; that is no pipeline file")])
    try:
        node = YAML(typ="safe", pure=True).compose(text.decode("utf-8-sig"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise ConfigError(file, [Mistake("", f"is not YAML: {error.problem}", "", line, column)]) from None
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(file, [Mistake("", f"is not YAML in UTF-8: {type(error).__name__}")]) from None
    document = Document()
    if node is None:
        raise ConfigError(file, [Mistake("", "is empty", "`bucket-loader init SOURCE` writes a first pipeline file")])
    try:
        document.data = _plain(document, (), node)
    except RecursionError as error:
        raise ConfigError(file, [Mistake("", str(error))]) from None
    if not isinstance(document.data, dict):
        raise ConfigError(file, [Mistake("", "is not a mapping", "begin with `name:`", 1, 1)])
    return document


def _plain(document: Document, path: Path_, node: Node) -> Any:  # noqa: ANN401  # data of any shape
    document.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if len(document.places) > NODES_MAX or len(path) > DEPTH_MAX:
        raise RecursionError("has too many or too deeply nested values (an alias that repeats itself?)")
    if isinstance(node, MappingNode):
        return _mapping(document, path, node)
    if isinstance(node, SequenceNode):
        return [_plain(document, (*path, index), child) for index, child in enumerate(node.value)]
    return _scalar(document, path, node) if isinstance(node, ScalarNode) else None


def _mapping(document: Document, path: Path_, node: MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, ScalarNode):
            document.mistakes.append(Mistake(_spell(path), "a key must be plain text", "", *place))
            continue
        if key in found:
            first = document.places[(*path, key)][0]
            message = f"`{key}` is written twice (first on line {first})"
            document.mistakes.append(Mistake(_spell((*path, key)), message, "keep one of them", *place))
            continue
        found[key] = _plain(document, (*path, key), value_node)
        document.places[(*path, key)] = place
    return found


def _scalar(document: Document, path: Path_, node: ScalarNode) -> Any:  # noqa: ANN401  # a scalar of any type
    kind, text = str(node.tag).rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int" and re.fullmatch(r"[-+]?(0|[1-9]\d*)", text):
        return int(text)
    if kind == "float" and re.fullmatch(r"[-+]?\d+\.\d*([eE][-+]?\d+)?", text):
        return float(text)
    if kind not in {"str", "int", "float", "timestamp"}:
        document.mistake(path, f"the tag {node.tag} is not allowed", "write plain values")
    return text


def _refuse_literal_key(document: Document, destination: dict[str, Any]) -> None:
    key = destination.get("key")
    if key is not None and not _ONLY_A_REFERENCE.fullmatch(str(key)):
        document.mistake(
            ("destination", "key"),
            "the key is written in the file",
            "write `key: ${BUCKET_SECRET_KEY}` and set that variable; then replace this key, it has been seen",
        )
        destination["key"] = "refused"


def _replace(document: Document, path: Path_, data: Any, variables: Mapping[str, str]) -> Any:  # noqa: ANN401
    if isinstance(data, dict):
        return {key: _replace(document, (*path, key), value, variables) for key, value in data.items()}
    if isinstance(data, list):
        return [_replace(document, (*path, index), value, variables) for index, value in enumerate(data)]
    if not isinstance(data, str):
        return data

    def referred(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None:
            return "${"
        if name in variables:
            return variables[name]
        if default is None:
            default = "" if path[-1:] == ("key",) else f", or write ${{{name}:-...}}"
            document.mistake(path, f"the variable {name} is not set", f"export {name}=...{default}")
            return "unset"
        return str(default)

    return _REFERENCE.sub(referred, data)


def _validated(document: Document, file: str) -> Pipeline:
    pipeline: Pipeline | None = None
    for path, message in config.problems(document.data):
        document.mistake(path, message)
    try:
        pipeline = Pipeline.model_validate(document.data)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            _note(document, found)
    if document.mistakes or pipeline is None:
        raise ConfigError(file, document.mistakes)
    return pipeline


def _note(document: Document, found: Mapping[str, Any]) -> None:
    path = _path_in_file(document, found["loc"])
    message, hint = str(found["msg"]).removeprefix("Value error, "), ""
    match found["type"]:
        case "extra_forbidden":
            wanted = difflib.get_close_matches(str(path[-1]), _known_keys(), n=1)
            message = f"`{path[-1]}` is not known here"
            hint = f"did you mean `{wanted[0]}`?" if wanted else "`bucket-loader schema` lists what is"
        case "missing":
            message, path = f"`{path[-1]}` is missing", path[:-1]
        case "model_type" | "dict_type":
            message = "should be a mapping (`name: value` lines)"
    document.mistake(path, message, hint)


def _path_in_file(document: Document, location: tuple[str | int, ...]) -> Path_:
    """Drop what pydantic adds to a location: the tags of unions, and our `named` and `star`."""
    path: Path_ = ()
    for index, part in enumerate(location):
        last_and_real = index == len(location) - 1 and part not in {"inline", "name"}
        if (*path, part) in document.places or last_and_real:
            path = (*path, part)
        elif part == "star":
            path = (*path, "*")
    return path


def _known_keys() -> list[str]:
    models = [model for model in vars(config).values() if isinstance(model, type) and issubclass(model, BaseModel)]
    return sorted({name for model in models for name in model.model_fields})


def _spell(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


# --- fingerprints --------------------------------------------------------------------------------------------------


def digest(data: object) -> str:
    """Give the sha256 of data's canonical JSON, in hex."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def mapping_fingerprint(stream: Stream) -> str:
    """Identify what a stream makes of a row: when it changes, keyless events would be sent again."""
    parts = stream.model_dump(mode="json", include={"record", "fields", "where", "nulls", "active", "timezone", "dst"})
    return digest(parts)


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema of the pipeline file, for editors."""
    schema = Pipeline.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "bucket_loader pipeline file"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def models() -> Iterator[type[BaseModel]]:
    """Give the models of the pipeline file, for the docs."""
    yield from (model for model in vars(config).values() if isinstance(model, type) and issubclass(model, config.Model))
