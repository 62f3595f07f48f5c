"""A report that is cut further, for names that are so long that all of it would be no small page."""

from dataclasses import replace
from typing import Final

from bucket_loader.reporting.report.value import Changes, Flow, NamedChunks, Rejections, Report, Rows

_FLOWS: Final = 10
_LISTED: Final = 8  # reasons, fields of a stream, chunks, rows
_COLUMNS: Final = 20


def shortened(report: Report) -> Report:
    """Return a report whose lists are shorter; what they count is the same, and each says how much it leaves out."""
    return replace(
        report,
        flows=tuple(map(_flow, report.flows[:_FLOWS])),
        more_flows=report.more_flows + len(report.flows[_FLOWS:]),
        rejections=_rejections(report.rejections),
        unknown=_chunks(report.unknown),
        repeated=_chunks(report.repeated),
        columns=report.columns[-_COLUMNS:],
        rows=None if report.rows is None else _rows(report.rows),
    )


def _flow(flow: Flow) -> Flow:
    return flow if flow.changes is None else replace(flow, changes=_changes(flow.changes))


def _changes(changes: Changes) -> Changes:
    fields = changes.fields or ()
    return replace(changes, fields=changes.fields and fields[:_LISTED], more=changes.more + len(fields[_LISTED:]))


def _rejections(found: Rejections) -> Rejections:
    return replace(found, reasons=found.reasons[:_LISTED], more=found.more + len(found.reasons[_LISTED:]))


def _chunks(found: NamedChunks) -> NamedChunks:
    return replace(found, chunks=found.chunks[:_LISTED], more=found.more + len(found.chunks[_LISTED:]))


def _rows(rows: Rows) -> Rows:
    return replace(rows, letters=rows.letters[:_LISTED], records=rows.records[:_LISTED])
