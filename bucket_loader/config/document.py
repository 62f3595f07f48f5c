"""YAML text as plain data, with the place of every value.

Text is composed to nodes rather than loaded, so that every value keeps its place, a repeated key is seen, and nothing
but plain scalars, lists and mappings can come out (TRAPS: YAML config).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from bucket_loader.config.not_yaml import not_yaml
from bucket_loader.model import ConfigError, Mistake

FILE_BYTES_MAX: Final = 1024 * 1024
NODES_MAX: Final = 100_000  # an alias bomb expands past this long before it hurts
DEPTH_MAX: Final = 100

Path_ = tuple[str | int, ...]
_YAML_TAGS: Final = "tag:yaml.org,2002:"
_CONTAINER_TAGS: Final = (f"{_YAML_TAGS}map", f"{_YAML_TAGS}seq")


@dataclass
class Document:
    """A parsed file: plain data, the place of every node, and the mistakes met on the way.

    Attributes:
        data: what the file says, with the variables in place of their references once these are replaced.
        written: the same as it stands in the file, which is what a message may show.
        places: the line and column of each node.
        mistakes: those that were met.
        file: what to call it.
    """

    data: Any = None
    written: Any = None
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    file: str = ""

    def value(self, path: Path_, *, as_written: bool = False) -> Any:  # noqa: ANN401  # data of any shape
        """Return the value at a path; None where there is none."""
        found = self.written if as_written else self.data
        for part in path:
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list) and isinstance(part, int) and part < len(found):
                found = found[part]
            else:
                return None
        return found

    def mistake(self, path: Path_, message: str, hint: str = "") -> None:
        """Note a mistake at the nearest place that the file has for a path."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        self.mistakes.append(Mistake(spell(path), message, hint, line, column))


def read_whole(file: Path) -> bytes:
    """Return a file's bytes; of one that is too large, one byte more than may be.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        return stream.read(FILE_BYTES_MAX + 1)


def parse(text: bytes, file: str, start: str = "begin with `name:`") -> Document:
    """Parse YAML into plain data and places; `start` says how such a file begins.

    Raises:
        ConfigError: the text is not YAML at all.
    """
    if len(text) > FILE_BYTES_MAX:
        message = f"is larger than {FILE_BYTES_MAX} bytes, the most that one may have"
        raise ConfigError(file, [Mistake("", message, "is it a file of data? then it belongs into a source")])
    try:
        node = YAML(typ="safe", pure=True).compose(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line, column = text.count(b"\n", 0, error.start) + 1, error.start - text.rfind(b"\n", 0, error.start)
        raise ConfigError(file, [Mistake("", "is not UTF-8", "save the file as UTF-8", line, column)]) from None
    except MarkedYAMLError as error:
        raise ConfigError(file, [not_yaml(error, text.decode("utf-8-sig"))]) from None
    except ReaderError as error:
        before = text.decode("utf-8-sig")[: error.position].split("\n")
        message = "is not YAML: it holds a control character"
        raise ConfigError(file, [Mistake("", message, "", len(before), len(before[-1]) + 1)]) from None
    except YAMLError as error:
        raise ConfigError(file, [Mistake("", f"is not YAML: {type(error).__name__}", "", 1, 1)]) from None
    except RecursionError:
        raise ConfigError(file, [Mistake("", "is nested too deeply", "", 1, 1)]) from None
    document = Document(file=file)
    if node is None:
        raise ConfigError(file, [Mistake("", "is empty", start)])
    try:
        document.data = document.written = _plain(document, (), node)
    except RecursionError as error:
        raise ConfigError(file, [Mistake("", str(error), "", 1, 1)]) from None
    if not isinstance(document.data, dict):
        raise ConfigError(file, [Mistake("", "is not a mapping", start, 1, 1)])
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
        if not is_text(key):
            key = "?"
            document.mistake(path, "a key holds half a character (a lone surrogate)")
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, ScalarNode):
            document.mistakes.append(Mistake(spell(path), "a key must be plain text", "", *place))
            continue
        if key in found:
            first = document.places[(*path, key)][0]
            message = f"`{key}` is written twice (first on line {first})"
            document.mistakes.append(Mistake(spell((*path, key)), message, "keep one of them", *place))
            continue
        found[key] = _plain(document, (*path, key), value_node)
        document.places[(*path, key)] = place
    return found


def _scalar(document: Document, path: Path_, node: ScalarNode) -> Any:  # noqa: ANN401  # a scalar of any type
    kind, text = str(node.tag).removeprefix(_YAML_TAGS), str(node.value)
    if not is_text(text):
        document.mistake(path, "holds half a character (a lone surrogate)")
        return "?"
    if kind == "null" and text.lower() in {"", "~", "null"}:
        return None
    if kind == "bool" and text.lower() in {"true", "false"}:  # `yes` is text, even where a file says `%YAML 1.1`
        return text.lower() == "true"
    if kind == "int" and re.fullmatch(r"[-+]?(0|[1-9]\d{0,999})", text):
        return int(text)
    if kind == "float" and re.fullmatch(r"[-+]?\d+\.\d*([eE][-+]?\d+)?", text):
        return float(text)
    if kind not in {"str", "bool", "int", "float", "timestamp", "value", "merge"}:
        document.mistake(path, f"the tag {node.tag} is not allowed", "write plain values")
    return text


def is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8: YAML and the environment can hold half a character."""
    return re.search("[\ud800-\udfff]", text) is None


def spell(path: Path_) -> str:
    """Return a path as a person reads it: `streams[0].fields`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
