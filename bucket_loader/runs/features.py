"""The read side: one GET with the care of a delivery, and what people are shown of its answer. Writes nothing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from bucket_loader.config import Destination
from bucket_loader.delivery import Client, Meant, Place, Watchdog, route_of
from bucket_loader.model import (
    BucketLoaderError,
    KeyRefusedError,
    MisroutedError,
    Outcome,
    PatienceError,
    UsageError,
    Verdict,
)
from bucket_loader.reporting import Listener, Note, Table

_WRONG_ENDPOINT: Final = 403  # Source: API.md section 2
_SHOWN_LENGTH: Final = 80  # characters of a cell


class Targeting(msgspec.Struct):
    """Whom a feature is for."""

    version: float | None = None
    rules: list[Any] = []


class Variants(msgspec.Struct):
    """What a feature's config may be."""

    variants: list[Any] = []


class Definition(msgspec.Struct, rename="camel"):
    """A feature as `GET /features` gives it. Source: S1, NODE."""

    key: str
    targeting: Targeting
    description: str | None = None
    created_at: str | None = None
    config: Variants | None = None


class Config(msgspec.Struct):
    """The variant that was chosen. Source: S1 (`name`), NODE (`key`)."""

    key: str | None = None
    name: str | None = None


class Evaluation(msgspec.Struct, rename="camel"):
    """A feature as `GET /features/evaluated` gives it. Source: S1, S3."""

    key: str
    is_enabled: bool
    targeting_version: float | None = None
    rule_evaluation_results: list[bool | None] | None = None
    missing_context_fields: list[str] | None = None
    evaluation_errors: list[dict[str, Any]] | None = None
    config: Config | None = None


def defined_features(destination: Destination) -> dict[str, Any]:
    """Return the features that are defined, as the API spells them.

    Raises:
        BucketLoaderError: the host or the key is not right, or cannot be used right now.
    """
    answer = _read(destination, "/features")
    return _shaped(answer, ("features", "flagStateVersion"), list[Definition], destination)


def evaluated_features(destination: Destination, context: Mapping[str, str]) -> dict[str, Any]:
    """Return what each feature is in a context: dotted names (`company.id`) and texts.

    Raises:
        BucketLoaderError: the host or the key is not right, or cannot be used right now.
    """
    query = urlencode({f"context.{name}": text for name, text in context.items()})
    answer = _read(destination, "/features/evaluated", f"?{query}")
    names = ("features", "remoteContextUsed", "flagStateVersion")
    return _shaped(answer, names, dict[str, Evaluation], destination)


def evaluation_context(company: str, user: str | None, attributes: Sequence[str]) -> dict[str, str]:
    """Return the context that the words of a command line mean.

    Raises:
        UsageError: an attribute is not `name=text`, or something is given twice.
    """
    pairs = [("--company", "company.id", company)]
    pairs += [("--user", "user.id", user)] if user is not None else []
    for word in attributes:
        name, equals, text = word.partition("=")
        if not equals or not all(part.strip() for part in name.split(".")):
            raise UsageError(
                f"--attribute {name!r} is not name=text",
                hint="write for example --attribute company.plan=pro or --attribute user.role=admin",
            )
        pairs.append((f"--attribute {name}", name, text))
    context: dict[str, str] = {}
    for option, name, text in pairs:
        if name in context:
            raise UsageError(f"{name} is given twice", hint="give each part of the context once")
        if name in {"company.id", "user.id"} and not text.strip():
            raise UsageError(f"{option} is empty", hint="give the id")
        context[name] = text
    try:
        urlencode(context)
    except UnicodeEncodeError:
        raise UsageError("a word of the command line is not UTF-8", hint="is the terminal's encoding right?") from None
    return context


# --- one read ------------------------------------------------------------------------------------------------------


def get(destination: Destination, endpoint: str, query: str = "") -> tuple[Outcome, bytes]:
    """Read an endpoint once; return what came of it, and the answer."""
    watchdog = Watchdog()
    route = route_of(destination, endpoint, Meant() if destination.is_here else None)
    client = Client(route, watchdog)
    try:
        return client.get(route.url + query)
    finally:
        client.close()
        watchdog.stop()


