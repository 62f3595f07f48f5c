"""What pydantic finds wrong with a file, as mistakes with their place: in our words, with what may have been meant."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from bucket_loader.config.document import Document, Path_

ABSENT: Final = ("missing", "extra_forbidden")
"""The errors whose place is a word that the file, or its model, does not have."""


@dataclass(frozen=True)
class Words:
    """The words that a file may hold, and where a person finds them."""

    known: list[str]
    listed: str


def note(document: Document, found: Mapping[str, Any], path: Path_, words: Words) -> None:
    """Note an error of pydantic's at its place, once."""
    message, hint = str(found["msg"]).removeprefix("Value error, "), ""
    match found["type"]:
        case "extra_forbidden":
            wanted = difflib.get_close_matches(str(path[-1]), [word for word in words.known if word != path[-1]], n=1)
            message = f"`{path[-1]}` is not known here"
            hint = f"did you mean `{wanted[0]}`?" if wanted else words.listed
        case "missing":
            message, path = f"`{found['loc'][-1]}` is missing", path[:-1]
        case "model_type" | "dict_type":
            message = "should be a mapping (`name: value` lines)"
    noted = len(document.mistakes)
    document.mistake(path, message, hint)
    if document.mistakes[noted] in document.mistakes[:noted]:
        document.mistakes.pop()


def words_of(model: type[BaseModel]) -> list[str]:
    """Return the words of every model that is made from this one."""
    return sorted({name for one in _below(model) for name in one.model_fields})


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)
