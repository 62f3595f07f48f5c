"""Names of columns and files as words: case, blanks and the wrapping of exports taken away, so that they compare."""

import re
from typing import Final

# What tools wrap the name of a property in: `context_traits_plan`, `properties.plan`, `plan (metadata)`, `Plan__c`.
_BEFORE: Final = re.compile(
    r"(?:(?:properties|property|props|(?:event|user|group|person|super)_properties|traits|context|metadata_agent|metadata|"
    r"meta|(?:custom_|app_|user_)?(?:attributes|metadata)|custom_fields|(?:user|organization)_fields|data|payload|"
    r"hidden)_)+(?=.)"
)
_AFTER: Final = re.compile(r"(?<=.)_(metadata|custom|hidden_field|hidden)$")


def words_of(name: str) -> str:
    """Return a name in lower case with `_` between its words: `User ID`, `userId` and `$user_id` are `user_id`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.removesuffix("__c"))
    return re.sub(r"[^a-z0-9#]+", "_", apart.lower()).strip("_")


def unwrapped(words: str) -> str:
    """Return words without what tools wrap the name of a property in."""
    return _AFTER.sub("", _BEFORE.sub("", words)) or words


def tokens_of(words: str) -> tuple[str, ...]:
    """Return the words one by one, in the singular."""
    return tuple(map(_singular, words.split("_")))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > len("ties"):
        return word[:-3] + "y"
    is_plural = word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > len("ads")
    return word.removesuffix("s") if is_plural else word
