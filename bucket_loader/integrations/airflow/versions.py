"""Airflow's own names, from where each version keeps them: 2.10 to 3.x from one source."""

from importlib.util import find_spec
from typing import Any

try:
    from airflow.sdk import BaseOperator
except ImportError:
    from airflow.models import BaseOperator
try:
    from airflow.sdk import BaseHook
except ImportError:
    from airflow.hooks.base import BaseHook
try:
    from airflow.sdk import BaseOperatorLink
except ImportError:
    from airflow.models.baseoperatorlink import BaseOperatorLink
try:
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )
except ImportError:
    from airflow.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "has_lineage",
    "xcom_value",
]


def has_lineage() -> bool:
    """Whether Airflow's provider of OpenLineage is installed: then Airflow tells what a task reads and writes."""
    try:
        return find_spec("airflow.providers.openlineage") is not None
    except ModuleNotFoundError:  # no provider at all
        return False


def xcom_value(key: str, ti_key: Any) -> Any:  # noqa: ANN401  # Airflow's key of a task instance, and any value
    """Return what a task instance has pushed."""
    try:
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:
        from airflow.models.xcom import XCom
    return XCom.get_value(ti_key=ti_key, key=key)
