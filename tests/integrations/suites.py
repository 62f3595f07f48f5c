"""Suites of somebody else, run as somebody else runs them; and the pieces of docs/testing.md."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PLUGIN = "bucket_loader.integrations.pytest.plugin"
TIMES = 3
SECONDS_MAX = 5  # on a machine that has nothing else to do


@cache
def guide():
    """Return the page about testing."""
    return (DOCS / "testing.md").read_text("utf-8")


def examples(language):
    """Return the page's examples in a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", guide(), flags=re.DOTALL)


def clean(**more):
    """Return the variables of this process without those that steer pytest or name an emulator, and with others."""
    return {name: os.environ[name] for name in os.environ if not name.startswith(("PYTEST", "BUCKET"))} | more


def suite(folder, *words, **options):
    """Start pytest in a folder, with the plugins that its tests need and no others."""
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "xdist.plugin", "-p", "no:cacheprovider", *words]
    environment = clean(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, **options)


def quickest(run, seconds):
    """Return what a run said, the first that was quick enough, or fail: others on this machine may slow one down."""
    for _ in range(TIMES):
        said = run()
        allowed_s = SECONDS_MAX * max(1, os.getloadavg()[0] / os.cpu_count())
        if seconds(said) < allowed_s:
            return said
    raise AssertionError(f"{seconds(said)} s are not less than {allowed_s} s: {said}")
