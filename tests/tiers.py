"""The tiers of the tests: which tests `make test` leaves out, and what each of them needs.

`make test` leaves out every test with a marker of the table below. `make test-all` runs what `make test` runs, and then
these. A test is skipped, with the reason, on a machine that lacks what it needs; in CI a skip is a failure.
"""

import atexit
import gc
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IN_CI = bool(os.environ.get("BUCKET_LOADER_CI"))
AIRFLOWS = Path(os.environ.get("BUCKET_LOADER_AIRFLOW", ROOT / ".airflow"))
DAGSTER = ROOT / ".dagster"
PREFECT = ROOT / ".prefect"
CLIENTS = ROOT / ".clients"
IMAGES = ROOT / ".images"
DOCS = ROOT / ".docs"
RELEASE = ROOT / ".release"
DBT = ROOT / ".dbt"
SPARK = ROOT / ".spark"

# Debian keeps the programs of servers where no user's PATH leads.
SERVERS = [*sorted(glob("/usr/lib/postgresql/*/bin")), "/usr/sbin"]  # noqa: PTH207  # a pattern from the root
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *SERVERS])


def _lacking(*needs):
    lacking = [need for need in needs if not (Path(need).exists() if os.sep in need else shutil.which(need))]
    return f"this machine lacks {', '.join(lacking)}" if lacking else ""


@dataclass(frozen=True)
class Marker:
    """One line of the table.

    Attributes:
        name: as in `@pytest.mark.NAME`.
        does: what the tests with this marker do.
        needs: programs by their names, files by their paths.
        hint: what brings them, when the system's packages do not.
    """

    name: str
    does: str
    needs: tuple[str, ...] = ()
    hint: str = ""

    def lacks(self):
        """Return what this machine lacks, in words; empty when it has everything."""
        return f"{lacking} {self.hint}".strip() if (lacking := _lacking(*self.needs)) else ""


MARKERS = (
    Marker("postgres", "start PostgreSQL", ("initdb", "pg_ctl")),
    Marker("mariadb", "start MariaDB", ("mariadbd", "mariadb-install-db")),
    Marker("airflow", "run in Airflow 2 and 3", tuple(str(AIRFLOWS / version / "bin/python") for version in "23"),
           "(`make airflow` installs it)"),
    Marker("dagster", "run in a Dagster", (str(DAGSTER / "bin/dagster"),), "(`make dagster` installs it)"),
    Marker("prefect", "run in Prefect", (str(PREFECT / "bin/python"),), "(`make prefect` installs it)"),
    Marker("browser", "open pages in a browser", ("chromium",)),
    Marker("clients", "call the emulator with the published clients", ("node", str(CLIENTS / "node_modules")),
           "(`make clients` installs them)"),
    Marker("image", "check and build what the images hold", (str(IMAGES / "bin/hadolint"),),
           "(`make images` installs it)"),
    Marker("site", "build the docs site", (str(DOCS / "bin/zensical"),), "(`make site` installs what that needs)"),
    Marker("dbt", "build models with a real dbt", (str(DBT / "bin/dbt"),), "(`make dbt` installs it)"),
    Marker("spark", "plan on a Spark cluster", ("java", str(SPARK / "bin/spark-submit")), "(`make spark` installs it)"),
    Marker("release", "build what is released, twice, and look into it", (str(RELEASE / "bin/twine"), "git"),
           "(`make release-tools` installs it)"),
    Marker("bare", "install into an environment of their own, as on a bare machine", ("make", "git")),
    Marker("kit", "run somebody's suite with the test kit, on two workers"),
    Marker("schemathesis", "hold the emulator against its own description"),
    Marker("rehearsal", "run the real program, and kill it"),
    Marker("syscalls", "harm the real program at its system calls", ("cc",)),
    Marker("smalldisk", "have a disk of their own that is small", ("unshare", "mount")),
    Marker("breadth", "hold for many what tests of `make test` hold for a few"),
    Marker("long", "take their time: rates to be found, calls to be counted, whole courses of refused records"),
    Marker("values", "read random values of every type from every source"),
    Marker("simulation", "deliver in a world of seeds, and under planted mistakes"),
)  # fmt: skip
BY_NAME = {marker.name: marker for marker in MARKERS}
LEFT_OUT = pytest.StashKey()


def markers_of(item):
    """Return the lines of the table that hold for a test."""
    return [BY_NAME[mark.name] for mark in item.iter_markers() if mark.name in BY_NAME]


def require(program):
    """Skip a test that `make test` runs where a machine has what most have."""
    if reason := _lacking(program):
        pytest.skip(reason)


def expect(name):
    """Fail where a test that `make test` runs starts what only tests with this marker may start."""
    if _tier == "test":
        pytest.fail(f"a test that needs this must be marked @pytest.mark.{name}")


_tier = None


def pytest_addoption(parser):
    """Take the tier from the command line."""
    parser.addoption(
        "--tier",
        choices=("test", "rest"),
        help="`test`: what `make test` runs, `rest`: what it leaves out (default: both)",
    )


def pytest_configure(config):
    """Register the markers."""
    global _tier  # noqa: PLW0603  # one session has one tier
    _tier = config.getoption("tier")
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker.name}: tests that {marker.does}")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Take one worker more than there are cores: a quarter of the time a test waits, for a disk or a server."""
    return (yield) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect without looking for garbage, and never look at what was collected again: it is half of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.unfreeze)  # libraries look at the end for what is left


def pytest_collection_modifyitems(config, items):
    """Keep the tests of the tier, and count by marker what is left out."""
    tier, chosen, others = config.getoption("tier"), [], []
    left_out = Counter()
    for item in items:
        markers = [marker.name for marker in markers_of(item)]
        kept = tier is None or (tier == "rest") == bool(markers)
        (chosen if kept else others).append(item)
        if not kept:
            left_out.update(set(markers))
    items[:] = chosen
    config.hook.pytest_deselected(items=others)
    config.stash[LEFT_OUT] = (len(others), dict(left_out))


def pytest_runtest_setup(item):
    """Skip a test on a machine that lacks what its marker needs."""
    for marker in markers_of(item):
        if reason := marker.lacks():
            pytest.skip(reason)


def _never_skipped(report):
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI no test may be: {report.longrepr[2]}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Make a skipped test a failure in CI."""
    return _never_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Make a skipped file a failure in CI."""
    return _never_skipped((yield))


def pytest_sessionfinish(session):
    """Hand what a worker left out to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, None)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take from a worker what it left out: all of them leave out the same."""
    if found := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = found


def pytest_terminal_summary(terminalreporter, config):
    """Say what `make test` left out, and how to run it."""
    count, by_marker = config.stash.get(LEFT_OUT, (0, {}))
    if _tier != "test" or not count:
        return
    terminalreporter.section(f"left out: {count} tests")
    for marker in MARKERS:
        if number := by_marker.get(marker.name):
            terminalreporter.write_line(f"{number:>6}  {marker.name:<13} {marker.does}")
    terminalreporter.write_line("`make test-all` runs everything; `.venv/bin/python -m pytest -m MARKER` one of them.")
