"""What a package imports that brings a source type of its own.

    from bucket_loader.plugins import Reading, SourceContext, SourceError, SourceSpec, SourceType, counted

These names stay. How such a package is written stands in docs/how-to/source-plugin.md. `bucket_loader.testing` tests
it.
"""

from bucket_loader.config import SourceSpec, SourceType
from bucket_loader.model import (
    InputBatch,
    Origin,
    Reading,
    Reason,
    Rejection,
    Source,
    SourceError,
    SourceUnavailableError,
)
from bucket_loader.sources import SourceContext, counted, numbered

__all__ = [
    "InputBatch", "Origin", "Reading", "Reason", "Rejection", "Source", "SourceContext", "SourceError", "SourceSpec",
    "SourceType", "SourceUnavailableError", "counted", "numbered",
]  # fmt: skip
