"""What no line of a log may show: the secrets of the environment and of a pipeline, each as it may be spelt."""

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline

_VARIABLE: Final = re.compile(r"KEY|SECRET|TOKEN|PASSW", re.IGNORECASE)
_LENGTH_MIN: Final = 6  # characters; a shorter variable's value is a switch or a name
_URL_PASSWORD: Final = re.compile(r"(?<=://)[^\s/@]*:([^\s/@]*)(?=@)")


class Secrets:
    """Secrets that are known, and taken out of texts."""

    def __init__(self) -> None:
        values = (value.strip() for name, value in os.environ.items() if _VARIABLE.search(name))
        self._known = {value for value in values if len(value) >= _LENGTH_MIN}

    def add(self, pipeline: "Pipeline") -> None:
        """Learn what a pipeline holds: its keys and passwords, and the passwords of its URLs."""
        for text, is_secret in _texts(pipeline.model_dump()):
            passwords = {match[1] for match in _URL_PASSWORD.finditer(text)}
            self._known |= {spelt for one in passwords for spelt in (one, unquote(one))}
            if is_secret:
                self._known |= {text, quote(text, safe=""), repr(text)[1:-1]}
        self._known.discard("")

    def scrubbed(self, text: str) -> str:
        """Take every known secret, and any password of a URL, out of a text."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, "***")
        return _URL_PASSWORD.sub("***", text)


def _texts(value: object) -> Iterator[tuple[str, bool]]:
    """Return every text in a model's plain data, and whether it is a secret."""
    if hasattr(value, "get_secret_value"):
        yield str(value.get_secret_value()), True
    elif isinstance(value, str):
        yield value, False
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
