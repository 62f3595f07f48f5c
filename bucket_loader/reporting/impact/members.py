"""The impact of a plan for programs, JSON or CSV: written piece by piece, since it may name every company."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from bucket_loader.reporting.impact.value import Impact


def impact_json(impact: Impact) -> Iterator[str]:
    """Yield the object in pieces; together they are one line."""
    yield f'{{"features": {json.dumps(impact.counts())}, "flips": ['
    yield from _listed(impact.flips)
    yield '], "unknown": ['
    yield from _listed(impact.unknown)
    notes = f', "notes": {json.dumps(list(impact.notes))}' if impact.notes else ""
    yield f"]{notes}}}\n"


def _listed(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    for place, entry in enumerate(entries):
        yield (", " if place else "") + json.dumps(entry)


def impact_csv(impact: Impact) -> Iterator[str]:
    """Yield a line for each flip, and for each context in which something is unknown."""
    header = ("feature", "companyId", "userId", "becomes", "rule_before", "rule_after", "attributes", "why")
    yield _line(header)
    for flip in impact.flips:
        becomes = "variant" if "variant" in flip else "on" if flip["after"] else "off"
        yield _line(
            (flip["feature"], flip["companyId"], flip["userId"], becomes, flip["rule_before"], flip["rule_after"],
             json.dumps(flip["attributes"], ensure_ascii=False), "")
        )  # fmt: skip
    for one in impact.unknown:
        yield _line((one["feature"], one["companyId"], one.get("userId"), "unknown", "", "", "", one["why"]))


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow("" if cell is None else cell for cell in cells)
    return text.getvalue()
