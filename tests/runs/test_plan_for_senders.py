"""A plan for senders elsewhere, and a sender that an orchestrator ends: with the ledger on PostgreSQL."""

import threading
import time

import pytest
import servers
import stores
from workplace import EVENTS

from bucket_loader.config import load_pipeline
from bucket_loader.model import InterruptedRunError, PatienceError, UsageError
from bucket_loader.reporting import in_log
from bucket_loader.runs import deliver_job, make_job, plan_for_senders, read_options

ROWS = 300
DOWN = {"kind": "status", "status": 503}

pytestmark = pytest.mark.postgres


@pytest.fixture
def shared(workplace):
    """A workplace whose pipeline has a state of its own on PostgreSQL, and sends it with many requests."""
    servers.postgres()
    workplace.events(ROWS)
    file = workplace.pipeline(EVENTS, name=f"shared{time.time_ns()}")
    file.write_text(file.read_text("utf-8").replace("patience: 1s", "concurrency: 1\n  chunk: {records: 10}"), "utf-8")
    return workplace


def job_of(workplace, **words):
    """Return a job of the pipeline; its state is on PostgreSQL unless another is given."""
    variables = {"BUCKET_BASE_URL": workplace.url, "BUCKET_SECRET_KEY": workplace.key}
    file = workplace.folder / "pipeline.yaml"
    pipeline = load_pipeline(file, variables=variables)
    options = read_options({"state": servers.postgres_url(), "patience": "0.2s", **words})
    return make_job(pipeline, options, in_log(lambda _: None), file=file)


def test_what_is_unfinished_is_finished_before_it_is_planned(shared, emulator):
    """So the plan has nothing of it; while it cannot be finished, there is no plan."""
    emulator.faults(DOWN)
    first = deliver_job(job_of(shared), plan_for_senders(job_of(shared)).plan.manifest.run)
    with pytest.raises(PatienceError):
        plan_for_senders(job_of(shared))
    emulator.faults()
    second = plan_for_senders(job_of(shared))

    assert (first.exit_code, emulator.state()["events"]) == (75, ROWS)
    assert second.streams["events"].unchanged == ROWS
    assert second.plan.manifest.unfinished is None


def test_a_ledger_that_one_process_has_alone_is_refused_before_anything_is_read(shared):
    """With exit 2, as the senders would be."""
    (shared.folder / "events.csv").unlink()

    with pytest.raises(UsageError, match="one process has at a time"):
        plan_for_senders(job_of(shared, state=str(shared.folder / "state")))


def test_the_plan_is_in_the_store_too(shared, emulator, monkeypatch):
    """A task on another machine has nothing on its disk, and sends it."""
    with stores.s3(monkeypatch) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        state = [servers.postgres_url(), store.url("states")]
        run = plan_for_senders(job_of(shared, state=[*state, str(shared.folder / "here")])).plan.manifest.run
        ended = deliver_job(job_of(shared, state=[*state, str(shared.folder / "there")]), run)

    assert (ended.exit_code, emulator.state()["events"]) == (0, ROWS)


def test_a_sender_that_is_drained_sends_nothing_more_and_ends(shared, emulator):
    """An orchestrator ends a task: it is not for this sender to end the run then; the next one does."""
    run = plan_for_senders(job_of(shared)).plan.manifest.run
    emulator.faults({"kind": "latency", "seconds": 0.1})
    drained, ended = job_of(shared), []
    thread = threading.Thread(target=lambda: ended.append(_ending(drained, run)))
    thread.start()
    while emulator.state()["events"] < 20:
        time.sleep(0.01)
    drained.drain()
    thread.join()
    sent = emulator.state()["events"]
    emulator.faults()

    assert ended == ["interrupted"]
    assert sent < ROWS
    assert deliver_job(job_of(shared), run).exit_code == 0
    assert emulator.state()["events"] == ROWS


def _ending(job, run):
    try:
        return deliver_job(job, run).status
    except InterruptedRunError:
        return "interrupted"
