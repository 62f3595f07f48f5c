"""bucket_loader: rows in, users, companies, events and feedback out.

    from bucket_loader import check, load, plan, rehearse, status
    summary = load("nightly.yaml")
    summary = load(frame, record="company", fields={"companyId": "id", "attributes": "*"}, destination={"key": key})

Each function is the command of this name, and returns a value. Public names are resolved when they are first used:
importing the package loads neither pandas, pyarrow nor duckdb.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucket_loader.config import Pipeline
    from bucket_loader.model import BucketLoaderError
    from bucket_loader.reporting import Summary
    from bucket_loader.runs import RunOptions, check, load, plan, rehearse, status

__version__ = "0.2.0"
__all__ = [
    "BucketLoaderError", "Pipeline", "RunOptions", "Summary", "check", "load", "plan", "rehearse", "status",
]  # fmt: skip

_HOMES = {
    "check": "bucket_loader.runs.from_python.check",
    "load": "bucket_loader.runs.from_python.load",
    "plan": "bucket_loader.runs.from_python.plan",
    "rehearse": "bucket_loader.runs.from_python.rehearse",
    "status": "bucket_loader.runs.from_python.status",
    "Pipeline": "bucket_loader.config.pipeline",
    "BucketLoaderError": "bucket_loader.model.errors",
    "Summary": "bucket_loader.reporting.summary",
    "RunOptions": "bucket_loader.runs.job",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # any public name
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
