"""What no single value can tell: the rules between the values of a pipeline file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import SecretStr

from bucket_loader.config.addresses import PATH_PARAMETER
from bucket_loader.config.limits import limit_problems
from bucket_loader.config.mapping import NAMED_VALUES, Fields
from bucket_loader.config.sources import FixtureSource
from bucket_loader.config.sql_text import SqlDialect, sql_parameters
from bucket_loader.model import KINDS, SYNCS, Api, Kind, Sync, contract, did_you_mean

Problem = tuple[tuple[str | int, ...], str]

# What may stand in a path: `pub_...` (S2), or an old tracking key `tr...` (S4). A secret key may not, however it looks.
_PATH_KEY: Final = re.compile(r"\s*(pub_|tr)[A-Za-z0-9_-]+\s*")


def problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong between values, on the plain data, so that it is told together with all other mistakes.

    Whatever is not of the expected shape is passed over: the models report it.
    """
    destination = data.get("destination")
    destination = destination if isinstance(destination, dict) else {}
    api: Api = next((api for api in get_args(Api) if api == destination.get("api")), "front")
    if api != "front":
        yield from _path_key_problems(api, destination.get("key"))
        yield from _list_problems(api, data.get("arrays"))
    streams = data.get("streams")
    streams = streams if isinstance(streams, list) else []
    sources = data.get("sources")
    known = sorted(sources) if isinstance(sources, dict) else []
    yield from _new_files_problems(data)
    yield from limit_problems(data)
    names: list[object] = []
    for index, stream in enumerate(streams):
        if not isinstance(stream, dict):
            continue
        at = ("streams", index)
        if (name := stream.get("name")) in names:
            yield (*at, "name"), f"two streams are named {name!r}"
        names.append(name)
        if isinstance(source := stream.get("source"), str) and source not in known:
            meant = did_you_mean(source, known, f"named: {', '.join(known) or 'none'}")
            yield (*at, "source"), f"no source is named {source!r}; {meant}"
        for path, message in _spec_problems(stream.get("fields"), has_hash_key=bool(data.get("hash_key"))):
            yield (*at, "fields", *path), message
        for path, message in (*_cursor_problems(stream), *_removal_problems(stream, sources), *_value_problems(stream)):
            yield (*at, *path), message
        if (kind := _kind_of(stream)) is not None:
            for path, message in _stream_problems(kind, stream, api):
                yield (*at, *path), message


def _path_key_problems(api: Api, key: object) -> Iterator[Problem]:
    text = key.get_secret_value() if isinstance(key, SecretStr) else key
    if isinstance(text, str) and text.strip() and not _PATH_KEY.fullmatch(text):
        yield (
            ("destination", "key"),
            (
                f"`api: {api}` puts the key into the address, where a secret one must never be; give the publishable "
                "key (pub_...) or the tracking key (tr...)"
            ),
        )


def _list_problems(api: Api, arrays: object) -> Iterator[Problem]:
    if arrays == "keep":
        yield ("arrays",), f"`api: {api}` takes no lists; write `arrays: flatten`, or leave it out"


def _specs(fields: object) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Return the fields that say more than a column's name, each with its place; those of an object one by one."""
    for name, spec in fields.items() if isinstance(fields, dict) else ():
        if not isinstance(spec, dict):
            continue
        if name not in NAMED_VALUES:
            yield (str(name),), spec
            continue
        yield from (((str(name), str(key)), inner) for key, inner in spec.items() if isinstance(inner, dict))


def _spec_problems(fields: object, *, has_hash_key: bool) -> Iterator[Problem]:
    """Find words of a field that need a key, or another field."""
    for place, spec in _specs(fields):
        if spec.get("hash") == "hmac" and not has_hash_key:
            yield place, "`hash: hmac` needs a key: write `hash_key: ${BUCKET_HASH_KEY}` at the top"
        if "scale" in spec and place != ("score",):
            yield (*place, "scale"), "belongs to `score`; Bucket takes every other number as it is"


