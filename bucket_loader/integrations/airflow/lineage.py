"""What Airflow's provider of OpenLineage is told of a task: what its run read and wrote."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from bucket_loader.reporting import StreamLineage


def lineage_of_task(streams: "Sequence[StreamLineage]") -> "OperatorLineage":
    """Return the datasets of a task's streams. Airflow has the rest: job, run, interval, and what went wrong."""
    from airflow.providers.openlineage.extractors import OperatorLineage

    from bucket_loader.reporting import inputs_of, outputs_of

    return OperatorLineage(inputs=inputs_of(streams), outputs=outputs_of(streams))
