"""A guess: the words that a field has over a column, and what a person should know of them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_WORDS: Final = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class Guess:
    """What is written of a column, as far as all of its sample speaks for it.

    Attributes:
        words: of its field, beside `column:`, spelt for YAML; none where it is taken as it is.
        note: what a person should know; empty where nothing is in doubt.
        choices: where the sample fits several: the words of each. A person chooses.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    choices: Sequence[Mapping[str, str]] = ()

    @property
    def is_certain(self) -> bool:
        """Whether its words read every value of the sample."""
        return not self.note and not self.choices


def spelt(column: str, words: Mapping[str, str]) -> str:
    """Spell a field over a column."""
    if not words:
        return scalar(column)
    return f"{{column: {scalar(column)}, " + ", ".join(f"{key}: {value}" for key, value in words.items()) + "}"


def scalar(text: str) -> str:
    """Spell a value for YAML, quoted where it could be taken for anything else; in it `${` refers to no variable."""
    return name_of(text.replace("${", "$${"))


def name_of(text: str) -> str:
    """Spell a name for YAML, or a reference: what stands before a colon is taken as it is."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in _WORDS:
        return text
    return in_quotes(text)


def quoted(text: str) -> str:
    """Spell a value for YAML between quotes; in it `${` refers to no variable."""
    return in_quotes(text.replace("${", "$${"))


def in_quotes(text: str) -> str:
    """Spell a text for YAML between quotes, as it is."""
    spelt = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in spelt)
