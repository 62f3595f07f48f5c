"""What a plan changes, for programs: JSON, written piece by piece, since it may hold every record of a plan."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from bucket_loader.reporting.diff.values import NUMBERS, Diff, RecordDiff, StreamDiff


def json_pieces(diff: Diff) -> Iterator[str]:
    """Yield the object in pieces; together they are one line."""
    yield '{"streams": {'
    for place, stream in enumerate(diff.streams):
        yield f"{', ' if place else ''}{json.dumps(stream.name)}: "
        yield from _stream(stream)
    stops = f', "would_stop": {json.dumps([asdict(stop) for stop in diff.stops])}' if diff.stops else ""
    impact = f', "impact": {json.dumps(diff.impact)}' if diff.impact else ""
    yield f"}}{stops}{impact}}}\n"


def _stream(stream: StreamDiff) -> Iterator[str]:
    numbers = {word: getattr(stream, word) for word in NUMBERS}
    members = numbers | ({"unknown": stream.unknown} if stream.unknown else {}) | {"fields": dict(stream.fields)}
    yield json.dumps(members)[:-1] + ', "records": ['
    for place, record in enumerate(stream.records):
        yield (", " if place else "") + json.dumps(_record(record))
    yield "]}"


def _record(record: RecordDiff) -> dict[str, object]:
    return {"id": record.ids, "change": record.change, "fields": record.fields}
