"""A Dagster of its own: a project in a temporary folder, its webserver, daemon and code server, and what it tells."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tiers

ROOT = tiers.ROOT
COMPONENT = "bucket_loader.integrations.dagster.BucketPipelineComponent"
ENDS = {"SUCCESS", "FAILURE", "CANCELED"}
_WAIT_S = 240  # for anything that Dagster is asked to do
_PROJECT = """
[project]
name = "loads"
version = "0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "loads"
"""
_DEFINITIONS = """
from pathlib import Path
import dagster as dg

defs = dg.load_from_defs_folder(project_root=Path(__file__).parents[2])
"""
_SETTINGS = """
telemetry: {enabled: false}
run_coordinator:
  module: dagster
  class: QueuedRunCoordinator
  config: {dequeue_interval_seconds: 1}
"""
_DG = """
import json, sys
from dagster_dg_cli.cli import create_dg_cli
for words in json.loads(sys.argv[1]):
    create_dg_cli()(words, standalone_mode=False)
"""
_RUNS = """
query($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results {
  runId status eventConnection(limit: 1000) { events {
    __typename
    ... on StepEvent { stepKey }
    ... on MessageEvent { message timestamp }
    ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
    ... on StepWorkerStartedEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
    ... on ErrorEvent { error { message } }
    ... on MaterializationEvent { assetKey { path } partition metadataEntries { label
      ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text } ... on JsonMetadataEntry { jsonString } } }
    ... on AssetCheckEvaluationEvent { evaluation { checkName success severity description assetKey { path } } }
  } } } } } }
"""
_STATUS = "query($filter: RunsFilter) { runsOrError(filter: $filter) { ... on Runs { results { status } } } }"
_BACKFILL = """
mutation($given: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $given) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
_RUN = """
mutation($given: ExecutionParams!) { launchRun(executionParams: $given) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""
_TERMINATE = "mutation($run: String!) { terminateRun(runId: $run) { __typename } }"
_ASSETS = """
{ assetNodes { assetKey { path } description dependencyKeys { path } pools assetChecksOrError {
  ... on AssetChecks { checks { name } } } } }
