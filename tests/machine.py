"""What the machine has: a test that needs more than a laptop has is skipped there with its reason, and fails in CI."""

import importlib.util
import os
import shutil

import pytest

IN_CI = bool(os.environ.get("BUCKET_LOADER_CI"))


def require(*, programs=(), modules=(), hint=""):
    """Skip, or in CI fail, unless these programs are on the PATH and these modules can be imported."""
    missing = [name for name in programs if shutil.which(name) is None]
    missing += [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        told = f"this machine lacks {', '.join(missing)}" + (f": {hint}" if hint else "")
        pytest.fail(f"{told}, and CI must not skip it") if IN_CI else pytest.skip(told, allow_module_level=True)
