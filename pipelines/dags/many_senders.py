"""Every night: one plan, and several tasks that send it, on as many workers as there are (`pipelines/nightly.yaml`).

The ledger must be on PostgreSQL, and with workers on several machines the files of the state in a store. So
BUCKET_LOADER_STATE in the workers' environment is for example

    postgresql://loader@db/bucket_loader s3://company-bucket-loader/state

The connection `bucket_default`, or BUCKET_BASE_URL and BUCKET_SECRET_KEY there, says where to.
"""

from datetime import UTC, datetime
from pathlib import Path

try:
    from airflow.sdk import DAG, CronDataIntervalTimetable
except ImportError:  # before Airflow 3.2
    from airflow import DAG
    from airflow.timetables.interval import CronDataIntervalTimetable

from bucket_loader.integrations.airflow import BucketDeliverOperator, BucketPlanOperator

PIPELINE = str(Path(__file__).resolve().parents[1] / "nightly.yaml")
SENDERS = 3

with DAG(
    dag_id="many_senders",
    description="What has changed about users and companies, into Bucket, sent by several tasks",
    schedule=CronDataIntervalTimetable("0 3 * * *", timezone="UTC"),
    start_date=datetime(2025, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3},  # a sender that comes again joins the others, or hears how the run has ended
    tags=["bucket"],
):
    plan = BucketPlanOperator(task_id="plan", pipeline=PIPELINE)
    deliver = BucketDeliverOperator.partial(
        task_id="deliver",
        pipeline=PIPELINE,
        run_name=plan.output,
        fail_on_rejected="1%",
    ).expand_kwargs([{} for _ in range(SENDERS)])
    end = BucketDeliverOperator(
        task_id="end",  # hears how the run has ended, and sends what is left where senders failed
        pipeline=PIPELINE,
        run_name=plan.output,
        fail_on_rejected="1%",
        trigger_rule="all_done",
    )
    deliver >> end
