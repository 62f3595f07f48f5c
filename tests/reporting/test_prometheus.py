"""The textfile for Prometheus: the numbers of the summary and no more, whole at every moment, also when a run fails."""

import importlib.util
import json
import os
import re
import stat
import threading
import time
from dataclasses import fields
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from workplace import COMPANIES

from bucket_loader.model.counts import Counts
from bucket_loader.model.errors import UsageError
from bucket_loader.reporting.prometheus import LastRun, Textfile, together

ROOT = Path(__file__).parents[2]
RUN = "bucket_loader_last_run_"
SUCCESS = "bucket_loader_last_success_timestamp_seconds"


def samples(file):
    """Read a file as Prometheus does: each sample's value, by its name and labels."""
    families = text_string_to_metric_families(file.read_text("utf-8"))
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def textfile_at(path):
    """Make a listener that writes there, and whose complaints go nowhere."""
    return Textfile(path, time.monotonic(), complain=lambda _: None)


def value(file, name, **labels):
    """Return one sample of the pipeline `test`."""
    labels = {"pipeline": "test", "environment": "production", **labels}
    return samples(file)[name, tuple(sorted(labels.items()))]


@pytest.fixture
def companies(workplace):
    """A workplace with three companies to load, one of them without an id."""
    workplace.write("accounts.csv", "id,name,seats\n00123,Acme,5\n123,Beta,7\n,Gamma,\n")
    workplace.pipeline(COMPANIES)
    return workplace


@pytest.fixture
def file(tmp_path):
    """A file in a folder of its own, as node_exporter reads one."""
    (tmp_path / "textfiles").mkdir()
    return tmp_path / "textfiles" / "test.prom"


def test_the_file_holds_the_numbers_of_the_summary_and_no_more(companies, file):
    """Every count of every stream, with its labels; how it ended, when, and how long it took."""
    before = time.time()
    summary = companies.run("--metrics", str(file)).summary

    whole = tuple(sorted({"pipeline": "test", "environment": "production"}.items()))
    stream = tuple(sorted({"pipeline": "test", "environment": "production", "stream": "companies"}.items()))
    found = samples(file)
    assert before <= found.pop((f"{RUN}timestamp_seconds", whole)) <= time.time()
    assert found.pop((f"{RUN}duration_seconds", whole)) == pytest.approx(summary["seconds"], abs=0.001)
    assert found == {
        (SUCCESS, whole): 0,
        (f"{RUN}exit_code", whole): 3,
        (f"{RUN}requests", whole): summary["requests"],
        (f"{RUN}retries", whole): summary["retries"],
        **{(f"{RUN}{name}", stream): number for name, number in summary["streams"]["companies"].items()},
    }


def test_the_last_success_outlives_runs_that_fail(companies, file):
    """So that `no success for 26 hours` is a rule over one number; a pipeline that never succeeded has 0."""
    companies.run("--metrics", str(file))
    never = value(file, SUCCESS)
    companies.run("--metrics", str(file), "--allow-rejected", "1", "--full")
    at = value(file, SUCCESS)
    companies.run("--metrics", str(file), "--full")

    assert never == 0
    assert at == pytest.approx(time.time(), abs=60)
    assert (value(file, SUCCESS), value(file, f"{RUN}exit_code")) == (at, 3)


@pytest.mark.parametrize(
    ("words", "variables", "exit_code"),
    [
        (("--stream", "nobody"), {}, 2),
        (("--key-rotated",), {"BUCKET_SECRET_KEY": "sec_another_0123456789"}, 5),
        ((), {"BUCKET_BASE_URL": "http://127.0.0.1:9"}, 75),
        ((), {"BUCKET_BASE_URL": "nonsense"}, 2),
    ],
    ids=["mistake", "key", "outage", "file"],
)
def test_a_run_that_fails_is_measured_too(companies, file, words, variables, exit_code):
    """Also one that is over before it has any number, and one whose pipeline file cannot be read."""
    companies.run("--metrics", str(file), "--allow-rejected", "1")
    companies.run("--metrics", str(file), *words, "--full", **variables)

    assert value(file, f"{RUN}exit_code") == exit_code
    assert value(file, SUCCESS) > 0
    assert value(file, f"{RUN}timestamp_seconds") > value(file, SUCCESS)


def test_a_bug_is_measured_too(companies, file, monkeypatch):
    """Exit code 1 is what the traceback ends with."""

    def broken(*_):
        raise LookupError

    monkeypatch.setattr("bucket_loader.planning.planner.make_plan", broken)
    result = companies.command("run", "--metrics", str(file))

    assert isinstance(result.exception, LookupError)
    assert value(file, f"{RUN}exit_code") == 1


def test_the_environment_may_name_the_file(companies, file):
    """A unit or a crontab sets it once."""
    companies.command("run", BUCKET_LOADER_METRICS=str(file))

    assert value(file, f"{RUN}read", stream="companies") == 3


def test_what_a_run_finished_first_is_counted_with_it(companies, file, emulator):
    """A row that an earlier run's end rejects raises the same alarm."""
    emulator.faults({"kind": "status", "status": 503, "rate": 1.0})
    companies.run()
    emulator.faults()
    result = companies.run("--metrics", str(file))

    assert [one["streams"]["companies"]["rejected"] for one in result.summary["resumed"]] == [1]
    assert value(file, f"{RUN}rejected", stream="companies") == 2
    assert value(file, f"{RUN}delivered", stream="companies") == 2