def _new_files_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Refuse `new_files:` where nobody could say which stream has loaded a file."""
    sources, streams = data.get("sources"), data.get("streams")
    used = [stream.get("source") for stream in streams if isinstance(stream, dict)] if isinstance(streams, list) else []
    for name, source in sources.items() if isinstance(sources, dict) else ():
        if isinstance(source, dict) and source.get("new_files") and used.count(name) != 1:
            yield (
                ("sources", name, "new_files"),
                "is for a source that one stream uses, and no query: each stream remembers what it has loaded",
            )


def _cursor_problems(stream: Mapping[str, Any]) -> Iterator[Problem]:
    source = stream.get("source")
    if isinstance(source, FixtureSource):
        return  # it stands for the rows that the query gives
    source = source if isinstance(source, dict) else {}
    if "query_file" in source:
        return  # what it uses is seen when it is read
    texts = [source[name] for name in ("sql", "query") if isinstance(source.get(name), str)]
    used = any("cursor" in sql_parameters(text, dialect) for text in texts for dialect in get_args(SqlDialect))
    if used and "cursor" not in stream:
        yield ("source",), "the query uses :cursor; say what it is: `cursor: {column: updated_at, start: 2024-01-01}`"
    is_table = "table" in source or (source.get("type") == "dbt" and "query" not in source)  # it reads on by itself
    if not used and not is_table and isinstance(stream.get("cursor"), dict):
        yield (
            ("cursor",),
            "has no effect: the stream's own query has to read from it, as in `where updated_at >= :cursor`",
        )


def _removal_problems(stream: Mapping[str, Any], sources: object) -> Iterator[Problem]:
    """Refuse `on_removed:` where a row that is not read may exist; a query in a file is seen when it is read."""
    if stream.get("on_removed") is None:
        return
    at = ("on_removed",)
    kind = _kind_of(stream)
    mode = None if kind is None else _mode_of(kind, stream)
    if kind is not None and not (mode is not None and mode.compares):
        yield at, "only `sync: changes` of users and companies remembers which rows there were"
    source = stream.get("source")
    source = sources.get(source) if isinstance(sources, dict) and isinstance(source, str) else source
    source = source if isinstance(source, dict) else {}
    texts = [source[name] for name in ("sql", "query") if isinstance(source.get(name), str)]
    used = {name for text in texts for dialect in get_args(SqlDialect) for name in sql_parameters(text, dialect)}
    exists = "so that a row may be missing that still exists"
    if PATH_PARAMETER.search(str(source.get("path") or "")) or used & {"interval_start", "interval_end"}:
        yield at, f"the source is read for an interval, {exists}"
    if "cursor" in stream or "cursor" in used:
        yield at, f"the source is read from a cursor on, {exists}"
    if source.get("new_files"):
        yield at, f"the source gives its new files alone, {exists}"


def _value_problems(stream: Mapping[str, Any]) -> Iterator[Problem]:
    """Refuse to keep values where nothing is compared with them."""
    kind = _kind_of(stream)
    if stream.get("remember") != "values" or kind is None:
        return
    mode = _mode_of(kind, stream)
    if mode is None or not mode.compares:
        yield ("remember",), "`values` is for `sync: changes` of users and companies, which compares with them"


def _kind_of(stream: Mapping[str, Any]) -> Kind | None:
    record = stream.get("record")
    return KINDS.get(record) if isinstance(record, str) else None


def _mode_of(kind: Kind, stream: Mapping[str, Any]) -> Sync | None:
    """Return the sync mode that is written, or the kind's first; None where what is written is none."""
    written = stream.get("sync") or kind.syncs[0].name
    return SYNCS.get(written) if isinstance(written, str) else None


def _stream_problems(kind: Kind, stream: Mapping[str, Any], api: Api) -> Iterator[Problem]:
    if api != "front" and not kind.is_legacy:
        known = ", ".join(each.name for each in KINDS.values() if each.is_legacy)
        yield ("record",), f"`api: {api}` does not take {kind.a_name}, only {known}; use `api: front`"
        return
    fields = stream.get("fields")
    if isinstance(fields, dict):
        yield from _field_problems(kind, fields, api)
    mode = _mode_of(kind, stream)
    if mode is not None and mode not in kind.syncs:
        fitting = " or ".join(each.name for each in kind.syncs)
        yield ("sync",), f"`sync: {mode.name}` does not fit {kind.a_name}; use {fitting}"
    if "active" in stream and "context" not in contract.rules(kind.name, api):
        yield ("active",), f"{kind.a_name} has no context, so `active:` does not fit"
    if kind.ordered and stream.get("on_unknown") == "hold":
        yield ("on_unknown",), f"`hold` is for events and feedback; {kind.a_name} is safe to send again"
    if kind.ordered and "key" in stream:
        yield ("key",), f"`key:` is for events and feedback; {kind.a_name} is known by its ids"
    has_ids = kind.ordered and mode in kind.syncs
    has_moment = isinstance(fields, dict) and "timestamp" in fields
    if mode is not None and mode.once and not (has_ids or "key" in stream or has_moment):
        yield (
            (),
            (
                f"`sync: {mode.name}` knows a record again by `key:`, or by its content with a mapped `timestamp:`; "
                "give one of them, or write `sync: full`"
            ),
        )


def _field_problems(kind: Kind, fields: Mapping[str, Any], api: Api) -> Iterator[Problem]:
    rules = contract.rules(kind.name, api)
    known = [name for name in rules if name != "context"]
    of_api = f" in `api: {api}`" if rules.keys() != contract.rules(kind.name).keys() else ""
    for name in fields:
        if name in Fields.model_fields and name not in known:
            yield ("fields", name), f"{kind.a_name} has no field {name!r}{of_api}; it has {', '.join(known)}"
    if missing := [name for name, rule in rules.items() if rule.required and name not in fields]:
        yield ("fields",), f"{kind.a_name} needs {' and '.join(missing)}"
    for group in contract.one_of(kind.name, api):
        if not any(name in fields for name in group):
            yield ("fields",), f"{kind.a_name} needs {' or '.join(group)}"
