"""The JSON Schema: editors accept what the loader accepts, and mark what it refuses."""

import re
from pathlib import Path

import pytest
from config_helpers import BASE, destination, fields, load, mistakes

from bucket_loader.config.assert_file import assert_schema, load_assertions
from bucket_loader.config.fingerprints import mapping_fingerprint
from bucket_loader.config.yaml_file import json_schema, parse
from bucket_loader.model.errors import ConfigError

# The example of the design, in whole.
EXAMPLE = """\
name: nightly
destination:
  base_url: ${BUCKET_BASE_URL:-https://front.bucket.co}
  key: ${KEY}            # only by reference; a literal key is refused
  environment: production              # part of the state's identity
  chunk: {records: 100, bytes: 512KiB} # whichever comes first
  concurrency: auto                    # auto (adaptive) or a number
  patience: 30m                        # how long an outage is waited out before exit 75
limits: {rejected: 10%, changed: 50%}
sources:                               # optional: named once, read once, used by several streams
  accounts: {type: csv, path: ../exports/accounts.csv}
  usage: {type: csv, path: "../exports/usage-*.csv.gz"}
streams:
  - name: companies
    record: company                    # user | company | event | feedback | feature_event
    source: accounts                   # a name, or a source of its own
    fields:
      companyId: account_id            # a bare string is a column
      userId: {column: owner_id}
      attributes:
        "*": {exclude: [owner_id]}     # every column not used elsewhere; what is named beside it wins
        name: account_name
        seats: {column: seats, type: integer, default: 0}
        trial: {column: is_trial, type: boolean}
        plan: {sql: "lower(plan_tier)"}
        createdAt: {column: signup_date, type: timestamp, format: ["%d-%m-%Y %H:%M", "%d-%m-%Y"], timezone: UTC}
        source: {value: warehouse}
    where: "churn_flag = 'FALSE'"      # rows that fail it are counted as filtered
    sync: changes                      # changes (default for user, company) | append (default for the others) | full
    nulls: omit                        # omit (default: what null does in Bucket is undocumented) | send
    active: false                      # context.active; false for user and company unless set
  - name: usage
    record: event
    source: {type: query, sql: "select u.*, a.owner_id from usage u join accounts a using (account_id)"}
    key: [usage_id]                    # identity for append
    fields:
      userId: owner_id
      companyId: account_id
      event: feature_name
      timestamp: {column: usage_date, format: "%d-%m-%Y", timezone: UTC}
    on_unknown: resend                 # resend (default) | hold
  - name: signups
    record: event
    source:
      type: sql
      url: "${WAREHOUSE_URL}"
      query: "select * from signups where at >= :interval_start and at < :interval_end"
    fields: {userId: user_id, event: {value: signed up}, timestamp: at}
"""
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


def violations(schema, value, root):
    """Hold a value against a JSON Schema: as much of the standard as ours uses, and an error for what is more."""
    unknown = set(schema) - {
        "$ref",
        "$defs",
        "$schema",
        "anyOf",
        "oneOf",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "title",
        "description",
        "default",
        "format",
        "writeOnly",
        "discriminator",
    }
    assert not unknown, unknown
    if "$ref" in schema:
        return violations(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    if "anyOf" in schema and all(violations(choice, value, root) for choice in schema["anyOf"]):
        return [f"{value!r} is none of the choices"]
    if "oneOf" in schema and sum(not violations(choice, value, root) for choice in schema["oneOf"]) != 1:
        return [f"{value!r} is not exactly one of the choices"]
    if "const" in schema and value != schema["const"]:
        return [f"{value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r} is none of {schema['enum']}"]
    return _type_violations(schema, value) or _size_violations(schema, value) or _inner_violations(schema, value, root)


def _type_violations(schema, value):
    if "type" not in schema:
        return []
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = any(isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds)
    return [] if fits else [f"{value!r} is not of type {kinds}"]


def _size_violations(schema, value):
    if isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9):
        return [f"{value!r} has a wrong length"]
    if isinstance(value, list) and len(value) < schema.get("minItems", 0):
        return ["too few items"]
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return [f"{value} is out of range"]
    return []


def _inner_violations(schema, value, root):
    found = []
    if isinstance(value, list) and "items" in schema:
        found += [one for item in value for one in violations(schema["items"], item, root)]
    if isinstance(value, dict):
        found += [f"{name} is missing" for name in schema.get("required", []) if name not in value]
        more = schema.get("additionalProperties", True)
        for name, child in value.items():
            inner = schema.get("properties", {}).get(name, more)
            if inner is False:
                found.append(f"{name} is not known")
            elif inner is not True:
                found += violations(inner, child, root)
    return found


def held(text):
    """Hold a file's text against the schema."""
    schema = json_schema()
    return violations(schema, parse(text.encode(), "f").data, schema)


