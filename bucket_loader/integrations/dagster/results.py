"""What Dagster shows of a load: the materialization of each stream with its counts, its checks, or why it failed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from bucket_loader.integrations.dagster.specs import AUDIT, REJECTED
from bucket_loader.integrations.tasks import Ending
from bucket_loader.model import Counts, RejectedRowsError

if TYPE_CHECKING:
    from bucket_loader.reporting import Summary

RUN: Final = "bucket/run"
ROWS_REJECTED: Final = "bucket/rejected"
_REASONS_SHOWN: Final = 20


@dataclass(frozen=True)
class Audited:
    """What an audit found: of which run, and in words what is wrong; what it looked at."""

    run: str
    findings: Sequence[str]
    looked_at: Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """What a step loaded.

    Attributes:
        chosen: the asset key of each stream.
        runs: the partition and the summary of each run; without partitions, None and the one summary.
        audits: what the audit of each run found; empty when nobody asked.
        allows_any: whether any number of rejected rows is left to the check to say.
    """

    chosen: Mapping[str, Any]
    runs: "Sequence[tuple[str | None, Summary]]"
    audits: Sequence[Audited]
    allows_any: bool

    @property
    def summaries(self) -> "list[Summary]":
        """The summaries of the runs."""
        return [summary for _, summary in self.runs]


def results(context: dg.AssetExecutionContext, loaded: Loaded) -> Iterator[Any]:
    """Yield the materialization of each stream, and those of its checks that are asked for."""
    asked = context.selected_asset_check_keys
    for stream, key in loaded.chosen.items():
        for partition, summary in loaded.runs:
            context.add_asset_metadata(_metadata(summary, stream, partition), asset_key=key, partition_key=partition)
        yield dg.MaterializeResult(asset_key=key)
        if dg.AssetCheckKey(key, REJECTED) in asked:
            yield _rejected(key, stream, loaded)
        if dg.AssetCheckKey(key, AUDIT) in asked:
            yield audit_check(key, loaded.audits)


def _metadata(summary: "Summary", stream: str, partition: str | None) -> dict[str, Any]:
    from bucket_loader.reporting import COLUMNS

    counts, resumed = summary.streams.get(stream, Counts()), _resumed(summary, stream)
    rows = counts.delivered + counts.unchanged  # what Bucket now has, of what was read
    found: dict[str, Any] = {"dagster/row_count": rows}
    if partition is not None:
        found["dagster/partition_row_count"] = rows
    found |= {f"bucket/{name}": getattr(counts, name) for name in COLUMNS}
    found["bucket/possibly_duplicated"] = sum(resumed.values(), counts).possibly_duplicated
    found[RUN] = summary.run
    if resumed:
        found["bucket/resumed"] = dg.MetadataValue.json({run: asdict(one) for run, one in resumed.items()})
    return found


def _resumed(summary: "Summary", stream: str) -> dict[str, Counts]:
    """Return where the rows of a stream went in earlier runs that were finished first."""
    return {one.run: one.streams[stream] for one in summary.resumed if stream in one.streams}


def _rejected(key: Any, stream: str, loaded: Loaded) -> Any:  # noqa: ANN401  # Dagster's own
    """Return the check of the rejected rows: those of the runs, and those of earlier ones that were finished first."""
    counts = Counts()
    for summary in loaded.summaries:
        counts += sum(_resumed(summary, stream).values(), summary.streams.get(stream, Counts()))
    too_many = any(summary.exit_code == RejectedRowsError.exit_code for summary in loaded.summaries)
    letters = [str(file) for summary in loaded.summaries for file in summary.letters]
    reasons: Counter[str] = Counter()
    for group in (group for summary in loaded.summaries for group in summary.reasons() if group.stream == stream):
        reasons[group.message] += group.count
    found: dict[str, Any] = {
        ROWS_REJECTED: counts.rejected,
        "bucket/read": counts.read,
        "bucket/share": counts.rejected / counts.read if counts.read else 0.0,
    }
    if counts.rejected and letters:
        found["bucket/dead_letters"] = dg.MetadataValue.path(letters[0])
        found["bucket/reasons"] = dg.MetadataValue.json(dict(reasons.most_common(_REASONS_SHOWN)))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=REJECTED,
        passed=not counts.rejected or not (too_many or loaded.allows_any),
        severity=dg.AssetCheckSeverity.ERROR if too_many else dg.AssetCheckSeverity.WARN,
        description=f"{counts.rejected:,} of {counts.read:,} rows were rejected",
        metadata=found,
    )


def rejected_before(key: Any, metadata: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return the check of the rejected rows, as the last materialization counted them."""
    rejected = int(metadata[ROWS_REJECTED].value)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=REJECTED,
        passed=not rejected,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{rejected:,} rows were rejected when the asset was last loaded",
        metadata={ROWS_REJECTED: rejected},
    )


def audit_check(key: Any, audits: Sequence[Audited]) -> Any:  # noqa: ANN401
    """Return the check of the audits."""
    findings = [finding for audited in audits for finding in audited.findings]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=AUDIT,
        passed=not findings,
        description="\n".join(findings) or "the plan and the ledger add up",
        metadata={"bucket/audits": dg.MetadataValue.json([dict(audited.looked_at) for audited in audits])},
    )


def failure(ending: Ending, summary: "Summary | None" = None) -> Any:  # noqa: ANN401
    """Return what fails a step: for good, or to be tried again."""
    metadata = {} if summary is None else {"bucket/summary": dg.MetadataValue.json(summary.as_json())}
    return dg.Failure(description=ending.text, metadata=metadata, allow_retries=ending.retry)
