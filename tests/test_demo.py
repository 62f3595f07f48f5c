"""The demo: what it installs, what it says while it does, and what it shows."""

import json
import os
import pty
import re
import resource
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tiers import ROOT

PACKAGES_MAX = 40  # with pip, setuptools and ourselves
OF_THE_ENVIRONMENT = {"pip", "setuptools"}  # Python 3.11 puts both into an environment
CPU_S_MAX = 60


def installer():
    """Load `tools/install.py`."""
    spec = spec_from_file_location("install", ROOT / "tools" / "install.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def needed(name):
    """Return a package and all that it needs, without extras."""
    found, left = set(), [name]
    while left:
        one = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if one in found:
            continue
        found.add(one)
        wanted = map(Requirement, distribution(one).requires or ())
        left += [need.name for need in wanted if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def test_the_loader_runs_with_few_packages():
    """What the tests need is not among them."""
    packages = needed("bucket-loader")

    assert len(packages | OF_THE_ENVIRONMENT) < PACKAGES_MAX
    assert not packages & {"pytest", "mypy", "watchfiles", "websockets", "python-dotenv"}


def test_a_step_says_what_it_does_and_what_it_took(capfd):
    """Two lines where nobody looks at a terminal."""
    installer().step("doing it", [sys.executable, "-c", "print('Successfully installed a-1 b-2')"], "advice")

    assert re.fullmatch(r"doing it \.\.\.\ndoing it: done in \d+ s, 2 packages\n", capfd.readouterr().out)


def test_a_step_that_fails_shows_what_was_said(capfd):
    """And what may help."""
    with pytest.raises(SystemExit) as ended:
        installer().step("doing it", [sys.executable, "-c", "print('no index'); exit(1)"], "is it there?")

    assert str(ended.value) == "\nno index\ndoing it: failed (see above); is it there?"


def test_a_step_moves_on_a_terminal():
    """One line, which shows the seconds and the package, and ends with what it took; no wider than the terminal."""
    script = "import time; print('Collecting pandas', flush=True); time.sleep(.5)"
    call = f"import install; install.step('doing it', ['{sys.executable}', '-c', {script!r}], '')"
    inside, outside = pty.openpty()
    variables = {**os.environ, "COLUMNS": "40"}
    subprocess.run([sys.executable, "-c", call], stdout=outside, cwd=ROOT / "tools", env=variables, check=True)
    os.close(outside)
    with open(inside, "rb", buffering=0) as terminal:  # noqa: PTH123
        shown = terminal.read(4096).decode()

    assert "| doing it: 0 s collecting pandas" in shown or "/ doing it: 0 s collecting pandas" in shown
    assert re.search(r"\rdoing it: done in \d+ s *\r\n$", shown)
    assert {len(line) for line in re.split(r"[\r\n]+", shown) if line} == {39}


@pytest.mark.bare
def test_the_demo_on_a_bare_machine(tmp_path):
    """It installs what it needs and nothing else, ends by itself, and its last lines are the same at every run."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, names):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    first, second = (made(tmp_path) for _ in range(2))

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < CPU_S_MAX
    python = str(tmp_path / ".venv" / "bin" / "python")
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True).stdout
    assert len(json.loads(listed)) < PACKAGES_MAX
    assert first.startswith("making .venv ...\nmaking .venv: done in ")
    assert "making" not in second
    ends = [text.partition("rejected rows and why:")[2] for text in (first, second)]
    assert ends[0] == ends[1]
    assert ends[0].endswith(END)


END = """
now in Bucket (the emulator):
    1,190 users
    148 companies, 10 more than were delivered: other records name them
    6,000 events, 1 of users who are in no company
    247 feedback
to keep the exports and the pipeline file: .venv/bin/bucket-loader demo FOLDER
next, with an export of your own: .venv/bin/bucket-loader init FILE
"""


def test_a_group_of_dependencies_holds_those_that_it_includes(monkeypatch):
    """As PEP 735 says; the pip that comes with Python 3.11 does not know them."""
    monkeypatch.chdir(ROOT)

    found = installer().group("dev")

    assert {"mypy", "pytest"} <= {Requirement(one).name for one in found}


def test_the_demo_lays_its_files_where_it_is_told_and_says_what_comes_next(tmp_path):
    """The files are the checkout's; a second demo in the same folder overwrites nothing and says what to do."""
    program = [sys.executable, "-m", "bucket_loader", "demo", "--no-keep", str(tmp_path / "boat yard")]

    first, second = (subprocess.run(program, capture_output=True, text=True, check=False) for _ in range(2))

    assert (first.returncode, first.stdout) == (0, "")
    pipeline = tmp_path / "boat yard" / "pipelines" / "quickstart.yaml"
    assert f"edit {pipeline}, then\n    bucket-loader rehearse '{pipeline}'\n" in first.stderr
    assert pipeline.read_bytes() == (ROOT / "pipelines" / "quickstart.yaml").read_bytes()
    assert sorted(file.name for file in (tmp_path / "boat yard" / "sample_data").iterdir()) == [
        "companies.parquet", "feedback.csv", "users.csv", "warehouse.db",
    ]  # fmt: skip
    assert second.returncode == 2
    assert "is not an empty folder" in second.stderr
    assert f"`bucket-loader rehearse '{pipeline}'` loads them again" in second.stderr


def made(folder: Path) -> str:
    """Return what `make demo` prints where nobody looks at a terminal, and no other `make` called it."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "demo"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=True, env=variables,
    )  # fmt: skip
    return done.stdout
