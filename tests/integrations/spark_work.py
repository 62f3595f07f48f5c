"""Commands that work with Spark: started, stopped at a moment of their work, and what they leave behind."""

import json
import re
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin

from spark_cluster import PYTHON, open_files, standing_still
from spark_export import AS_OF
from tiers import ROOT
from workplace import KEY

SUBMIT = ROOT / "bucket_loader/integrations/spark/submit.py"
SMALL_RANGES = Path(__file__).parent / "spark_small_ranges.py"
WAIT_S = 240  # of a busy machine
PAGES_MAX = 60
OF_PLANS = {".parquet", ".json", ".jsonl"}
PAUSE_S = 0.003


# --- commands --------------------------------------------------------------------------------------------------------


def start(spark, *words, url="http://127.0.0.1:9", **variables):
    """Start a program that works with Spark; what it says on stderr lies beside Spark's own logs."""
    own = {"BUCKET_BASE_URL": url, "BUCKET_SECRET_KEY": KEY, "COLUMNS": "200"}
    environment = spark.environment(**own, **variables)
    log = spark.home / f"command-{time.time_ns()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*map(str, words)], env=environment, stdout=subprocess.PIPE, stderr=file)
    process.log = log
    return process


def loader(spark, *words, **more):
    """Start the command line, with Spark Connect; it compares by tasks."""
    return start(spark, PYTHON, SMALL_RANGES, *words, "--engine", "spark", SPARK_REMOTE=spark.remote, **more)


def finished(process, *codes):
    """Wait for a program, and return what it wrote: on stdout, then on stderr."""
    stdout, _ = process.communicate(timeout=WAIT_S)
    said = stdout.decode(), process.log.read_text("utf-8")
    assert process.returncode in (codes or (0,)), "".join(said)
    return said


def summary_of(process, *codes):
    """Wait for a program, and return the JSON object that it printed."""
    return json.loads(finished(process, *codes)[0].splitlines()[-1])


def plan_words(export, state, *words):
    """Return the command that plans."""
    return ["plan", export / "pipeline.yaml", "--state", state, "--as-of", AS_OF, *words]


def plans_in(state):
    """Return the folders of the finished plans of a state, oldest first."""
    return sorted(path.parent for path in Path(state).glob("*/plans/*/manifest.json"))


def left_in(state):
    """Return what lies among the plans of a state and is of no finished plan."""
    kept = [path for folder in plans_in(state) for path in folder.iterdir() if path.suffix in OF_PLANS]
    return {*Path(state).glob("*/plans/*/*")} - {*kept}


def planned_in(state):
    """Return the folder of the only plan of a state, with nothing beside it that tasks have left."""
    (folder,) = plans_in(state)
    assert not left_in(state)
    return folder


# --- moments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """A moment in the work of a task: it has a file open.

    Attributes:
        file: a pattern, in the folder of the plan.
        reads: whether it reads the file.
    """

    file: str
    reads: bool = False

    def of(self, state):
        """Return what tells whether a process is there, now."""
        files = {str(path) for path in Path(state).glob(f"*/plans/*/{self.file}")}
        return lambda pid: bool(files and files & open_files(pid, is_read=self.reads))


STAGING = Moment("attempts/0?.*.staged")
CUTTING, COMPARING = Moment("0?.compared/*-*.parquet"), Moment("0?.compared/*-*.parquet", reads=True)
SELECTING = Moment("attempts/0?-*.parquet")


@contextmanager
def task_caught(spark, process, state, moment):
    """Stop a task's Python worker at a moment of its work; it goes on in the end."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, finished(process)
        is_there = moment.of(state)
        for worker in spark.python_workers():
            if is_there(worker):
                with suppress(ProcessLookupError), standing_still(worker):
                    if is_there(worker):
                        yield worker
                        return
        time.sleep(PAUSE_S)
    raise AssertionError(f"no task had {moment.file} open")


@contextmanager
def caught(process, holds):
    """Stop a process while something holds; it goes on in the end."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, finished(process)
        if holds():
            with standing_still(process.pid):
                if holds():
                    yield
                    return
        time.sleep(PAUSE_S)
    raise AssertionError("the moment has not come")


# --- pages -----------------------------------------------------------------------------------------------------------


def pages_of(address):
    """Return the pages of a Spark that works, by their addresses: its tabs, and what they lead to; and its API."""
    (application,) = [one["id"] for one in json.loads(_page(f"{address}/api/v1/applications"))]
    asked = ("jobs", "stages?details=true", "sql?details=true", "environment", "allexecutors")
    left = [f"{address}/{tab}/" for tab in ("jobs", "stages", "environment", "executors", "SQL", "storage")]
    left += [f"{address}/api/v1/applications/{application}/{one}" for one in asked]
    found = {}
    while left and len(found) < PAGES_MAX:
        if (url := left.pop(0)) not in found:
            found[url] = page = _page(url)
            links = (urljoin(url, unescape(link)) for link in re.findall(r'href="([^"#]+)"', page))
            left += [one for one in links if one.startswith(address) and "/static/" not in one and "kill" not in one]
    return found


def _page(url):
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
            return answer.read().decode()
    except HTTPError as error:
        return error.read().decode()
