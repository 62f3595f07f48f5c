"""What an OpenLineage event must be, held in two ways: by a schema of ours, and by the classes of OpenLineage's client.

No package ships the published schemas (https://openlineage.io/spec/2-0-2/OpenLineage.json and those of its facets). So
the part of them that is used here is written down again from the specification's pages. The client's classes are
generated from the published schemas: each part of an event has to fit into the class that its `_schemaURL` names.
"""

import json
import types
import typing
from enum import Enum
from functools import cache
from http.server import BaseHTTPRequestHandler

import attr
import jsonschema_rs
from openlineage.client import event_v2, facet_v2  # noqa: F401  # the classes of facets are those that are loaded
from openlineage.client.generated import base

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}
_TIME, _UUID, _URI = ({"type": "string", "format": form} for form in ("date-time", "uuid", "uri"))
_ROWS = {"properties": {"rowCount": _NUMBER}, "required": ["rowCount"]}


def _object(required, **members):
    """Return the schema of an object with these members, all of which may be missing but the required ones."""
    return {"type": "object", "properties": members, "required": required}


def _facets(**known):
    """Return the schema of an object of facets: each says who made it and what it is."""
    facet = _object(["_producer", "_schemaURL"], _producer=_URI, _schemaURL=_URI)
    return {"type": "object", "properties": known, "additionalProperties": facet}


def _facet(*required, **members):
    """Return the schema of one facet."""
    return _object(["_producer", "_schemaURL", *required], _producer=_URI, _schemaURL=_URI, **members)


_RUN, _JOB = _object(["runId"], runId=_UUID), _object(["namespace", "name"], namespace=_TEXT, name=_TEXT)
_TRANSFORMATION = _object(
    ["type"], type={"enum": ["DIRECT", "INDIRECT"]}, subtype=_TEXT, description=_TEXT, masking={"type": "boolean"}
)
_INPUT_FIELD = _object(
    ["namespace", "name", "field"], namespace=_TEXT, name=_TEXT, field=_TEXT,
    transformations={"type": "array", "items": _TRANSFORMATION},
)  # fmt: skip
_INPUT_FIELDS = {"type": "array", "items": _INPUT_FIELD}
_COLUMN_LINEAGE = _facet(
    "fields", dataset=_INPUT_FIELDS,
    fields={"type": "object", "additionalProperties": _object(["inputFields"], inputFields=_INPUT_FIELDS)},
)  # fmt: skip
_SCHEMA = _facet(fields={"type": "array", "items": _object(["name"], name=_TEXT, type=_TEXT)})
_DATASET = {"namespace": _TEXT, "name": _TEXT, "facets": _facets(columnLineage=_COLUMN_LINEAGE, schema=_SCHEMA)}
_RUN_FACETS = _facets(
    nominalTime=_facet("nominalStartTime", nominalStartTime=_TIME, nominalEndTime=_TIME),
    errorMessage=_facet("message", "programmingLanguage", message=_TEXT, programmingLanguage=_TEXT),
    parent=_facet("run", "job", run=_RUN, job=_JOB, root=_object(["run", "job"], run=_RUN, job=_JOB)),
)
_JOB_FACETS = _facets(jobType=_facet("processingType", "integration", processingType=_TEXT, integration=_TEXT))
EVENT = _object(
    ["eventTime", "eventType", "producer", "schemaURL", "run", "job"],
    eventTime=_TIME,
    eventType={"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
    producer=_URI,
    schemaURL={"type": "string", "const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
    run=_object(["runId"], runId=_UUID, facets=_RUN_FACETS),
    job=_object(["namespace", "name"], namespace=_TEXT, name=_TEXT, facets=_JOB_FACETS),
    inputs={
        "type": "array",
        "items": _object(["namespace", "name"], **_DATASET, inputFacets=_facets(inputStatistics=_ROWS)),
    },
    outputs={
        "type": "array",
        "items": _object(["namespace", "name"], **_DATASET, outputFacets=_facets(outputStatistics=_ROWS)),
    },
)
_VALID = jsonschema_rs.validator_for(EVENT, validate_formats=True)


def require_event(event):
    """Fail where an event is none."""
    _VALID.validate(event)
    _require(event, base.RunEvent, "event")


def _require(value, kind, place):
    """Fail where a value does not fit into a type of the client."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        (kind,) = [one for one in typing.get_args(kind) if one is not type(None)]  # all of them are `X | None`
    if kind is typing.Any:
        return
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is list:
        for number, one in enumerate(value):
            _require(one, arguments[0], f"{place}[{number}]")
    elif typing.get_origin(kind) is dict:
        for name, one in value.items():
            _require(one, arguments[1], f"{place}.{name}")
    elif attr.has(kind):
        _require_members(value, _facet_class(kind, value), place)
    elif issubclass(kind, Enum):
        assert value in {one.value for one in kind}, place
    else:
        assert isinstance(value, kind), f"{place} is {value!r}"


def _require_members(value, kind, place):
    hints = {one.name: typing.get_type_hints(kind).get(one.name, typing.Any) for one in attr.fields(kind)}
    needed = {one.name for one in attr.fields(kind) if one.default is attr.NOTHING}
    assert needed <= value.keys(), f"{place}: {sorted(value)}, and {kind} needs {sorted(needed)}"
    if not (
        issubclass(kind, base.BaseFacet) and kind.__module__ == base.__name__
    ):  # a facet of somebody's own has more
        assert value.keys() <= hints.keys(), f"{place}: {sorted(value)}, and {kind} has {sorted(hints)}"
    for name in value.keys() & hints.keys():
        _require(value[name], hints[name], f"{place}.{name}")


def _facet_class(kind, value):
    """Return the class that a facet names; a facet of somebody's own has none here."""
    if not issubclass(kind, base.BaseFacet):
        return kind
    return _facet_classes().get(value["_schemaURL"], kind)


@cache
def _facet_classes():
    found, waiting = {}, [base.BaseFacet]
    while waiting:
        kind = waiting.pop()
        if "__attrs_attrs__" in vars(kind):  # the class that attrs has made a slotted one of stays for a while
            found[kind._get_schema()] = kind
        waiting += kind.__subclasses__()
    return found


class Receiver:
    """A server of lineage that keeps what it is told."""

    def __init__(self):
        self.told, self.keys, self.paths = [], [], []
        self.status, self.before = 200, lambda: None

    def handler(self):
        """Return what answers for it."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.before()
                receiver.keys.append(self.headers.get("Authorization"))
                receiver.paths.append(self.path)
                receiver.told.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        return Handler

    def of(self, job):
        """Return the events of a job, in order."""
        return [event for event in self.told if event["job"]["name"] == job]


def stages(events):
    """Return the name of the job and what became of it, of each event."""
    return [(event["job"]["name"], event["eventType"]) for event in events]


def made_of(event):
    """Return the columns that each field of the one output is made from, by the names of their datasets."""
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    return {
        path: [f"{one['name'].rpartition('/')[2]}.{one['field']}" for one in found["inputFields"]]
        for path, found in fields.items()
    }


def rows(event):
    """Return how many rows each input and output had, where that is said."""
    inputs = [one["inputFacets"].get("inputStatistics", {}).get("rowCount") for one in event["inputs"]]
    outputs = [one["outputFacets"].get("outputStatistics", {}).get("rowCount") for one in event["outputs"]]
    return inputs, outputs
