"""Planning in several processes: the same plan whatever their number, and what comes of one that fails or is killed."""

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import duckdb
import pytest
from workplace import COMPANIES

from bucket_loader.model import rows
from bucket_loader.planning import plan_file
from bucket_loader.planning.engine import on_spark, processes, select, stage
from bucket_loader.planning.engine.on_spark import OnSpark
from bucket_loader.planning.engine.processes import Processes
from bucket_loader.sources.files import parquet
from bucket_loader.sources.spark.tasks import SparkTasks, _pickled
from bucket_loader.state import REJECTED, snapshots

AS_OF = "2026-06-01"
PLAN = import_module("bucket_loader.runs.plan")  # the room has a function of this name
EXPORT = """COPY (
    SELECT 'u' || (i % 500) AS user_id,
           CASE WHEN i % 97 = 0 THEN NULL WHEN i % 89 = 0 THEN repeat('x', 300) ELSE 'used ' || (i % 40) END AS feature,
           TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS used_at,
           CASE WHEN i % 20 = 0 THEN 'k' || (i // 40) ELSE 'k' || i END AS id,
           CASE WHEN i % 11 = 0 THEN NULL ELSE i END AS amount,
           '{{"tags":[' || (i % 3) || '],"n":' || i || '}}' AS props
    FROM range({first}, {first} + {rows}) t(i)
) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE {group})"""
STREAM = """
- name: usage
  record: event
  source: {type: parquet, path: "usage-*.parquet"}
  sync: append
  key: [id]
  where: amount IS NULL OR amount % 7 <> 0
  fields:
    userId: user_id
    event: feature
    timestamp: {column: used_at, timezone: UTC}
    attributes: {amount: amount, id: {column: id, hash: hmac}, props: {column: props, type: json}}
  limits: {null: {amount: "50%"}, fresh: {column: used_at, within: 900d}}
"""
GROUP = 2_048  # rows: the least that DuckDB makes a row group of


