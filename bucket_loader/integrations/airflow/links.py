"""The link beside a task in Airflow's pages, to the report of its run."""

from typing import Any, Final

from bucket_loader.integrations.airflow.versions import BaseOperatorLink, xcom_value

REPORT: Final = "bucket_report"
"""What a task pushes: the address of its run's report."""


class ReportLink(BaseOperatorLink):  # type: ignore[misc]  # Airflow lives in environments of its own
    """Leads to the report of a task's run; nowhere when no report was written."""

    name = "Bucket report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ANN401, ARG002  # Airflow's own
        """Return the address."""
        return xcom_value(REPORT, ti_key) or ""
