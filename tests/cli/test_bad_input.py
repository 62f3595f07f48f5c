"""Bad input: one clear message with a hint and its place, the right exit code, no traceback, nothing sent."""

import errno
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from workplace import COMPANIES

ROWS = b"id,name,seats\n" + b"".join(b"%05d,Company %d,%d\n" % (n, n, n % 50) for n in range(5_000))
GZ, ZST_FILE = (COMPANIES.replace(".csv", f".csv.{ending}") for ending in ("gz", "zst"))
ZST = pa.Codec("zstd").compress(ROWS).to_pybytes()

# What is in the folder, what the pipeline says, and what the message must name.
FILES = {
    "a missing column": ("accounts.csv", "ident,name\n1,a\n", COMPANIES, ["'id'", "ident"]),
    "another delimiter": ("accounts.csv", "id;name\n1;a\n", COMPANIES, ["'id'", "semicolon"]),
    "a query that shows a value": (
        "accounts.csv", "id,secret\n1,hush\n",
        COMPANIES.replace("{type: csv, path: accounts.csv}", "{type: query, sql: 'select id, error(secret) e from a'}"),
        ["query"]),
    "a directory without files": ("empty/.keep", "", COMPANIES.replace("accounts.csv", "empty/*.csv"), ["empty/*.csv"]),
    "a missing file": ("acounts.csv", "id\n1\n", COMPANIES, ["accounts.csv", "acounts.csv"]),
    "a truncated gz": ("accounts.csv.gz", gzip.compress(ROWS)[:-2_000], GZ, ["accounts.csv.gz"]),
    "a truncated zst": ("accounts.csv.zst", ZST[:-2_000], ZST_FILE, ["accounts.csv.zst"]),
    "a zst cut by one byte": ("accounts.csv.zst", ZST[:-1], ZST_FILE, ["accounts.csv.zst"]),
    "gz by name, plain by content": ("accounts.csv.gz", ROWS, GZ, ["accounts.csv.gz"]),
    "an empty file": ("accounts.csv", "", COMPANIES, ["accounts.csv", "empty"]),
    "an unterminated quote": ("accounts.csv", 'id,name\n1,a\n2,"b\n3,c\n', COMPANIES, ["accounts.csv", "3"]),
    "a text after a closing quote": ("accounts.csv", 'id,name\n1,"a"x\n', COMPANIES, ["accounts.csv", "2"]),
    "two columns of one name": ("accounts.csv", "id,name,name\n1,a,b\n", COMPANIES, ["'name'"]),
    "another encoding": ("accounts.csv", "id,name\n1,é\n".encode("utf-16"), COMPANIES, ["utf-16"]),
    "a file that is no Parquet": (
        "accounts.csv", "id\n1\n", COMPANIES.replace("type: csv", "type: parquet"), ["accounts.csv", "Parquet"]),
    "a database that is not there": (
        "accounts.csv", "id\n1\n",
        COMPANIES.replace("type: csv, path: accounts.csv", "type: sql, url: 'sqlite:///no.db', table: t"), ["no.db"]),
    "an expression with a clock": (
        "accounts.csv", "id\n1\n", COMPANIES.replace('attributes: "*"', 'attributes: {a: {sql: "now()"}}'), ["now"]),
    "an expression that does not parse": (
        "accounts.csv", "id\n1\n", COMPANIES.replace('attributes: "*"', 'attributes: {a: {sql: "id +"}}'), ["id +"]),
    "a query parameter without a value": (
        "accounts.csv", "id\n1\n", COMPANIES.replace("accounts.csv", '"a-{interval_start:%Y}.csv"'),
        ["--interval-start"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_a_source_that_lies_is_refused_before_anything_is_sent(case, command, workplace, emulator):
    """Exit 2, one message that names the place and says what to do, and no request at all."""
    name, content, streams, words = FILES[case]
    workplace.write(name, content)
    workplace.pipeline(streams, head="sources: {a: {type: csv, path: accounts.csv}}\n")

    result = workplace.command(command)

    assert result.exception is None
    assert result.exit_code == 2
    assert "hush" not in result.stderr
    assert [word for word in words if word not in result.stderr] == []
    assert result.stderr.count("error:") == 1
    assert "hint:" in result.stderr
    assert "Traceback" not in result.stderr
    assert emulator.state()["requests"] == 0


FILE_MISTAKES = {
    "an unknown key": (COMPANIES.replace("companyId:", "companyID:"), ["companyID", "companyId"]),
    "a wrong type": (
        COMPANIES.replace('attributes: "*"', "attributes: {a: {column: seats, type: int}}"), ["integer"]),
    "two mistakes at once": (
        COMPANIES.replace("record: company", "record: compny").replace("type: csv", "type: cvs"),
        ["compan", "csv", "2 mistakes"]),
    "not YAML": ("- name: [\n", ["YAML"]),
    "no stream": ("[]\n", ["streams"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FILE_MISTAKES)
def test_mistakes_in_the_pipeline_file_are_told_with_their_line(case, workplace, emulator):
    """Exit 2, every mistake with file, line and column."""
    streams, words = FILE_MISTAKES[case]
    path = workplace.pipeline(streams)

    result = workplace.run()

    assert (result.exit_code, result.exception) == (2, None)
    assert f"{path}:" in result.stderr
    assert [word for word in words if word not in result.stderr] == []
    assert result.summary["exit_code"] == 2
    assert emulator.state()["requests"] == 0


KEYS = {
    "a line break inside": "sec_test_0123\n456789abcdef",
    "a blank inside": "sec_test_0123 456789abcdef",
    "a curly quote": "“sec_test_0123456789abcdef”",
    "a letter with an accent": "sec_test_É0123456789abcdef",
    "nothing": " ",
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_that_cannot_stand_in_a_header_is_refused_unseen(case, companies):
    """Exit 2; the message names the place and never the key."""
    result = companies.run(BUCKET_SECRET_KEY=KEYS[case])

    assert (result.exit_code, result.exception) == (2, None)
    assert "destination.key" in result.stderr
    assert "0123" not in result.stderr + result.stdout


def test_blanks_around_a_key_are_stripped(companies, emulator):
    """A key read from a file with its line break works."""
    result = companies.run(BUCKET_SECRET_KEY=f" {companies.key}\n")

    assert result.exit_code == 0
    assert emulator.state()["companies"] == 3


def test_a_wrong_key_ends_the_run_with_5_and_nothing_is_rejected(companies, emulator):
    """401 is never a row's fault: no dead letter, all rows pending, and running with the right key continues."""
    result = companies.run(BUCKET_SECRET_KEY="sec_test_wrong_0123456789")
    again = companies.run()

    assert (result.exit_code, result.exception) == (5, None)
    assert result.summary["streams"]["companies"]["pending"] == 3
    assert result.summary["dead_letters"] is None
    assert "hint:" in result.stderr
    assert again.exit_code == 0
    assert emulator.state()["companies"] == 3


def test_an_unreachable_host_ends_with_75_when_patience_is_over(companies):
    """Nothing was sent, everything is pending, and the message says to run again."""
    file = companies.folder / "pipeline.yaml"
    file.write_text(file.read_text("utf-8").replace("patience: 1s", "patience: 1s\n  proxy: http://127.0.0.1:9"))
    result = companies.run()

    assert (result.exit_code, result.exception) == (75, None)
    assert result.summary["streams"]["companies"]["pending"] == 3
    assert result.summary["streams"]["companies"]["unknown"] == 0
    assert "run the same command again" in result.stderr


def test_where_nothing_listens_on_this_machine_the_run_ends_with_75_at_once(companies):
    """Nothing is waited for: one request, and the command that starts an emulator."""
    result = companies.run("--patience", "30m", BUCKET_BASE_URL="http://localhost:9")

    assert (result.exit_code, result.summary["requests"]) == (75, 1)
    assert "nothing listens at localhost:9" in result.stderr
    assert "start one: `bucket-loader emulator --port 9`" in result.stderr


@pytest.mark.parametrize(
    ("kind", "extra"), [("redirect", {"to": "http://127.0.0.1:9/"}), ("html", {})], ids=["redirect", "html"]
)
def test_an_answer_that_is_not_buckets_ends_with_5(kind, extra, companies, emulator):
    """A redirect or a web page is a wrong host, not a bad row: nothing is rejected, nothing is retried."""
    emulator.faults({"kind": kind, **extra})

    result = companies.run()

    assert (result.exit_code, result.exception) == (5, None)
    assert result.summary["requests"] == 1
    assert result.summary["dead_letters"] is None


def test_check_tells_a_publishable_key_from_a_secret_one(companies):
    """A publishable key can write but not read: `check` says which key is wanted."""
    result = companies.command("check", BUCKET_SECRET_KEY="pub_test_0123456789")

    assert result.exit_code == 5
    assert "secret key" in result.stderr


def test_a_missing_pipeline_file_is_a_message(workplace):
    """Exit 2 with a hint, no traceback."""
    result = workplace.command("run")

    assert (result.exit_code, result.exception) == (2, None)
    assert "init" in result.stderr


def test_a_full_disk_while_planning_is_run_again_later(companies, emulator, monkeypatch):
    """Exit 75 with what to do, no traceback, nothing sent and no half of a plan left."""

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bucket_loader.planning.staging._staged", full)
    result = companies.run()

    assert (result.exit_code, result.exception) == (75, None)
    assert "No space left on device" in result.stderr
    assert "hint:" in result.stderr
    assert emulator.state()["requests"] == 0
    assert list(companies.folder.glob(".bucket_loader/*/plans/*")) == []


def test_a_full_stdout_does_not_change_how_the_run_ended(companies, emulator):
    """The summary cannot be written: that is said on stderr, and the exit code is the run's own."""
    environment = os.environ | {"BUCKET_BASE_URL": companies.url, "BUCKET_SECRET_KEY": companies.key}
    words = [sys.executable, "-m", "bucket_loader", "run", str(companies.folder / "pipeline.yaml"), "--json"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)

    assert result.returncode == 0
    assert "stdout does not take what is written to it: No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert emulator.state()["companies"] == 3


@pytest.mark.long
def test_init_does_not_wait_for_a_pipe(tmp_path):
    """A named pipe is refused at once."""
    os.mkfifo(tmp_path / "pipe.csv")
    words = [sys.executable, "-m", "bucket_loader", "init", str(tmp_path / "pipe.csv")]

    result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 2
    assert "not a regular file" in result.stderr


@pytest.mark.parametrize("word", ["proxy: zzz", "ca_bundle: /nowhere.pem", f"ca_bundle: {__file__}"])
def test_a_way_that_cannot_work_is_a_mistake_in_the_file(companies, word):
    """A proxy that is no URL, and a bundle that is not there or holds no certificate, are exit 2 and no outage."""
    file = companies.folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("  patience: 1s\n", f"  patience: 1s\n  {word}\n"))

    result = companies.run()

    assert (result.exit_code, result.exception) == (2, None)
    assert f"destination.{word.split(':')[0]}" in result.stderr