def export(folder, rows, group=GROUP):
    """Write three files, of several row groups each."""
    for number, (first, count) in enumerate([(0, rows // 2), (rows // 2, rows // 8), (rows // 8 * 5, rows // 8 * 3)]):
        path = folder / f"usage-{number}.parquet"
        with duckdb.connect() as connection:
            connection.execute(EXPORT.format(first=first, rows=count, path=path, group=group))


def small_slices(monkeypatch, count=GROUP):
    """Let slices be small; who cuts them is this process."""
    for module in (parquet, rows, select):
        monkeypatch.setattr(module, "SLICE_ROWS", count)
    monkeypatch.setattr(select, "_ENOUGH", count // 4)


def told(folder):
    """Return what a plan says of its streams, its files' digests among it, and what it rejected, in order."""
    found = plan_file.read(folder, verify=True)
    lines = [json.loads(line) for line in (folder / REJECTED).read_text().splitlines()]
    rejected = [{**line, "id": line["id"].partition("/")[2], "run": None, "at": None} for line in lines]
    return found.manifest.streams, rejected


def planned(place, *words):
    """Plan by the command; return the plan's folder."""
    result = place.command("plan", "--as-of", AS_OF, "--json", *words)
    assert result.exit_code == 0, result.stderr
    return Path(result.summary["plan"])


@pytest.fixture
def usage(workplace, monkeypatch):
    """A folder with an export of a dozen small slices."""
    small_slices(monkeypatch)
    export(workplace.folder, 24_000)
    workplace.pipeline(STREAM, head="hash_key: ${HASH_KEY}\n")
    monkeypatch.setenv("HASH_KEY", "a key of thirty-two characters!!")
    return workplace


def test_the_plan_is_the_same_whatever_made_it(usage, monkeypatch):
    """Records, their order, parts, counts, facts and rejections: by one process, two and three, in other zones."""
    one = told(planned(usage, "--processes", "1"))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    two = told(planned(usage, "--processes", "2"))
    monkeypatch.setenv("TZ", "America/St_Johns")
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    monkeypatch.setattr(snapshots.comparing, "_ROWS_AT_ONCE", 3_000)
    three = told(planned(usage, "--processes", "3"))

    (stream,), rejected = one
    assert len(stream.parts) > 5
    assert min(len(rejected), stream.counts.superseded, stream.counts.filtered, stream.facts.nulls["amount"]) > 100
    assert one == two == three


class Shuffled(Processes):
    """An engine that stages each slice by itself, in any order."""

    def __init__(self, seed):
        super().__init__(1)
        self.seed = seed

    def run(self, function, items):
        """Yield what is made: the steps by their slices, for their rejections are not in files here."""
        if not isinstance(function, stage.Stage):
            return function(items)
        function.mapping.close()
        listed, alone = list(items), replace(function, mapping=None)
        random.Random(self.seed).shuffle(listed)  # noqa: S311  # no secret
        made = [one for item in listed for one in alone([item])]
        steps = sorted((one for one in made if isinstance(one, stage.Step)), key=lambda step: step.slice)
        return iter([*steps, *(one for one in made if not isinstance(one, stage.Step))])


def test_what_was_staged_is_a_sum(usage, monkeypatch):
    """In whatever order slices are staged, one by one or together, the same comes of them."""
    together = told(planned(usage, "--processes", "1"))

    for seed in (1, 2):
        monkeypatch.setattr(PLAN, "Processes", lambda _, seed=seed: Shuffled(seed))
        assert told(planned(usage)) == together


class Inline(SparkTasks):
    """Tasks that are done here, each with what would travel."""

    def map(self, function, values):
        """Return what a function makes of each value."""
        self.folder.mkdir(exist_ok=True)
        return [pickle.loads(_pickled(function))(pickle.loads(_pickled(value))) for value in values]  # noqa: S301


def test_tasks_make_the_same_plan_by_whatever_travels(usage, monkeypatch):
    """Staging some slices each, cutting, comparing and selecting: by what pickles, without a secret, as Spark's do."""
    text = (usage.folder / "pipeline.yaml").read_text()
    (usage.folder / "pipeline.yaml").write_text(text.replace("hash: hmac", "hash: sha256"))
    one = told(planned(usage, "--processes", "1"))
    monkeypatch.setattr(PLAN, "Processes", lambda _: OnSpark(Inline(usage.folder / "attempts")))
    monkeypatch.setattr(snapshots.comparing, "_ROWS_AT_ONCE", 3_000)
    for least in (1, 4, 100):
        monkeypatch.setattr(on_spark, "_TASKS_LEAST", least)
        assert told(planned(usage)) == one


def test_few_records_left_are_joined(usage):
    """Of a dozen slices with one record in a hundred left, one part or two are made, and none is lost."""
    text = (usage.folder / "pipeline.yaml").read_text()
    (usage.folder / "pipeline.yaml").write_text(text.replace("amount % 7 <> 0", "amount % 100 = 1"))
    (stream,), _ = told(planned(usage, "--processes", "2"))

    assert 0 < stream.records == sum(part.records for part in stream.parts)
    assert len(stream.parts) <= 2


def test_a_mistake_of_the_source_is_told_as_in_one_process(usage):
    """A file that is damaged behind its footer: the same message and hint, exit 2, and no worker is left."""
    path = usage.folder / "usage-1.parquet"
    data = bytearray(path.read_bytes())
    data[40:400] = bytes(360)
    path.write_bytes(data)
    one, two = (usage.command("plan", "--as-of", AS_OF, "--processes", count) for count in ("1", "2"))

    assert (one.exit_code, two.exit_code) == (2, 2)
    assert "usage-1.parquet" in two.stderr
    assert "hint: it may be cut short, damaged" in two.stderr
    assert list(usage.folder.glob(".bucket_loader/*/plans/*")) == []


def test_a_killed_worker_is_an_error_that_says_what_to_do(usage, monkeypatch):
    """As the system kills what takes too much memory: exit 75, nothing sent, nothing left."""
    started = []
    begin = processes._Worker.__init__

    def noted(self, heard):
        begin(self, heard)
        started.append(self._process)
        if len(started) == 2:
            started[0].send_signal(signal.SIGKILL)

    monkeypatch.setattr(processes._Worker, "__init__", noted)
    result = usage.command("plan", "--as-of", AS_OF, "--processes", "2")

    assert result.exit_code == 75
    assert "was killed by signal 9" in result.stderr
    assert "--processes 1" in result.stderr
    assert [process.poll() is not None for process in started] == [True, True]
    assert list(usage.folder.glob(".bucket_loader/*/plans/*")) == []


def test_workers_end_with_their_parent(tmp_path):
    """Also when the parent is killed, and has no time to tell them."""
    program = (
        "import time\nfrom bucket_loader.planning.engine.processes import _Worker\nfrom queue import SimpleQueue\n"
        "workers = [_Worker(SimpleQueue()) for _ in range(2)]\n"
        "print(*[one._process.pid for one in workers], flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()

    until = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers)


def alive(pid):
    """Whether a process runs; one that has ended and that nobody asked after counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_limit_is_read_in_one_process(usage, monkeypatch):
    """The first rows are wanted, one slice after the other: no worker is started for them."""
    monkeypatch.setattr(processes, "_Worker", None)
    (stream,), _ = told(planned(usage, "--processes", "3", "--limit", "2000"))

    assert stream.counts.read == 2_000


def test_no_key_is_in_what_travels(usage):
    """A stage pickles without its key and its database; without the key it refuses to hash."""
    seen = []

    class Looking(Processes):
        def run(self, function, items):
            seen.append(pickle.dumps(function))
            return super().run(function, items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PLAN, "Processes", Looking)
        planned(usage)
    assert len(seen) == 2
    assert not any(key in one for one in seen for key in (b"thirty-two", usage.key.encode()))
    with pytest.raises(AssertionError):
        next(pickle.loads(seen[0])([]))  # noqa: S301  # made above


@pytest.mark.parametrize(
    ("cores", "items", "weight", "count"),
    [(2, 400, 400, 1), (8, 400, 400, 4), (8, 12, 12, 2), (64, 4, 4, 0), (64, 4, 900, 4)],
)
def test_as_many_processes_as_help(monkeypatch, cores, items, weight, count):
    """One for every two cores, each with some slices: what takes a second to start has to be worth it."""
    monkeypatch.setattr(processes, "cores", lambda: cores)

    assert Processes()._wanted(items, weight) == count
    assert Processes(3)._wanted(items, weight) == 3


@pytest.mark.long
def test_the_plan_of_a_real_export_is_the_same(workplace, monkeypatch):
    """More than 300,000 rows, cut as everybody's are; and a file of text beside them."""
    export(workplace.folder, 320_000, 40_000)
    lines = "".join(f"c{n % 900},{n}\n" for n in range(120_000))
    workplace.write("accounts.csv", "id,seats\n" + lines)
    workplace.pipeline(STREAM + COMPANIES, head="hash_key: ${HASH_KEY}\n")
    monkeypatch.setenv("HASH_KEY", "a key of thirty-two characters!!")
    first = told(planned(workplace, "--processes", "1"))

    assert [len(stream.parts) for stream in first[0]] == [1, 3]
    for count in ("2", "3"):
        assert told(planned(workplace, "--processes", count)) == first
