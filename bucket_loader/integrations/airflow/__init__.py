"""The Airflow provider: a hook, operators, and what Airflow is told of them.

    from bucket_loader.integrations.airflow import BucketLoadOperator

Airflow 2.10 to 3.x. Importing this loads neither pandas, pyarrow nor duckdb: a DAG file is read every few seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from bucket_loader import __version__

if TYPE_CHECKING:
    from bucket_loader.integrations.airflow.hook import BucketHook
    from bucket_loader.integrations.airflow.operator import BucketLoadOperator
    from bucket_loader.integrations.airflow.senders import BucketDeliverOperator, BucketPlanOperator

__all__ = ["BucketDeliverOperator", "BucketHook", "BucketLoadOperator", "BucketPlanOperator", "provider_info"]

_OPERATORS: Final = {
    "BucketLoadOperator": f"{__name__}.operator",
    "BucketPlanOperator": f"{__name__}.senders",
    "BucketDeliverOperator": f"{__name__}.senders",
}
_HOMES: Final = {"BucketHook": f"{__name__}.hook", **_OPERATORS}

_LINK: Final = f"{__name__}.links.ReportLink"

# The connection's form: said once, for Airflow from 3.2 on (`provider_info`) and for those before (the hook).
ENVIRONMENT_FIELD: Final = "environment"
ENVIRONMENT_LABEL: Final = "Environment"
ENVIRONMENT_HELP: Final = "BUCKET_ENVIRONMENT of pipeline files; staging and production remember apart from each other"
HIDDEN_FIELDS: Final = ("login", "port", "schema", "extra")
LABELS: Final = {"host": "Base URL", "password": "Secret key"}
PLACEHOLDERS: Final = {"host": "https://front.bucket.co", "password": "sec_...", ENVIRONMENT_FIELD: "production"}


def provider_info() -> dict[str, Any]:
    """Return what Airflow finds here (entry point `apache_airflow_provider`)."""
    return {
        "package-name": "bucket-loader",
        "name": "Bucket",
        "description": "Loads users, companies, events and feedback into Bucket, every row accounted for.",
        "versions": [__version__],
        "integrations": [{"integration-name": "Bucket", "external-doc-url": "https://bucket.co", "tags": ["service"]}],
        "hooks": [{"integration-name": "Bucket", "python-modules": [_HOMES["BucketHook"]]}],
        "extra-links": [_LINK],
        "operators": [{"integration-name": "Bucket", "python-modules": sorted({*_OPERATORS.values()})}],
        "connection-types": [
            {
                "connection-type": "bucket",
                "hook-class-name": f"{_HOMES['BucketHook']}.BucketHook",
                "hook-name": "Bucket",
                "conn-fields": {
                    ENVIRONMENT_FIELD: {
                        "label": ENVIRONMENT_LABEL,
                        "description": ENVIRONMENT_HELP,
                        "schema": {"type": ["string", "null"]},
                    }
                },
                "ui-field-behaviour": {
                    "hidden-fields": list(HIDDEN_FIELDS),
                    "relabeling": dict(LABELS),
                    "placeholders": dict(PLACEHOLDERS),
                },
            }
        ],
    }


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any public name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
