"""Features: evaluated after the load, with what Bucket holds of users and companies."""

import json
from collections.abc import Iterator
from typing import Any

from bucket_loader.config import Whom
from bucket_loader.model import UsageError
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.findings import Findings, Place
from bucket_loader.runs.asserting.subjects import SUBJECTS
from bucket_loader.runs.asserting.values import shown

Asked = tuple[Place, str, dict[str, Any]]
"""Where a file says for whom, for whom in words, and the context that this is."""


def check_features(findings: Findings, bucket: Bucket) -> None:
    """Hold every feature that is named against its evaluations; each context is evaluated once.

    Raises:
        UsageError: a context is none that the API takes.
    """
    answers: dict[str, dict[str, Any]] = {}
    for key, feature in findings.assertions.expected.features.items():
        for is_on, whom in ((True, feature.on), (False, feature.off)):
            for place, who, context in _asked(("features", key, "on" if is_on else "off"), whom):
                findings.checked += 1
                what, expected = f"feature {key} for {who}", "on" if is_on else "off"
                if missing := _unknown(bucket, whom, context):
                    findings.fail(place, what, expected, f"no {missing} of this id in Bucket")
                    continue
                found = _evaluated(findings, bucket, (place, context), answers)[key]
                if found["isEnabled"] is not is_on:
                    findings.fail(place, what, expected, _shown(found))


def _asked(place: Place, whom: Whom) -> Iterator[Asked]:
    for kind in SUBJECTS:
        for index, identifier in enumerate(getattr(whom, kind.plural)):
            yield (*place, kind.plural, index), f"{kind.name} {identifier}", {kind.name: {"id": identifier}}
    for index, given in enumerate(whom.contexts):
        context = given.model_dump(exclude_none=True)
        yield (*place, "contexts", index), shown(context), context


def _unknown(bucket: Bucket, whom: Whom, context: dict[str, Any]) -> str:
    """Return the kind of what is named by its id alone and is not there; a name misspelt would be off for ever."""
    for kind in SUBJECTS:
        named = context.get(kind.name, {}).get("id")
        alone = list(context) == [kind.name] and list(context[kind.name]) == ["id"]
        if alone and named in getattr(whom, kind.plural) and bucket.one(kind.plural, named) is None:
            return kind.name
    return ""


def _evaluated(
    findings: Findings, bucket: Bucket, asked: tuple[Place, dict[str, Any]], answers: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    place, context = asked
    spelt = json.dumps(context)
    if spelt not in answers:
        try:
            answers[spelt] = bucket.evaluated(context)
        except UsageError as error:
            file, line = findings.assertions.file, findings.assertions.line(*place)
            raise UsageError(
                f"{file}:{line}: {error.message}", hint="docs/emulator.md says what one may hold"
            ) from None
    return answers[spelt]


def _shown(found: dict[str, Any]) -> str:
    """Return how a feature is, and what of the context was missing or wrong."""
    missing = found.get("missingContextFields") or []
    why = [f"missing in the context: {', '.join(missing)}"] if missing else []
    errors = found.get("evaluationErrors") or []
    why += [f"{error['field']}: {error['message']}" for error in errors if error["field"] not in missing]
    state = "on" if found["isEnabled"] else "off"
    return f"{state} ({'; '.join(why)})" if why else state
