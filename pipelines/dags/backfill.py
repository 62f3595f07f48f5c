"""History, once: events in windows, one mapped task a window, then the feedback (`pipelines/backfill.yaml`).

Trigger it with the stretch to load: `from`, `to` and `every` (hour, day, week, month, quarter, year, or such as 6h).
Each window is a run of its own, with its own receipt; a window that is run again reads its events again and sends
those that are new. Only events and feedback: an old window of users or companies would overwrite what is true today,
and is refused.
"""

from datetime import UTC, datetime
from pathlib import Path

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task

from bucket_loader.integrations.airflow import BucketLoadOperator

PIPELINE = str(Path(__file__).resolve().parents[1] / "backfill.yaml")


@task
def windows(params: dict[str, str] | None = None) -> list[dict[str, str]]:
    """Cut the stretch into windows, oldest first."""
    from bucket_loader.runs import windows as cut

    given = params or {}
    start, end = (datetime.fromisoformat(given[name]).replace(tzinfo=UTC) for name in ("from", "to"))
    return [
        {"interval_start": before.isoformat(), "interval_end": after.isoformat()}
        for before, after in cut(start, end, given["every"])
    ]


with DAG(
    dag_id="backfill",
    description="A stretch of history, into Bucket",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    default_args={"retries": 3},
    params={"from": "2025-01-01", "to": "2026-01-01", "every": "month"},  # `to` is not loaded itself
    tags=["bucket"],
):
    events = BucketLoadOperator.partial(
        task_id="events",
        pipeline=PIPELINE,
        streams=["events"],
        backfill=True,
        fail_on_rejected="1%",  # of a window's rows
        max_active_tis_per_dag=1,  # one state, one run at a time
        map_index_template="{{ task.interval_start }}",
    ).expand_kwargs(windows())
    feedback = BucketLoadOperator(
        task_id="feedback",  # a file has no windows: all of it that lies before the end
        pipeline=PIPELINE,
        streams=["feedback"],
        interval_start="{{ params['from'] }}",
        interval_end="{{ params['to'] }}",
        fail_on_rejected="2%",
    )
    events >> feedback
