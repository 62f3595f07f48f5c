"""Which export of a known tool a sample is of, and what of its rows makes no stream."""

from collections import Counter
from collections.abc import Sequence

from bucket_loader.runs.init.evidence import Sample
from bucket_loader.runs.init.export import Export
from bucket_loader.runs.init.exports import EXPORTS


def without_a_stream(sample: Sample, exports: Sequence[Export]) -> str:
    """Return what is said of rows of other kinds than the streams are made from; empty where there are none."""
    asked = [export.rows[0] for export in exports if export.rows is not None][:1]
    found = [column for name in asked for column in sample.called(name) if column.leaf is None]
    made = {value for export in exports for value in export.values_in(sample)}
    counted = Counter(text for column in found for text in column.texts if text not in made)
    listed = ", ".join(f"{value!r} ({count:,})" for value, count in sorted(counted.items()))
    return f"; left out are the rows whose {found[0].name!r} is {listed}" if listed else ""


def recognised(sample: Sample, label: str) -> Sequence[Export]:
    """Return the export that a sample is of: of one whose rows are of several kinds a row for each; else none."""
    fitting = [export for export in EXPORTS if export.fits(sample, label)]
    if fitting and fitting[0].rows is not None:
        several = [export for export in fitting if export.rows is not None]
        return [export for export in several if "event" not in export.constants] or several  # pages only if alone
    return fitting[:1]
