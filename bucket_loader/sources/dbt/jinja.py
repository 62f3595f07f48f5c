"""The one call of Jinja that stands in a profiles.yml: `{{ env_var('NAME', 'default') }}`, and two filters."""

import os
import re
from typing import Final

from bucket_loader.model import SourceError

_TEXT: Final = r"\s*(?:'([^'\\]*)'|\"([^\"\\]*)\")\s*"
_NUMBER: Final = r"\s*(\d+)\s*"
_CALL: Final = re.compile(rf"\s*env_var\({_TEXT}(?:,(?:{_TEXT}|{_NUMBER}),?\s*)?\)\s*((?:\|\s*\w+\s*)*)")
_OPENED: Final = re.compile(r"\{\{(.*?)\}\}|\{[{%#]", re.DOTALL)
_FILTERS: Final = frozenset({"as_number", "as_bool", "as_text", "as_native", "int", "string", "trim"})


def rendered(text: str, place: str) -> str:
    """Return a text with the values of environment variables in the places of their calls.

    Args:
        text: as it is written.
        place: where it stands, for a message; the values of variables are in none.

    Raises:
        SourceError: it has other Jinja, or a variable is not set.
    """
    return _OPENED.sub(lambda found: _value(found[1], place), text)


def _value(inside: str | None, place: str) -> str:
    call = None if inside is None else _CALL.fullmatch(inside)
    filters = set() if call is None else set(re.findall(r"\w+", call[6]))
    if call is None or filters - _FILTERS:
        raise SourceError(
            f"{place}: of Jinja only {{{{ env_var('NAME') }}}} is read here, with a default and as_number or as_bool",
            hint="write the value with env_var, or give `url:` in the pipeline file in place of the profile",
        )
    name, default = (call[1] or call[2] or ""), next((text for text in call.group(3, 4, 5) if text is not None), None)
    value = os.environ.get(name, default)
    if value is None:
        raise SourceError(f"{place}: the environment variable {name} is not set", hint=f"export {name}=...")
    return value
