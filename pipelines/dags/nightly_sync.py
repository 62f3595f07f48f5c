"""Every night: what has changed about users and companies, into Bucket (`pipelines/nightly.yaml`).

The connection `bucket_default`, or BUCKET_BASE_URL and BUCKET_SECRET_KEY in the workers' environment, says where to.
The memory of runs lies beside the pipeline file, or where BUCKET_LOADER_STATE says: workers that forget need that.
"""

from datetime import UTC, datetime
from pathlib import Path

try:
    from airflow.sdk import DAG, CronDataIntervalTimetable
except ImportError:  # before Airflow 3.2
    from airflow import DAG
    from airflow.timetables.interval import CronDataIntervalTimetable

from bucket_loader.integrations.airflow import BucketLoadOperator

PIPELINES = Path(__file__).resolve().parents[1]

with DAG(
    dag_id="nightly_sync",
    description="What has changed about users and companies, into Bucket",
    # A night's run is for the day that ends with it, and stays so whenever it is run again. A plain cron would give
    # an interval of length zero in Airflow 3.
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,  # the exports say what is true today; yesterday's run has nothing to add
    max_active_runs=1,  # two at once on one state: the second would be refused, and retried
    default_args={"retries": 3},  # an outage that outlived the pipeline's patience; a retry continues
    tags=["bucket"],
):
    BucketLoadOperator(
        task_id="load",
        pipeline=str(PIPELINES / "nightly.yaml"),
        fail_on_rejected="1%",  # so many bad rows are reported and let pass; more fail the task
    )
