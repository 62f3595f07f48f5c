"""Paths whose bytes are no UTF-8, and a folder that is gone: exit 2 with what to do, before anything is sent."""

import pytest
from click.testing import CliRunner

from bucket_loader.cli import main
from bucket_loader.config import load_pipeline
from bucket_loader.model import UsageError
from bucket_loader.reporting import Output
from bucket_loader.runs import RunOptions, make_job

NO_UTF8 = "caf\udce9"  # as Python spells the byte E9


@pytest.mark.parametrize("command", ["run", "plan", "check", "status", "rehearse", "init"])
def test_a_word_that_is_no_utf8_is_exit_2(companies, command):
    """The pipeline file or the source itself; the message says which word."""
    result = companies.command_of(command, str(companies.folder / NO_UTF8 / "p.yaml"))

    assert (result.exit_code, result.exception) == (2, None)
    assert "word 2 of the command line is not UTF-8" in result.stderr


def test_a_folder_that_is_no_utf8_is_exit_2(companies, monkeypatch):
    """Also where no word names it: the folder of a relative path, and the state that a variable names."""
    folder = companies.folder / NO_UTF8
    folder.mkdir()
    (folder / "p.yaml").write_bytes((companies.folder / "pipeline.yaml").read_bytes())
    monkeypatch.chdir(folder)
    pipeline = load_pipeline(
        companies.folder / "pipeline.yaml", destination={"key": companies.key, "base_url": companies.url}
    )

    with pytest.raises(UsageError, match=r"the folder of the pipeline, .*caf\?, is not UTF-8"):
        make_job(pipeline, RunOptions(), Output())
    monkeypatch.chdir(companies.folder)
    job = make_job(pipeline, RunOptions(state=folder), Output())
    with pytest.raises(UsageError, match=r"the path of the state, .*caf\?, is not UTF-8"):
        job.open_state()
    assert [path.name for path in folder.iterdir()] == ["p.yaml"]


def test_a_source_s_file_that_is_no_utf8_is_exit_2(companies):
    """A glob may find it: its name goes into the plan and the dead letters."""
    for file in list(companies.folder.glob("*.csv")):
        file.rename(file.with_name(f"{NO_UTF8}.csv"))
    pipeline = companies.folder / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("accounts.csv", "'*.csv'"))
    result = companies.run()

    assert (result.exit_code, result.exception) == (2, None)
    assert "caf?.csv, is not UTF-8" in result.stderr


@pytest.mark.parametrize("words", [["status"], ["plan", "pipeline.yaml"], ["demo"], ["init", "accounts.csv"]])
def test_a_folder_that_was_removed_is_exit_2(companies, monkeypatch, words):
    """A shell that stands in it still, and a job whose folder was cleared away: a sentence, and no traceback."""
    folder = companies.folder / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    result = CliRunner().invoke(main, words)

    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "the current folder was removed" in result.stderr