def refused(outcome: Outcome, destination: Destination, endpoint: str) -> BucketLoaderError:
    """Return the error that a read which came to nothing ends with."""
    where = route_of(destination, endpoint).url  # without the query, and without the key
    kind = "secret" if destination.api == "front" else "publishable"
    if outcome.verdict is Verdict.REFUSED_KEY and outcome.status == _WRONG_ENDPOINT and destination.api == "front":
        return KeyRefusedError(
            f"{where} does not take this key (403: {outcome.message})",
            hint="a publishable key can write but not read; use the secret key",
        )
    if outcome.verdict is Verdict.REFUSED_KEY:
        return KeyRefusedError(
            f"{where} refused the key ({outcome.status}: {outcome.message})",
            hint=f"check that the variable holds the {kind} key of this environment",
        )
    if outcome.verdict in {Verdict.MISROUTED, Verdict.REJECTED, Verdict.BLOCKED}:
        return MisroutedError(
            f"{where}: {outcome.message or f'the answer is a {outcome.status}'}",
            hint=outcome.hint or "check `destination: base_url`",
        )
    place = Place.of(destination)
    if outcome.nobody_listens and place.is_here:
        return place.nobody_listens()
    return PatienceError(
        f"{where} cannot be used right now: {outcome.message or outcome.status}",
        hint="check the host, or try again later",
    )


def refuse_legacy(destination: Destination, endpoint: str) -> None:
    """Refuse the older APIs, which know nothing of features for the secret key.

    Raises:
        UsageError: the destination is one of them.
    """
    if destination.api != "front":
        raise UsageError(
            f"`api: {destination.api}` has no {endpoint}", hint="use a pipeline file with `api: front` and a secret key"
        )


def _read(destination: Destination, endpoint: str, query: str = "") -> dict[str, Any]:
    refuse_legacy(destination, endpoint)
    outcome, answer = get(destination, endpoint, query)
    if outcome.verdict is not Verdict.DELIVERED:
        raise refused(outcome, destination, endpoint)
    found: dict[str, Any] = json.loads(answer)
    return found


def _shaped(answer: dict[str, Any], names: Sequence[str], shape: Any, destination: Destination) -> dict[str, Any]:  # noqa: ANN401  # a type
    """Keep what is documented of an answer, and refuse one that has another shape."""
    try:
        msgspec.convert(answer.get("features"), shape)
    except msgspec.ValidationError:
        raise MisroutedError(
            f"{destination.base_url}: the features in its answer are not in Bucket's form",
            hint="check `destination: base_url`",
        ) from None
    return {name: answer[name] for name in names if name in answer}


# --- for people ----------------------------------------------------------------------------------------------------


def tell_defined(listener: Listener, found: dict[str, Any]) -> None:
    """Show the features that are defined."""
    definitions = msgspec.convert(found["features"], list[Definition])
    if not definitions:
        listener.tell(Note("no feature is defined"))
        return
    rows = [
        (
            one.key,
            _number(one.targeting.version),
            str(len(one.targeting.rules)),
            str(len(one.config.variants)) if one.config is not None else "",
            one.created_at or "",
            one.description or "",
        )
        for one in definitions
    ]
    _table(listener, ("feature", "version", "rules", "variants", "created", "description"), rows)


def tell_evaluated(listener: Listener, found: dict[str, Any]) -> None:
    """Show what each feature is for whom it was asked."""
    evaluations = msgspec.convert(found["features"], dict[str, Evaluation])
    if not evaluations:
        listener.tell(Note("no feature is defined"))
        return
    rows = [
        (
            one.key,
            "yes" if one.is_enabled else "no",
            _number(one.targeting_version),
            " ".join("yes" if result else "no" for result in one.rule_evaluation_results or []),
            (one.config.key or one.config.name or "") if one.config is not None else "",
            ", ".join(one.missing_context_fields or []),
        )
        for one in evaluations.values()
    ]
    _table(listener, ("feature", "enabled", "version", "rules", "config", "missing in the context"), rows)
    if found.get("remoteContextUsed"):
        listener.tell(Note("attributes that Bucket has stored were used beside those given"))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _table(listener: Listener, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    listener.tell(Table(tuple(columns), tuple(tuple(map(shown, row)) for row in rows)))


def shown(text: str) -> str:
    """Return a text that is safe on a terminal, and fits."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _SHOWN_LENGTH else f"{plain[: _SHOWN_LENGTH - 1]}…"
