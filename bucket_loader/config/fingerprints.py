"""What a part of the pipeline file is known again by."""

import hashlib
import json
from typing import Any, Final

from bucket_loader.config.stream import Stream

# What a mapping could say when fingerprints began, in 0.1.0: these words count also where they are not written. Others
# count only where they are, so that no fingerprint changes when a later version knows one word more.
_FIRST: Final = frozenset(
    """
    record fields where nulls active timezone dst named star exclude
    userId companyId event timestamp attributes key score comment feedbackId source question promptId promptedQuestion
    featureId targetingVersion action evalContext evalResult evalRuleResults evalMissingFields
    column type format unit value sql default null_values encoding hash
""".split()  # noqa: SIM905  # forty lines otherwise
)


def digest(data: object) -> str:
    """Return the sha256 of data's canonical JSON, in hex."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def mapping_fingerprint(
    stream: Stream, hash_key: bytes | None = None, *, forms: int = 1, keeps_lists: bool = False
) -> str:
    """Identify what a stream makes of a row: when it changes, keyless events would be sent again.

    Args:
        stream: what the pipeline file says.
        hash_key: what `hash: hmac` is keyed with.
        forms: the version of the form of its values, where one that has changed touches them.
        keeps_lists: whether it may have lists, and they stay lists.
    """
    words = {"record", "fields", "where", "nulls", "active", "timezone", "dst"}
    parts: dict[str, Any] = _without_later(stream.model_dump(mode="json", include=words))
    if hash_key is not None and '"hmac"' in json.dumps(parts["fields"]):
        salt = b"bucket_loader mapping"
        parts["hash_key"] = hashlib.scrypt(hash_key, salt=salt, n=2**12, r=8, p=1, dklen=16).hex()
    if forms > 1:  # none of the first version's fingerprints changes
        parts["forms"] = forms
    if keeps_lists:
        parts["arrays"] = "keep"
    return digest(parts)


def _without_later(words: Any) -> Any:  # noqa: ANN401  # any value of the file
    """Return what is written, less the words of later versions that are not."""
    if not isinstance(words, dict):
        return words
    return {name: _without_later(value) for name, value in words.items() if value is not None or name in _FIRST}
