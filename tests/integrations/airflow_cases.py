"""Run inside an Airflow environment: operators and hooks by their cases, without a scheduler or its database.

JSON in: a list of cases. JSON out, on the last line of stdout: what came of each.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
import urllib.request
from datetime import datetime
from pathlib import Path

LINES = []


class Lines(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record):
        """Keep it."""
        LINES.append(record.getMessage())


class Instance:
    """Stands in for the task instance: keeps what is pushed."""

    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        """Keep it."""
        self.pushed[key] = value


class Overtime(BaseException):
    """What a time limit raises, wherever the main thread is."""


def call(url, method, path, body=None):
    """Call the emulator."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return answer.read().decode()


def when_requests(url, least, then):
    """Do something, once the emulator has had so many requests."""

    def watch():
        while json.loads(call(url, "GET", "/_emulator/state"))["requests"] < least:
            time.sleep(0.01)
        then()

    threading.Thread(target=watch, daemon=True).start()


def overtime(_number, _frame):
    """End the task as Airflow's `execution_timeout` does."""
    raise Overtime


def run_operator(case, operator):
    """Run an operator; gives what it returned, or how it ended."""
    instance = Instance()
    given = [datetime.fromisoformat(moment) for moment in case.get("interval") or ()] or [None, None]
    context = {"ti": instance, "data_interval_start": given[0], "data_interval_end": given[1]}
    match case.get("interrupt"):
        case "on_kill":
            when_requests(case["url"], 3, operator.on_kill)
        case "overtime":
            when_requests(case["url"], 3, lambda: os.kill(os.getpid(), signal.SIGALRM))
    found = {"returned": None, "raised": None, "message": ""}
    try:
        found["returned"] = operator.execute(context)
    except (Exception, Overtime) as error:  # noqa: BLE001  # a case is how it ends
        found |= {"raised": type(error).__name__, "message": str(error), "cause": repr(error.__context__)}
    return found | {"pushed": instance.pushed, "lineage": lineage_of(operator)}


def lineage_of(operator):
    """Return what Airflow's provider of OpenLineage is told of a task."""
    from openlineage.client.serde import Serde

    if not hasattr(operator, "get_openlineage_facets_on_complete"):
        return None
    found = operator.get_openlineage_facets_on_complete(None)
    return None if found is None else {"inputs": [*map(Serde.to_dict, found.inputs)],
                                       "outputs": [*map(Serde.to_dict, found.outputs)]}  # fmt: skip


def run_case(case):
    """Do one case."""
    from bucket_loader.integrations import airflow

    LINES.clear()
    os.environ |= case.get("environment", {})
    call(case["url"], "POST", "/_emulator/reset")
    call(case["url"], "PUT", "/_emulator/faults", {"seed": 1, "faults": case.get("faults", [])})
    try:
        if "test_connection" in case:
            found = {"returned": airflow.BucketHook(case["test_connection"]).test_connection()}
        else:
            operator = getattr(airflow, case["is"])(task_id="load", **case["operator"])
            found = run_operator(case, operator)
            if "again" in case:
                call(case["url"], "PUT", "/_emulator/faults", {"seed": 1, "faults": []})
                found["again"] = run_operator(case | {"interrupt": None}, operator)
    finally:
        for name in case.get("environment", {}):
            del os.environ[name]
    state = json.loads(call(case["url"], "GET", "/_emulator/state"))
    journal = call(case["url"], "GET", "/_emulator/journal").splitlines()
    return found | {"state": state, "journal": [json.loads(line) for line in journal], "log": list(LINES)}


def provider():
    """Return what Airflow itself knows of us."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    hook = manager.hooks["bucket"]
    behaviours = manager.field_behaviours.get("bucket", {})
    return {
        "version": manager.providers["bucket-loader"].version,
        "hook": [hook.hook_class_name, hook.connection_type, hook.hook_name],
        "fields": sorted(name for name in manager.connection_form_widgets if "bucket" in name),
        "relabeling": dict(behaviours.get("relabeling", {})),
    }


def main():
    """Do all the cases that stdin asks for."""
    from bucket_loader.integrations.airflow import BucketDeliverOperator, BucketLoadOperator, BucketPlanOperator

    logger = logging.getLogger("cases")
    logger.setLevel(logging.INFO)
    logger.addHandler(Lines())
    for operator in (BucketLoadOperator, BucketPlanOperator, BucketDeliverOperator):
        operator.log = logger  # Airflow's own is another one in each version
    signal.signal(signal.SIGALRM, overtime)
    given = json.loads(Path("/dev/stdin").read_text("utf-8"))
    found = {name: run_case(case) for name, case in given.items()}
    sys.stdout.write("\n" + json.dumps(found | {"provider": provider()}))


if __name__ == "__main__":
    main()
