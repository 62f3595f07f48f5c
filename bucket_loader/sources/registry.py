"""From what the pipeline file says to the class that reads it.

The table of source types stands in `config`, since the pipeline file's words come from it too. A new source is a row
there, one class with `fingerprint()` and `read()`, and one line in the conformance suite.
"""

from importlib import import_module
from typing import cast

from bucket_loader.config import BROKEN, PluginError, SourceSpec, package_of, type_of
from bucket_loader.model import Source
from bucket_loader.sources.base import SourceContext


def open_source(spec: SourceSpec, context: SourceContext) -> Source:
    """Return the source that `spec` describes; nothing is opened before it is asked."""
    row = type_of(type(spec))
    module, name = row.opens.split(":")
    if not (package := package_of(row)):
        return cast("Source", getattr(import_module(module), name)(spec, context))
    try:
        return cast("Source", getattr(import_module(module), name)(spec, context))
    except BROKEN as error:
        raise PluginError(
            f"`type: {row.name}` comes with {package}, whose class {row.opens!r} cannot be made: "
            f"{type(error).__name__}: {error}",
            hint="install a version of it that fits, or ask its authors",
        ) from error