"""


@dataclass
class Box:
    """One Dagster: where its home is, and what its processes have in their environment."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = 0

    @property
    def project(self):
        """The folder of the project."""
        return self.home / "project"

    @property
    def defs(self):
        """The folder of its definitions."""
        return self.project / "src" / "loads" / "defs"

    @property
    def environment(self):
        """What its processes have in their environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "BUCKET"))}
        return kept | {
            "DAGSTER_HOME": str(self.home), "DAGSTER_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "COLUMNS": "200",
            "PATH": f"{tiers.DAGSTER / 'bin'}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(tiers.DAGSTER),
            "PYTHONPATH": f"{self.project / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1",
        } | self.variables  # fmt: skip

    def make_project(self):
        """Make an empty project."""
        self.defs.mkdir(parents=True)
        (self.project / "pyproject.toml").write_text(_PROJECT, "utf-8")
        (self.defs.parent / "__init__.py").touch()
        (self.defs.parent / "definitions.py").write_text(_DEFINITIONS, "utf-8")
        (self.home / "dagster.yaml").write_text(_SETTINGS, "utf-8")

    def dg(self, *commands):
        """Run commands of `dg`, all in one process: its imports take seconds; gives what they printed on stdout."""
        done = subprocess.run(
            [str(tiers.DAGSTER / "bin" / "python"), "-c", _DG, json.dumps(commands)], cwd=self.project,
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"dg {commands}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    @contextmanager
    def services(self):
        """Run the webserver and the daemon; all that was started ends with the `with`."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = [
            "dev",
            "-m",
            "loads.definitions",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "--use-legacy-code-server-behavior",
        ]
        with (self.home / "dev.log").open("wb") as log:
            process = subprocess.Popen(
                [str(tiers.DAGSTER / "bin" / "dagster"), *words], cwd=self.project, env=self.environment,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            self.wait("the webserver", self._listens)
            yield
        finally:
            self._end(process)

    def _listens(self):
        try:
            return self.ask("{ version }")
        except (urllib.error.URLError, ConnectionError):
            return None

    @staticmethod
    def _end(process):
        """End the services and all that they started: they are one group."""
        for number, patience_s in ((signal.SIGINT, 10), (signal.SIGKILL, 5)):
            try:
                os.killpg(process.pid, number)
                process.wait(patience_s)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue

    def wait(self, what, question):
        """Wait until a question is answered with something true."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            if answer := question():
                return answer
            time.sleep(0.5)
        raise AssertionError(f"Dagster: {what} took longer than {_WAIT_S} s\n{self.log()[-6000:]}")

    def log(self):
        """Return all that its processes have written."""
        return (self.home / "dev.log").read_text("utf-8", errors="replace")

    # --- what it is asked and told ---------------------------------------------------------------------------------

    def ask(self, query, **variables):
        """Ask the webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        address, headers = f"http://127.0.0.1:{self.port}/graphql", {"Content-Type": "application/json"}
        request = urllib.request.Request(address, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        assert "errors" not in found, found
        return found["data"]

    def assets(self):
        """Return its assets by their keys."""
        return {"/".join(one["assetKey"]["path"]): one for one in self.ask(_ASSETS)["assetNodes"]}

    def backfill(self, key, partitions):
        """Launch a backfill; gives what its runs are tagged with."""
        given = {"assetSelection": [{"path": key.split("/")}], "partitionNames": partitions}
        found = self.ask(_BACKFILL, given=given)["launchPartitionBackfill"]
        assert "backfillId" in found, found
        return [{"key": "dagster/backfill", "value": found["backfillId"]}]

    def materialize(self, *keys, checks=None, partition=None, in_process=False):
        """Launch a run, its steps in processes of their own or in the run's; gives its name."""
        named = [{"assetKey": {"path": key.split("/")}, "name": name} for key, name in checks or ()]
        selector = {
            "repositoryName": "__repository__", "repositoryLocationName": "loads.definitions",
            "jobName": "__ASSET_JOB", "assetSelection": [{"path": key.split("/")} for key in keys],
            "assetCheckSelection": None if checks is None else named,
        }  # fmt: skip
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        config = {"execution": {"config": {"in_process": {}}}} if in_process else {}
        given = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": tags}, "mode": "default"}
        found = self.ask(_RUN, given=given)["launchRun"]
        assert "run" in found, found
        return found["run"]["runId"]

    def terminate(self, run):
        """Ask a run to end."""
        assert self.ask(_TERMINATE, run=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"

    def runs(self, **filters):
        """Return runs that a filter lets through, each with its events."""
        found = self.ask(_RUNS, filter=filters)["runsOrError"]["results"]
        return [Run(one["runId"], one["status"], one["eventConnection"]["events"]) for one in found]

    def ended(self, *, count=1, **filters):
        """Wait for the end of the runs that a filter lets through; gives them."""

        def have_ended():
            found = self.ask(_STATUS, filter=filters)["runsOrError"]["results"]
            return len(found) == count and all(one["status"] in ENDS for one in found)

        self.wait(f"the end of {filters}", have_ended)
        return self.runs(**filters)


@dataclass(frozen=True)
class Run:
    """A run as Dagster tells it."""

    name: str
    status: str
    events: list

    def of(self, kind):
        """Return its events of a kind."""
        return [event for event in self.events if event["__typename"] == kind]

    @property
    def pids(self):
        """The processes of its steps, the last one last."""
        entries = [entry for event in self.of("StepWorkerStartedEvent") for entry in event["metadataEntries"]]
        return [int(entry["text"]) for entry in entries if entry["label"] == "pid"]

    @property
    def materialized(self):
        """What it materialized: the values of each, by key and partition."""
        return {
            ("/".join(event["assetKey"]["path"]), event["partition"]): _values(event["metadataEntries"])
            for event in self.of("MaterializationEvent")
        }

    @property
    def checks(self):
        """Whether each check passed, by key and name."""
        found = [event["evaluation"] for event in self.of("AssetCheckEvaluationEvent")]
        return {("/".join(one["assetKey"]["path"]), one["checkName"]): one for one in found}

    @property
    def failure(self):
        """Why its step failed."""
        return self.of("ExecutionStepFailureEvent")[-1]["error"]["message"]

    @property
    def text(self):
        """All its messages."""
        return "\n".join(event.get("message") or "" for event in self.events)


def _values(entries):
    """Return the values of metadata by their labels."""
    values = {}
    for entry in entries:
        if "jsonString" in entry:
            values[entry["label"]] = json.loads(entry["jsonString"])
        else:
            values[entry["label"]] = entry.get("intValue", entry.get("text"))
    return values
