"""What is wrong with a value is said in our words, never in those of the library that reads it."""

import json

import pytest

from bucket_loader.config.yaml_file import json_schema, pipeline_from
from bucket_loader.model.errors import ConfigError

WRONG = ["", 0, -1, 1.5, "zzz", None, True, [], {}, [[]], {"a": {"b": []}}, "x" * 2_000, 10**30]
THEIRS = ["Input", "String", "valid", "List", "Dictionary", "parse", "pydantic", "instance", "ensure", "Union"]
FILE = {
    "name": "n", "version": 1, "description": "d", "owner": {"name": "n", "email": "e@h", "url": "https://h.example"},
    "arrays": "keep", "on_truncation": "reject", "keep": "30d",
    "destination": {
        "base_url": "https://front.bucket.co", "key": "${KEY}", "environment": "e",
        "chunk": {"records": 1, "bytes": 1024}, "concurrency": 1,
        "patience": "1s", "timeout": 1, "requests_per_second": 1, "api": "front",
    },
    "limits": {"rejected": 1, "changed": 1, "superseded": 1, "columns": "warn", "null": {"a": 1},
               "rows": {"min": 1, "max": 2, "drop": 1, "growth": 1}, "fresh": {"column": "a", "within": "1h"},
               "flips": {"a": 1}, "unknown": 1},
    "impact": "on", "notify": [{"webhook": "https://h.example", "on": ["failed"]}],
    "sources": {
        "c": {"type": "csv", "path": "a", "delimiter": ",", "quote": "'", "escape": "x", "encoding": "utf-8",
              "header": True, "names": ["a"], "null_values": ["a"], "compression": "gzip", "new_files": False},
        "e": {"type": "excel", "path": "a", "sheet": "s", "header_row": 1, "storage": {"region": "r"}},
        "d": {"type": "delta", "path": "a", "version": 1, "at": "2026-01-01T00:00:00Z"},
        "i": {"type": "iceberg", "table": "a.b", "catalog": {"type": "rest"}, "metadata": "m", "snapshot": 1},
        "s": {"type": "sql", "url": "postgresql://h/d", "query": "q", "user": "u", "statement_timeout": "1s"},
        "b": {"type": "dbt", "model": "m", "package": "p", "version": 1, "project": "p", "manifest": "m",
              "profile": "p", "target": "t", "url": "u", "query": "q",
              "require": {"run_results": "r", "max_age": "1h"}},
        "p": {"type": "spark", "table": "t", "query": "q", "order_by": ["a"]},
        "q": {"type": "query", "sql": "select 1"},
        "j": {"type": "jsonl", "path": "a", "columns": ["a"]},
    },
    "streams": [{
        "name": "s", "record": "user", "source": "c", "key": ["a"], "where": "a", "sync": "full", "nulls": "omit",
        "active": True, "timezone": "UTC", "dst": "latest", "on_unknown": "hold",
        "cursor": {"column": "a", "lookback": "1s", "start": 1},
        "on_removed": {"attributes": {"a": "b"}, "limit": 1}, "limits": {"rejected": 1},
        "remember": "hashes",
        "fields": {"userId": "id", "attributes": {
            "*": {"exclude": ["a"]},
            "a": {"column": "a", "value": "v", "sql": "s", "type": "string", "format": "%Y", "timezone": "UTC",
                  "dst": "latest", "unit": "s", "null_values": ["a"], "default": 1, "scale": [0, 10], "encoding": "hex",
                  "hash": "sha256"},
        }},
    }],
}  # fmt: skip


def paths(value, path=()):
    """Yield the path of every value of the file."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from paths(one, (*path, name))


def changed(path, value):
    """Return the file with another value at a path."""
    whole = json.loads(json.dumps(FILE))
    inner = whole
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return whole


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: repr(value)[:20])
def test_every_value_that_is_wrong_is_told_in_our_words(wrong):
    """Whatever stands in the place of whatever value."""
    told = []
    for path in list(paths(FILE))[1:]:
        with pytest.raises(ConfigError) as refused:  # the file has mistakes anyway, for all its words to be there
            pipeline_from(changed(path, wrong))
        told += refused.value.mistakes

    assert [one for one in told if any(word in f"{one.message} {one.hint}" for word in THEIRS)] == []


def words_of(schema):
    """Yield every word that a schema has a property for."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    for inner in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from words_of(inner)


def test_the_file_above_has_every_word():
    """What is not in it is not tried; these are read as others are that it has."""
    missing = set(words_of(json_schema())) - {str(part) for path in paths(FILE) for part in path}

    assert missing <= {
        "proxy", "ca_bundle", "hash_key", "endpoint", "account", "anonymous", "query_file", "password",
        "companyId", "event", "timestamp", "score", "comment", "featureId", "feedbackId", "promptId", "question",
        "promptedQuestion", "action", "evalResult", "targetingVersion", "evalContext", "evalRuleResults",
        "evalMissingFields", "evalErrors",
    }  # fmt: skip
