"""Counts, and rows that were rejected: what the summary and the dead letters say."""

from collections.abc import Sequence
from typing import Final

from bucket_loader.config import RejectedRow
from bucket_loader.reporting import Summary
from bucket_loader.runs.asserting.bucket import Bucket
from bucket_loader.runs.asserting.findings import Findings, Place
from bucket_loader.state import dead_letters

_ROWS_SHOWN_MAX: Final = 20


def check_counts(findings: Findings, bucket: Bucket, summary: Summary) -> None:
    """Hold the counts of everything, and those of streams."""
    expected, there = findings.assertions.expected, bucket.counts()
    for name, amount in expected.counts.model_dump(exclude_none=True).items():
        rows = [getattr(counts, name) for counts in summary.streams.values()] if name not in there else [there[name]]
        findings.compare(("counts", name), name.replace("_", " "), amount, sum(rows))
    for stream, counts in expected.streams.items():
        for name, amount in counts.model_dump(exclude_none=True).items():
            found = getattr(summary.streams[stream], name) if stream in summary.streams else 0
            findings.compare(("streams", stream, name), f"stream {stream}, {name.replace('_', ' ')}", amount, found)


def check_rejected(findings: Findings, summary: Summary) -> None:
    """Hold the rows that were rejected: those that must be, and that no others are where nothing allows them."""
    letters = [letter for file in summary.letters for letter in dead_letters.read(file)]
    expected = findings.assertions.expected.rejected or []
    for index, row in enumerate(expected):
        _check_row(findings, ("rejected", index), row, letters)
    if summary.status != "rejected" or findings.assertions.expected.counts.model_dump()["rejected"] is not None:
        return
    counted = {
        name
        for name, counts in findings.assertions.expected.streams.items()
        if counts.model_dump()["rejected"] is not None
    }
    others = [
        letter
        for letter in letters
        if letter.stream not in counted and not any(_is_meant(row, letter) for row in expected)
    ]
    for letter in others[:_ROWS_SHOWN_MAX]:
        findings.fail(("rejected",), "a row that nothing here expects to be rejected", "none", _shown(letter))
    if len(others) > _ROWS_SHOWN_MAX:
        more = f"{len(others) - _ROWS_SHOWN_MAX:,} more"
        findings.fail(("rejected",), "rows that nothing here expects to be rejected", "none", more)


def _check_row(findings: Findings, place: Place, row: RejectedRow, letters: Sequence[dead_letters.Entry]) -> None:
    findings.checked += 1
    found = sum(_is_meant(row, letter) for letter in letters)
    if found == row.count or (row.count is None and found):
        return
    near = [letter for letter in letters if row.stream in {None, letter.stream}]
    near.sort(key=lambda letter: abs(letter.origin["row"] - (row.row or letter.origin["row"])))
    said = ", ".join(f"{name} {value}" for name, value in row.model_dump(exclude_none=True, exclude={"count"}).items())
    expected = "one at least" if row.count is None else f"{row.count:,}"
    nearest = _shown(near[0]) if near and not found else ""
    findings.fail(place, f"rejected row ({said})", expected, f"{found:,}", nearest)


def _is_meant(row: RejectedRow, letter: dead_letters.Entry) -> bool:
    """Whether a rejected row is the expected one; one and the same reason must fit."""
    if row.stream not in {None, letter.stream} or row.row not in {None, letter.origin["row"]}:
        return False
    return any(
        row.field in {None, reason["field"]}
        and (row.reason is None or row.reason == reason["code"] or row.reason in reason["message"])
        for reason in letter.reasons
    )


def _shown(letter: dead_letters.Entry) -> str:
    reasons = "; ".join(f"{reason['code']}: {reason['message']}" for reason in letter.reasons)
    return f"row {letter.origin['row']} of stream {letter.stream}: {reasons}"
