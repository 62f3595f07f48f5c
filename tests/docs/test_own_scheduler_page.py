"""The function of docs/how-to/own-scheduler.md, as a scheduler calls it."""

import runpy
import subprocess
import sys

import pytest
from docs_programs import program_of
from workplace import KEY

PAGE = "how-to/own-scheduler.md"


@pytest.fixture
def run_once(tmp_path, monkeypatch, emulator):
    """The page's function, with the variables that it is said to use."""
    monkeypatch.setenv("BUCKET_BASE_URL", emulator.url)
    monkeypatch.setenv("BUCKET_SECRET_KEY", KEY)
    return runpy.run_path(str(program_of(PAGE, tmp_path)))["run_once"]


@pytest.mark.usefixtures("quick")
def test_the_pages_function_says_how_a_run_ended_and_whether_the_same_again_can_help(
    run_once, companies, emulator, monkeypatch
):
    """An outage can end, and the next call continues; rejected rows, a refused key and a mistake stay as they are."""
    file = companies.folder / "pipeline.yaml"
    emulator.faults({"kind": "status", "status": 503, "rate": 1.0})
    outage = run_once(file, patience="0.1s")
    emulator.faults()
    good = run_once(file)
    companies.write("accounts.csv", "id,name,seats\n,Nobody,1\n")
    rejected = run_once(file)
    monkeypatch.setenv("BUCKET_SECRET_KEY", "sec_wrong_0123456789abcdef0123")
    refused = run_once(file)
    mistake = run_once(companies.folder / "none.yaml")

    assert [outage, good, rejected] == [(75, True), (0, False), (3, False)]
    assert [refused, mistake] == [(2, False), (2, False)]
    assert emulator.state()["companies"] == 3


def test_the_page_is_a_program_too(tmp_path, companies, emulator):
    """Its exit code is the run's."""
    program = program_of(PAGE, tmp_path)
    variables = {"BUCKET_BASE_URL": emulator.url, "BUCKET_SECRET_KEY": KEY, "PATH": ""}

    words = [sys.executable, str(program), str(companies.folder / "pipeline.yaml")]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)

    assert (done.returncode, emulator.state()["companies"]) == (0, 3), done.stderr