def test_the_design_s_example_loads(tmp_path):
    """The example of the design is a right file."""
    pipeline = load(tmp_path, EXAMPLE, {"KEY": "sec_x", "WAREHOUSE_URL": "sqlite:///a.db"})

    assert [stream.name for stream in pipeline.ordered_streams()] == ["companies", "usage", "signups"]
    assert pipeline.destination.base_url == "https://front.bucket.co"
    assert pipeline.streams[0].fields.attributes.star.exclude == ["owner_id"]


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        BASE,
        fields('{userId: id, attributes: "*"}'),
        fields('{userId: id, attributes: {"*": }}'),
        fields('{userId: id, attributes: {"*": {exclude: a}, b: c}}'),
        fields("{userId: {column: id, format: '%Y', timezone: UTC}}"),
        destination('{key: "${KEY}", patience: 10, timeout: 5s, chunk: {bytes: 1MiB}, concurrency: 4}'),
        BASE + "limits: {rejected: 5, changed: 1%}\n",
        BASE.replace("record: user", "record: event").replace("userId: id", "userId: id, event: e") + "    key: k\n",
    ],
)
def test_editors_accept_what_the_loader_accepts(text, tmp_path):
    """A right file has no mark in an editor."""
    assert load(tmp_path, text, {"KEY": "sec_x", "WAREHOUSE_URL": "sqlite:///a.db"})
    assert held(text) == []


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("name: nightly", "nmae: nightly"),
        BASE.replace("record: user", "record: person"),
        fields("{userid: id}"),
        fields("{userId: {colum: id}}"),
        fields("{userId: id, attributes: all}"),
        fields('{userId: id, attributes: {"*": [a]}}'),
        BASE.replace("type: csv", "type: xlsx"),
        BASE.replace("type: csv", "type: frame"),
        destination("{}"),
        destination('{key: "${KEY}", concurrency: 100}'),
        BASE + "    sync: sometimes\n",
        BASE[: BASE.index("streams")] + "streams: []\n",
    ],
)
def test_editors_mark_what_the_loader_refuses(text, tmp_path):
    """A file that the schema refuses is refused by the loader, too."""
    assert held(text)
    assert mistakes(tmp_path, text)


def test_every_word_of_the_schema_is_defined():
    """No reference of the schema leads nowhere."""
    schema = json_schema()
    named = set(re.findall(r"#/\$defs/(\w+)", str(schema)))

    assert named == set(schema["$defs"])


def test_the_mapping_s_fingerprint_changes_with_the_mapping(tmp_path):
    """What a stream makes of a row is in its fingerprint; where it reads and where it sends is not."""
    base = mapping_fingerprint(load(tmp_path, BASE).streams[0])
    same = [
        BASE.replace("users.csv", "other.csv"),
        BASE.replace("name: nightly", "name: other"),
        BASE + "    on_unknown: resend\n",
        destination('{key: "${KEY}", concurrency: 3}'),
    ]
    other = [
        fields("{userId: uid}"),
        fields('{userId: id, attributes: "*"}'),
        BASE + "    where: a = 1\n",
        BASE + "    nulls: send\n",
        BASE + "    active: true\n",
        BASE + "    timezone: UTC\n",
    ]

    assert {mapping_fingerprint(load(tmp_path, text).streams[0]) for text in same} == {base}
    assert len({base, *(mapping_fingerprint(load(tmp_path, text).streams[0]) for text in other)}) == 7


ASSERTS = Path(__file__).parents[2] / "pipelines" / "nightly.assert.yml"


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        (ASSERTS.read_text("utf-8"), True),
        ("users: {u1: , u2: absent, u3: {companies: c1, lastSeen: }}", True),
        ("companies: {c1: {users: [1, a], attributes: {a: [1], b: , c: true}}}", True),
        ("sources: {a: x.csv, b: [{id: 1}]}\ndefinitions: [{key: f}]", True),
        ("count: {}", False),
        ("counts: {user: 1}", False),
        ("users: {u1: absnt}", False),
        ("events: [{userid: u}]", False),
        ("features: {h: {of: {}}}", False),
        ("rejected: [{stream: a, row: zero}]", False),
    ],
)
def test_editors_take_of_an_assert_file_what_the_loader_takes(text, is_right, tmp_path):
    """The file that we ship has no mark, a misspelt word has one."""
    schema = assert_schema()
    (tmp_path / "t.yml").write_text(text)
    found = violations(schema, parse(text.encode(), "t").data, schema)

    if is_right:
        assert found == []
        load_assertions(tmp_path / "t.yml")
    else:
        assert found != []
        with pytest.raises(ConfigError):
            load_assertions(tmp_path / "t.yml")
