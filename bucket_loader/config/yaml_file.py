"""The pipeline file: YAML text in, a `Pipeline` out, or every mistake at once, each with its line.

Text is composed to nodes rather than loaded, so that every value keeps its place, a repeated key is seen, and nothing
but plain scalars, lists and mappings can come out (TRAPS: YAML config).
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from bucket_loader.config.checks import problems
from bucket_loader.config.mapping import NAMED_VALUES
from bucket_loader.config.pipeline import Pipeline
from bucket_loader.config.scalars import Model
from bucket_loader.config.sources import SOURCE_TYPES, TAGS
from bucket_loader.model import ConfigError, Mistake, UsageError

FILE_BYTES_MAX: Final = 1024 * 1024
NODES_MAX: Final = 100_000  # an alias bomb expands past this long before it hurts
DEPTH_MAX: Final = 100

Path_ = tuple[str | int, ...]
_YAML_TAGS: Final = "tag:yaml.org,2002:"
_CONTAINER_TAGS: Final = (f"{_YAML_TAGS}map", f"{_YAML_TAGS}seq")
_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# Properties of an Iceberg catalog and its store that are secrets; an id, an address or a time of one is none.
_SECRET_PROPERTY = re.compile(
    r"(?i)(secret|token|credential|password|key|connection-string|authorization|cookie|kerberos_ticket)"
    r"(?!.*([.-](id|uri|file|type|expires-at)$))"
)
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
    _refuse_literal_hash_key(document)
    _refuse_literal_passwords(document)
    document.data = _replace(document, (), document.data, os.environ if variables is None else variables)
    _refuse_frames(document)
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
    except UnicodeDecodeError as error:
        line, column = text.count(b"\n", 0, error.start) + 1, error.start - text.rfind(b"\n", 0, error.start)
        raise ConfigError(file, [Mistake("", "is not UTF-8", "save the file as UTF-8", line, column)]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = re.sub(r" '[^']{2,}'", "", str(error.problem))  # an alias may be a key that begins with a star
        raise ConfigError(file, [Mistake("", f"is not YAML: {problem}", "", line, column)]) from None
    except ReaderError as error:
        before = text.decode("utf-8-sig")[: error.position].split("\n")
        message = "is not YAML: it holds a control character"
        raise ConfigError(file, [Mistake("", message, "", len(before), len(before[-1]) + 1)]) from None
    except YAMLError as error:
        raise ConfigError(file, [Mistake("", f"is not YAML: {type(error).__name__}", "", 1, 1)]) from None
    except RecursionError:
        raise ConfigError(file, [Mistake("", "is nested too deeply; that is no pipeline file", "", 1, 1)]) from None
    document = Document()
    if node is None:
        raise ConfigError(file, [Mistake("", "is empty", "`bucket-loader init SOURCE` writes a first pipeline file")])
    try:
        document.data = _plain(document, (), node)
    except RecursionError as error:
        raise ConfigError(file, [Mistake("", str(error), "", 1, 1)]) from None
    if not isinstance(document.data, dict):
        raise ConfigError(file, [Mistake("", "is not a mapping", "begin with `name:`", 1, 1)])
    return document


def _plain(document: Document, path: Path_, node: Node) -> Any:  # noqa: ANN401  # data of any shape
    document.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if len(document.places) > NODES_MAX or len(path) > DEPTH_MAX:
        raise RecursionError("has too many or too deeply nested values (an alias that repeats itself?)")
    if not isinstance(node, ScalarNode) and str(node.tag) not in _CONTAINER_TAGS:
        document.mistake(path, f"the tag {node.tag} is not allowed", "write plain values")
    if isinstance(node, MappingNode):
        return _mapping(document, path, node)
    if isinstance(node, SequenceNode):
        return [_plain(document, (*path, index), child) for index, child in enumerate(node.value)]
    return _scalar(document, path, node) if isinstance(node, ScalarNode) else None


def _mapping(document: Document, path: Path_, node: MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if not _is_text(key):
            key = "?"
            document.mistake(path, "a key holds half a character (a lone surrogate)")
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
    kind, text = str(node.tag).removeprefix(_YAML_TAGS), str(node.value)
    if not _is_text(text):
        document.mistake(path, "holds half a character (a lone surrogate)")
        return "?"
    if kind == "null" and text.lower() in {"", "~", "null"}:
        return None
    if kind == "bool" and text.lower() in {"true", "false"}:  # `yes` is text, even where a file says `%YAML 1.1`
        return text.lower() == "true"
    if kind == "int" and re.fullmatch(r"[-+]?(0|[1-9]\d*)", text):
        return int(text)
    if kind == "float" and re.fullmatch(r"[-+]?\d+\.\d*([eE][-+]?\d+)?", text):
        return float(text)
    if kind not in {"str", "bool", "int", "float", "timestamp", "value", "merge"}:
        document.mistake(path, f"the tag {node.tag} is not allowed", "write plain values")
    return text


def _is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8: YAML and the environment can hold half a character."""
    return re.search("[\ud800-\udfff]", text) is None


