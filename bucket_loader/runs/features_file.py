"""Real definitions in a file for git: read once, and written so that only what has changed differs."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bucket_loader.config import Destination, destination_at
from bucket_loader.model import MisroutedError, UsageError
from bucket_loader.runs.features import defined_features

KEY_VARIABLE: Final = "BUCKET_SECRET_KEY"
_FILE_HINT: Final = "give another file, or remove this one"


def save_features(base_url: str, file: Path, variables: Mapping[str, str] = os.environ) -> str:
    """Read the definitions that an environment of Bucket has into a file; return what has changed in it, for a person.

    A file that holds definitions is replaced: getting the newest is what this is for, and git shows the difference.
    One that holds anything else is left as it is.

    Raises:
        BucketLoaderError: the address, the key or the file is not right, or the host cannot be used right now.
    """
    before = _known(file)
    after = _read(destination_at(base_url, _key(variables)))
    text = _text(after)
    try:
        if before is None or text != file.read_text("utf-8"):
            file.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", hint="give a file that can be written") from None
    return f"{file}: {_difference(before, after)}"


def _key(variables: Mapping[str, str]) -> str:
    key = variables.get(KEY_VARIABLE, "")
    if not key.strip():
        raise UsageError(f"{KEY_VARIABLE} is not set", hint="it holds the secret key of the environment to read from")
    return key


def _read(destination: Destination) -> dict[str, Any]:
    """Return the definitions by key."""
    try:
        found = defined_features(destination)
    except MisroutedError as error:
        raise MisroutedError(error.message, hint="check the address in --features-from") from error
    return {feature["key"]: feature for feature in found["features"]}


def _known(file: Path) -> dict[str, Any] | None:
    """Return the definitions that a file holds by key; None when there is no file.

    Raises:
        UsageError: it holds something else.
    """
    try:
        held = json.loads(file.read_bytes())
        return {feature["key"]: feature for feature in held["features"]}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", hint=_FILE_HINT) from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{file} holds no definitions of features, and is not replaced", hint=_FILE_HINT) from None


def _text(features: dict[str, Any]) -> str:
    """Write definitions by their keys, with sorted members, and without the version, which differs everywhere."""
    document = {"features": [features[key] for key in sorted(features)]}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _difference(before: dict[str, Any] | None, after: dict[str, Any]) -> str:
    if before is None:
        return f"{len(after)} features"
    changes = {
        "new": after.keys() - before.keys(),
        "changed": {key for key in after.keys() & before.keys() if after[key] != before[key]},
        "gone": before.keys() - after.keys(),
    }
    told = [f"{word} {', '.join(sorted(keys))}" for word, keys in changes.items() if keys]
    return f"{len(after)} features; {'; '.join(told) or 'nothing has changed'}"