def test_a_replay_is_measured(companies, file):
    """It is a run of its own, and its rejected rows are as good an alarm."""
    letters = companies.run().summary["dead_letters"]
    companies.command_of("replay", letters, "--remap", "--metrics", str(file))

    assert value(file, f"{RUN}rejected", stream="companies") == 1


def test_counts_of_several_runs_add_up():
    """By stream; a backfill's windows are told as one."""
    several = [{"a": Counts(read=1, rejected=1)}, {"a": Counts(read=2, delivered=2), "b": Counts()}]

    assert together(several) == {"a": Counts(read=3, delivered=2, rejected=1), "b": Counts()}


# --- the file ------------------------------------------------------------------------------------------------------


def test_the_file_can_be_read_by_another_user_whatever_the_mask(file):
    """node_exporter is one; the rest of what the loader writes is for its owner alone."""
    before = os.umask(0o077)
    try:
        textfile = textfile_at(file)
        textfile.belongs_to("test", "production")
        textfile.write(LastRun(0, 1.0))
    finally:
        os.umask(before)

    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in file.parent.iterdir()] == ["test.prom"]


def test_nobody_reads_half_of_it(file):
    """It is replaced while somebody reads it again and again."""
    textfile, ended, found = textfile_at(file), threading.Event(), []
    textfile.belongs_to("test", "production")
    streams = {f"stream {number}": Counts(read=number) for number in range(20)}
    textfile.write(LastRun(0, 1.0, streams))

    def read():
        while not ended.is_set():
            text = file.read_text("utf-8")
            found.append((len(text.splitlines()), text.endswith("\n")))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        textfile.write(LastRun(0, 1.0, streams))
    ended.set()
    reader.join()

    assert len(found) > 20
    assert len(set(found)) == 1


def test_a_disk_that_is_full_leaves_the_file_as_it_was_and_the_exit_code_too(companies, file, monkeypatch):
    """That the numbers cannot be told is told, even in a quiet run."""
    companies.run("--metrics", str(file), "--allow-rejected", "1")
    before = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bucket_loader.reporting.prometheus.os.fsync", full)
    textfile = textfile_at(file)
    with pytest.raises(OSError, match="No space"):
        textfile.write(LastRun(0, 1.0))
    monkeypatch.undo()
    monkeypatch.setattr(Textfile, "write", full)
    result = companies.run("--metrics", str(file), "--allow-rejected", "1", "--quiet")

    assert result.exit_code == 0
    assert result.stderr == f"error: the metrics cannot be written to {file}: No space left on device\n"
    assert file.read_bytes() == before
    assert len(list(file.parent.iterdir())) == 1


def test_several_pipelines_share_a_folder(tmp_path):
    """Their samples differ by a label, and what is said of a name is the same in each file, as node_exporter asks."""
    texts = []
    for name in ("one", "two"):
        textfile = textfile_at(tmp_path / f"{name}.prom")
        textfile.belongs_to(name, "production")
        textfile.write(LastRun(0, 1.0, {"s": Counts(read=1)}))
        texts.append(textfile.path.read_text("utf-8"))

    one, two = (samples(tmp_path / f"{name}.prom") for name in ("one", "two"))
    heads = [[line for line in text.splitlines() if line.startswith("#")] for text in texts]
    assert not one.keys() & two.keys()
    assert heads[0] == heads[1]


def test_another_pipelines_success_is_not_taken_over(file):
    """A file that had another pipeline's numbers begins anew."""
    textfile = textfile_at(file)
    textfile.belongs_to("other", "production")
    textfile.write(LastRun(0, 1.0))
    textfile = textfile_at(file)
    textfile.belongs_to("test", "production")
    textfile.write(LastRun(75, 1.0))

    assert value(file, SUCCESS) == 0


@pytest.mark.parametrize("content", ["", "no metric {", "\x00\xff"])
def test_a_file_that_something_else_wrote_is_replaced(file, content):
    """It is not a reason to stop measuring."""
    file.write_text(content, "latin-1")
    textfile = textfile_at(file)
    textfile.write(LastRun(2, 1.0))

    assert value(file, f"{RUN}exit_code", environment="") == 2


# --- before anything is sent ---------------------------------------------------------------------------------------


def test_without_the_library_nothing_is_sent_and_the_hint_installs_it(companies, file, monkeypatch, emulator):
    """It is an extra: who asks for metrics is told which."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "prometheus_client" else find(name))
    result = companies.run("--metrics", str(file))

    assert result.exit_code == 2
    assert "pip install 'bucket-loader[metrics]'" in result.stderr
    assert json.loads(result.stdout)["exit_code"] == 2
    assert emulator.state()["requests"] == 0


def test_a_place_that_takes_no_file_is_refused_before_anything_is_sent(companies, tmp_path, emulator):
    """A folder that is not there, and one that stands where the file should."""
    for path in (tmp_path / "nowhere" / "test.prom", tmp_path):
        result = companies.run("--metrics", str(path))
        assert (result.exit_code, "the metrics cannot be written" in result.stderr) == (2, True)

    with pytest.raises(UsageError):
        textfile_at(tmp_path)
    assert emulator.state()["requests"] == 0


def test_the_docs_name_every_metric(file):
    """And no other."""
    textfile = textfile_at(file)
    textfile.belongs_to("test", "production")
    textfile.write(LastRun(0, 1.0, {"s": Counts()}))
    named = set(re.findall(r"bucket_loader_last_\w+", (ROOT / "docs" / "scheduling.md").read_text("utf-8")))

    assert {name for name, _ in samples(file)} == named
    assert {f"{RUN}{one.name}" for one in fields(Counts)} < named