def _refuse_literal_key(document: Document, destination: dict[str, Any]) -> None:
    key = destination.get("key")
    if key is not None and not _ONLY_A_REFERENCE.fullmatch(str(key)):
        document.mistake(
            ("destination", "key"),
            "the key is written in the file",
            "write `key: ${BUCKET_SECRET_KEY}` and set that variable; then replace this key, it has been seen",
        )
        destination["key"] = "refused"


def _refuse_literal_hash_key(document: Document) -> None:
    key = document.data.get("hash_key")
    if key is not None and not _ONLY_A_REFERENCE.fullmatch(str(key)):
        document.mistake(
            ("hash_key",),
            "the key is written in the file",
            "write `hash_key: ${BUCKET_HASH_KEY}` and set that variable; then take another key, this one has been seen",
        )
        document.data["hash_key"] = "refused-as-it-is-written-here"


def _refuse_literal_passwords(document: Document) -> None:
    for path, source in _sources(document):
        if isinstance(source, dict):
            _refuse_literals(document, path, source, ("password",), "DB_PASSWORD")
            catalog = source.get("catalog")
            if isinstance(catalog, dict):
                secrets = [name for name in catalog if _SECRET_PROPERTY.search(name)]
                _refuse_literals(document, (*path, "catalog"), catalog, secrets, "ICEBERG_SECRET")


def _refuse_literals(
    document: Document, path: Path_, words: dict[str, Any], names: Iterable[str], variable: str
) -> None:
    for name in names:
        if words.get(name) is not None and not _ONLY_A_REFERENCE.fullmatch(str(words[name])):
            document.mistake(
                (*path, name),
                f"the {name} is written in the file",
                f"write `{name}: ${{{variable}}}` and set that variable; then change this {name}, it has been seen",
            )
            words[name] = "refused"


def _sources(document: Document) -> list[tuple[Path_, Any]]:
    """Return every source of the file, named or inline, with its place."""
    streams, sources = document.data.get("streams"), document.data.get("sources")
    named = sources.items() if isinstance(sources, dict) else ()
    inline = enumerate(streams) if isinstance(streams, list) else ()
    found: list[tuple[Path_, Any]] = [(("sources", name), source) for name, source in named]
    found += [
        (("streams", index, "source"), stream.get("source")) for index, stream in inline if isinstance(stream, dict)
    ]
    return found


def _refuse_frames(document: Document) -> None:
    """Refuse a DataFrame in a file: only a program has one."""
    refused = [name for row in SOURCE_TYPES if not row.is_for_files for name in row.names]
    for path, source in _sources(document):
        if isinstance(source, dict) and (name := source.get("type")) in refused:
            document.mistake(
                path, f"`type: {name}` is for programs; a file names a source that it can read, such as csv or sql"
            )


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
        if name in variables and _is_text(variables[name]):
            return variables[name]
        if name in variables:
            document.mistake(path, f"the variable {name} is not UTF-8")
            return "unset"
        if default is None:
            is_secret = path[-1:] in {("key",), ("hash_key",), ("password",)} or _is_catalog_secret(path)
            default = "" if is_secret else f", or write ${{{name}:-...}}"
            document.mistake(path, f"the variable {name} is not set", f"export {name}=...{default}")
            return "unset"
        return str(default)

    return _REFERENCE.sub(referred, data)


def _is_catalog_secret(path: Path_) -> bool:
    return path[-2:-1] == ("catalog",) and _SECRET_PROPERTY.search(str(path[-1])) is not None


def _validated(document: Document, file: str) -> Pipeline:
    pipeline: Pipeline | None = None
    known = {mistake.path for mistake in document.mistakes}
    for path, message in problems(document.data):
        if _spell(path) not in known:  # a variable that is not set says nothing of its value
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
    absent = found["type"] in {"missing", "extra_forbidden"}
    path = _path_in_file(document, found["loc"], absent=absent)
    message, hint = str(found["msg"]).removeprefix("Value error, "), ""
    match found["type"]:
        case "extra_forbidden":
            wanted = difflib.get_close_matches(str(path[-1]), [key for key in _known_keys() if key != path[-1]], n=1)
            message = f"`{path[-1]}` is not known here"
            hint = f"did you mean `{wanted[0]}`?" if wanted else "`bucket-loader schema` lists what is"
        case "missing":
            message, path = f"`{found['loc'][-1]}` is missing", path[:-1]
        case "model_type" | "dict_type":
            message = "should be a mapping (`name: value` lines)"
    noted = len(document.mistakes)
    document.mistake(path, message, hint)
    if document.mistakes[noted] in document.mistakes[:noted]:
        document.mistakes.pop()


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
        if (*path, part) in document.places or (absent and index == len(location) - 1):
            path = (*path, part)
    return path


def _known_keys() -> list[str]:
    return sorted({name for model in _below(Model) for name in model.model_fields})


def _below(model: type[Model]) -> Iterator[type[Model]]:
    """Yield every model that is made from this one."""
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


def _spell(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the pipeline file, for editors."""
    schema = Pipeline.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "bucket_loader pipeline file"} | {
        key: value for key, value in schema.items() if key != "title"
    }
