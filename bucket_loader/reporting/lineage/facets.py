"""A stream's lineage in the classes of OpenLineage's client: its inputs, its outputs, and the facets of both."""

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.reporting.lineage.value import FieldLineage, StreamLineage
from bucket_loader.sources import Dataset, DatasetColumn

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent
    from openlineage.client.generated.base import RunFacet

PRODUCER: Final = "https://pypi.org/project/bucket-loader"
NAMESPACE: Final = "OPENLINEAGE_NAMESPACE"
DEFAULT_NAMESPACE: Final = "bucket-loader"
PARENT: Final = "OPENLINEAGE_PARENT_ID"
ROOT: Final = "OPENLINEAGE_ROOT_PARENT_ID"
_ID_PARTS: Final = 3  # namespace/job/run


def event_of(one: StreamLineage, variables: Mapping[str, str] = os.environ) -> "RunEvent":
    """Return the event of a stream's start or end.

    Args:
        one: what is told.
        variables: name the jobs' namespace, and the run that this one is a part of.
    """
    from openlineage.client import event_v2 as openlineage
    from openlineage.client.facet_v2 import job_type_job

    kind = job_type_job.JobTypeJobFacet("BATCH", "BUCKET_LOADER", "JOB", producer=PRODUCER)
    return openlineage.RunEvent(
        eventType=openlineage.RunState(one.stage),
        eventTime=one.at.isoformat(),
        producer=PRODUCER,
        run=openlineage.Run(one.run_id, facets={**_run_facets(one), **_parents(variables)}),
        job=openlineage.Job(variables.get(NAMESPACE) or DEFAULT_NAMESPACE, one.job, facets={"jobType": kind}),
        inputs=inputs_of([one]),
        outputs=outputs_of([one]),
    )


def _run_facets(one: StreamLineage) -> "dict[str, RunFacet]":
    """Return what is told of a run beside its datasets: its interval, and what went wrong."""
    from openlineage.client.facet_v2 import error_message_run, nominal_time_run

    found: dict[str, RunFacet] = {}
    if one.interval is not None:
        start, end = (moment.isoformat() for moment in one.interval)
        found["nominalTime"] = nominal_time_run.NominalTimeRunFacet(start, end, producer=PRODUCER)
    if one.error:
        found["errorMessage"] = error_message_run.ErrorMessageRunFacet(one.error, "PYTHON", producer=PRODUCER)
    return found


def inputs_of(streams: Iterable[StreamLineage]) -> "list[InputDataset]":
    """Return what streams read, each dataset once; with its rows where nothing else was read beside it."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    rows: dict[Dataset, int | None] = {}
    for one in streams:
        for dataset in one.inputs:
            alone = one.rows_read if len(one.inputs) == 1 else None
            rows[dataset] = max(filter(None, (rows.get(dataset), alone)), default=alone)  # streams share a reading
    return [
        InputDataset(
            dataset.namespace,
            dataset.name,
            inputFacets={}
            if count is None
            else {"inputStatistics": statistics.InputStatisticsInputDatasetFacet(rowCount=count, producer=PRODUCER)},
        )
        for dataset, count in rows.items()
    ]


def outputs_of(streams: Iterable[StreamLineage]) -> "list[OutputDataset]":
    """Return where streams write, each dataset once; what several write to it is put together."""
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    together: dict[Dataset, list[StreamLineage]] = {}
    for one in streams:
        together.setdefault(one.output, []).append(one)
    return [
        OutputDataset(
            dataset.namespace,
            dataset.name,
            facets=_facets_of_fields(writing),
            outputFacets={
                "outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(
                    rowCount=sum(one.records_delivered or 0 for one in writing), producer=PRODUCER
                )
            }
            if any(one.records_delivered is not None for one in writing)
            else {},
        )
        for dataset, writing in together.items()
    ]


def _facets_of_fields(streams: list[StreamLineage]) -> dict[str, Any]:
    """Return the fields that are written, and what each is made from; nothing before there is a plan."""
    from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset

    fields: dict[str, list[FieldLineage]] = {}
    for path, found in ((path, found) for one in streams for path, found in one.fields.items()):
        fields.setdefault(path, []).append(found)
    if not fields:
        return {}
    made = {path: column_lineage_dataset.Fields(inputs) for path, all_of in fields.items()
            if (inputs := _inputs_of_field(all_of))}  # fmt: skip
    filters = dict.fromkeys(column for one in streams for column in one.filter)
    columns = [schema_dataset.SchemaDatasetFacetFields(path) for path in fields]
    facets: dict[str, Any] = {"schema": schema_dataset.SchemaDatasetFacet(columns, producer=PRODUCER)}
    if made or filters:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            made, [_input(column, "INDIRECT", "FILTER") for column in filters], producer=PRODUCER
        )
    return facets


def _inputs_of_field(all_of: list[FieldLineage]) -> list[Any]:
    found: dict[DatasetColumn, Any] = {}
    for one in all_of:
        for column in one.columns:
            found.setdefault(column, _input(column, "DIRECT", one.how, is_hidden=one.is_hidden))
    return list(found.values())


def _input(column: DatasetColumn, way: str, subtype: str | None, *, is_hidden: bool = False) -> Any:  # noqa: ANN401  # the client's
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage

    how = lineage.Transformation(way, subtype, masking=is_hidden)
    return lineage.InputField(column.dataset.namespace, column.dataset.name, column.column, [how])


def _parents(variables: Mapping[str, str]) -> "dict[str, RunFacet]":
    """Return the run that this one is a part of, as a scheduler names it: `namespace/job/run`."""
    from openlineage.client.facet_v2 import parent_run

    parent, root = (_parts(variables.get(name) or "") for name in (PARENT, ROOT))
    if parent is None:
        return {}
    namespace, job, run = parent
    of_root = root and parent_run.Root(parent_run.RootRun(root[2]), parent_run.RootJob(root[0], root[1]))
    run_of_parent, job_of_parent = parent_run.Run(run), parent_run.Job(namespace, job)
    return {"parent": parent_run.ParentRunFacet(run_of_parent, job_of_parent, of_root, producer=PRODUCER)}


def _parts(text: str) -> tuple[str, str, str] | None:
    """Return the parts of such a name; a namespace may hold slashes. None where it is none."""
    from uuid import UUID

    parts = text.rsplit("/", _ID_PARTS - 1)
    try:
        UUID(parts[-1])
    except ValueError:
        return None
    return (parts[0], parts[1], parts[2]) if len(parts) == _ID_PARTS and all(parts) else None
