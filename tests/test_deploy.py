"""The recipes in `deploy/`: each is run, or held against the program that it starts, as far as a laptop can.

`BUCKET_LOADER_IMAGE=1` does what the Dockerfile does to the letter (its `pip install` in a fresh environment, half a
minute); by default what it copies is installed beside the dependencies that are there.
"""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from images import Image, as_another_user
from ruamel.yaml import YAML
from tiers import require
from workplace import COMPANIES

from bucket_loader.cli import commands as cli
from bucket_loader.config.destination import Destination
from bucket_loader.model import errors
from bucket_loader.runs import end

pytestmark = pytest.mark.breadth

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
IMAGE = Image(DEPLOY / "Dockerfile")
LOOK_FIRST = {1, 2, 3, 4, 5, 6}
"""Exit codes after which running again cannot help."""

HELD = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  on_unknown: hold
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
"""


def understood(words):
    """Let the command line parse a command's words, as far as it can without doing anything."""
    name, *others = words
    command = cli.main.commands[name]
    return command.make_context(name, list(others), help_option_names=["-h", "--help"])  # click keeps the first it sees


def all_errors(kind=errors.BucketLoaderError):
    """Return the whole tree."""
    yield kind
    for one in kind.__subclasses__():
        yield from all_errors(one)


def test_the_exit_codes_that_end_it_are_those_of_the_errors():
    """What is not in this set is 75, or a signal."""
    codes = {one.exit_code for one in all_errors()}

    assert codes | {end.HELD_EXIT_CODE} == LOOK_FIRST | {75}


@pytest.fixture
def companies(workplace):
    """A workplace as the recipes expect one: nightly.yaml in a folder of its own."""
    workplace.write("accounts.csv", "id,name,seats\n00123,Acme,5\n123,Beta,7\n")
    workplace.pipeline(COMPANIES).rename(workplace.folder / "nightly.yaml")
    return workplace


def here(text, place):
    """Put a workplace where a recipe has the folders of a server."""
    moved = {"/etc/bucket-loader": place.folder, "/var/lib/bucket-loader": place.folder / "state",
             "/opt/bucket-loader/bin": Path(sys.executable).parent,
             "/var/lib/prometheus/node-exporter": place.folder}  # fmt: skip
    for before, after in moved.items():
        text = text.replace(before, str(after))
    return text


def run_line(command, variables, place):
    """Run a line as a scheduler does: /bin/sh, elsewhere, with nothing but these variables."""
    environment = {"HOME": "/", "BUCKET_BASE_URL": place.url, **variables}
    return subprocess.run(["/bin/sh", "-c", command], cwd="/", env=environment, capture_output=True, check=False)


# --- cron ----------------------------------------------------------------------------------------------------------


def test_the_crontab_runs_as_it_stands_and_sends_no_mail(companies):
    """Each line: the environment is read from its file, the pipeline is found, the numbers are written, and no word."""
    (companies.folder / "environment").write_text(f"BUCKET_SECRET_KEY={companies.key}\n")
    lines = [line for line in here((DEPLOY / "crontab").read_text(), companies).splitlines() if line and line[0] != "#"]
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    jobs = [line.split(None, 5) for line in lines if line[:1].isdigit()]

    ended = [run_line(job[5], variables, companies) for job in jobs]

    assert [(one.returncode, one.stdout, one.stderr) for one in ended] == [(0, b"", b"")] * 2
    assert not any("%" in job[5] for job in jobs), "cron takes it for a line break"
    assert (companies.folder / "bucket-loader-nightly.prom").exists()


# --- systemd -------------------------------------------------------------------------------------------------------


def unit(name):
    """Read a unit: its words, each with all that it is given."""
    found = {}
    for line in (DEPLOY / name).read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            word, given = line.split("=", 1)
            found.setdefault(word, []).append(given)
    return found


@pytest.mark.parametrize("name", ["bucket-loader@.service", "bucket-loader@.timer"])
def test_systemd_finds_no_fault_in_a_unit(name, tmp_path):
    """`systemd-analyze verify` knows every word of it; one that is misspelt would be told."""
    require("systemd-analyze")
    for path in DEPLOY.glob("bucket-loader@.*"):
        shutil.copy(path, tmp_path)
    misspelt = tmp_path / "misspelt.service"
    misspelt.write_text("[Service]\nType=oneshot\nExecStart=/bin/true\nRestrt=no\n")

    def verify(path):
        return subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)

    found, wrong = verify(tmp_path / name), verify(misspelt)

    assert (found.returncode, found.stderr) == (0, "")
    assert "Restrt" in wrong.stderr


def test_the_service_starts_the_pipeline_with_its_credential(companies):
    """What ExecStart says is run, with the key from the credential and nothing else of it anywhere."""
    (companies.folder / "bucket-secret-key").write_text(f"{companies.key}\n")
    service = unit("bucket-loader@.service")
    (start,), (after,) = service["ExecStart"], service["ExecStartPost"]
    words = shlex.split(here(start, companies).replace("%i", "nightly"))
    variables = dict(pair.split("=") for pair in here(service["Environment"][0], companies).split())
    line = shlex.join(word.replace("$$", "$") for word in words)

    ended = run_line(line, {**variables, "CREDENTIALS_DIRECTORY": str(companies.folder), "PATH": "/bin:/usr/bin"},
                     companies)  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stderr.splitlines()[-1])["event"] == "summary"
    assert understood(shlex.split(after.lstrip("-"))[1:]).params["quiet"]


def started(place):
    """Start the service as systemd does, and return whether systemd would start it again, and its exit code."""
    (place.folder / "bucket-secret-key").write_text(f"{place.key}\n")
    service = unit("bucket-loader@.service")
    words = shlex.split(here(service["ExecStart"][0], place).replace("%i", "nightly"))
    variables = dict(pair.split("=") for pair in here(service["Environment"][0], place).split())
    variables |= {"CREDENTIALS_DIRECTORY": str(place.folder), "PATH": "/bin:/usr/bin"}
    code = run_line(shlex.join(word.replace("$$", "$") for word in words), variables, place).returncode
    return code != 0 and str(code) not in service["RestartPreventExitStatus"][0].split(), code


def test_what_is_held_does_not_start_a_service_or_a_pod_again(companies, emulator):
    """An outage does; records that wait for a person fail the unit and the job at once, until they are released."""
    companies.write("events.csv", "user,at\nu1,2025-01-01T00:00:00Z\n")
    companies.pipeline(HELD).rename(companies.folder / "nightly.yaml")
    emulator.faults({"kind": "status", "status": 429})
    outage = started(companies)
    emulator.faults({"kind": "cut_after"})
    held = started(companies)
    _, job, pod = cronjob()

    assert outage == (True, 75)
    assert held == (False, 6)
    assert 6 in job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    assert "--exit-6-when-held" in pod["containers"][0]["args"]


def test_the_service_runs_again_after_75_alone_and_has_time_to_drain():
    """What cannot help is not tried again; a stop is no failure, and is given longer than one attempt may take."""
    service = unit("bucket-loader@.service")

    assert {int(code) for code in service["RestartPreventExitStatus"][0].split()} == LOOK_FIRST
    assert service["Restart"] == ["on-failure"]
    assert service["SuccessExitStatus"] == ["143"]
    assert int(service["TimeoutStopSec"][0]) >= 2 * Destination.model_fields["timeout"].default


# --- Kubernetes ----------------------------------------------------------------------------------------------------


def cronjob():
    """Read the CronJob: what it says of the job, and of its one container."""
    found = YAML(typ="safe").load((DEPLOY / "cronjob.yaml").read_text("utf-8"))
    job = found["spec"]["jobTemplate"]["spec"]
    return found, job, job["template"]["spec"]


def test_the_cronjob_starts_a_command_that_the_loader_understands():
    """Its words are parsed by the loader's own command line, and the key comes from a secret."""
    _, _, pod = cronjob()
    (container,) = pod["containers"]
    parsed = understood(container["args"])

    assert parsed.params["pipeline"] == Path("/pipelines/nightly.yaml")
    assert parsed.params["expect_state"]
    assert all("secretKeyRef" in one["valueFrom"] for one in container["env"])
    assert not re.search(r"://[^/\s]*:[^/\s]*@", " ".join(container["args"])), "a password in the process list"


def test_the_cronjob_never_runs_twice_and_tries_again_what_can_help():
    """One at a time; codes that cannot help fail the job, a drained node is not counted, a stop has time to drain."""
    found, job, pod = cronjob()
    fails, ignored = job["podFailurePolicy"]["rules"]

    assert found["spec"]["concurrencyPolicy"] == "Forbid"
    assert set(fails["onExitCodes"]["values"]) == LOOK_FIRST
    assert (fails["action"], fails["onExitCodes"]["operator"]) == ("FailJob", "In")
    assert fails["onExitCodes"]["containerName"] == pod["containers"][0]["name"]
    assert (ignored["action"], ignored["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert pod["restartPolicy"] == "Never", "podFailurePolicy asks for it"
    assert pod["terminationGracePeriodSeconds"] >= 2 * Destination.model_fields["timeout"].default


def test_the_cronjobs_container_needs_no_rights():
    """It is the image's own user, on a root that it cannot write to."""
    _, _, pod = cronjob()
    (container,) = pod["containers"]
    user = re.search(r"USER (\d+):(\d+)", (DEPLOY / "Dockerfile").read_text("utf-8"))

    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == tuple(map(int, user.groups()))
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}  # fmt: skip
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def senders_job():
    """Read the indexed Job: what it says, and of its pods."""
    found = YAML(typ="safe").load((DEPLOY / "senders-job.yaml").read_text("utf-8"))["spec"]
    return found, found["template"]["spec"]


def test_the_pods_of_an_indexed_job_each_join_the_senders_of_a_run():
    """Each starts `deliver` of one run; one that ends with 75 is started again."""
    job, pod = senders_job()
    (container,) = pod["containers"]
    run = next(one["value"] for one in container["env"] if one["name"] == "RUN")
    parsed = understood([run if word == "$(RUN)" else word for word in container["args"]])

    assert parsed.params["run_name"] == run
    assert any(str(place).startswith("postgresql://") for place in parsed.params["state"])
    assert any(str(place).startswith("s3://") for place in parsed.params["state"])
    assert (job["completionMode"], job["completions"]) == ("Indexed", job["parallelism"])
    assert set(job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]) == LOOK_FIRST
    assert job["backoffLimitPerIndex"] > 0
    assert pod["restartPolicy"] == "Never"


def test_the_pods_of_an_indexed_job_are_those_of_the_cronjob():
    """The same image, rights, volumes and secrets."""
    (mine,), (theirs,) = (pod["containers"] for pod in (senders_job()[1], cronjob()[2]))
    differ = {"args", "env"}

    assert {name: one for name, one in mine.items() if name not in differ} == {
        name: one for name, one in theirs.items() if name not in differ}  # fmt: skip
    assert [one for one in mine["env"] if one["name"] != "RUN"] == theirs["env"]


# --- Docker --------------------------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path):
    """What the image holds, as read-only folders, and the Python that runs it."""
    build, final = IMAGE.stages()
    IMAGE.copied(build, tmp_path / "build")
    IMAGE.copied(final, tmp_path / "root")
    python = sys.executable
    if os.environ.get("BUCKET_LOADER_IMAGE"):
        (line,) = [given for word, given in build if word == "RUN"]
        line = line.replace("/opt/bucket-loader", str(tmp_path / "venv")).replace("${EXTRAS}", "metrics")
        line = line.replace("python -m venv", f"{sys.executable} -m venv")
        subprocess.run(["/bin/sh", "-ec", line], cwd=tmp_path / "build", check=True, capture_output=True)
        shutil.rmtree(tmp_path / "build")
        python = str(tmp_path / "venv" / "bin" / "python")
    (tmp_path / "tmp").mkdir()
    paths = [path for name in ("build", "root", "venv") for path in (tmp_path / name).rglob("*") if path.is_file()]
    for path in (*paths, *{path.parent for path in paths}):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    yield tmp_path, python
    for path in {path.parent for path in paths}:
        path.chmod(0o755)


def test_the_image_runs_the_quickstart_as_a_user_without_rights(image):
    """From what the Dockerfile copies and nothing else, on folders that cannot be written to, without a home."""
    folder, python = image
    before = {path: path.stat().st_mtime_ns for path in (folder / "root").rglob("*")}
    words = ["rehearse", str(folder / "root" / "app/pipelines/quickstart.yaml"), "--allow-rejected", "5%", "--json"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TMPDIR": str(folder / "tmp"),
                   "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder / "build")}  # fmt: skip

    ended = subprocess.run([*as_another_user(), python, "-m", "bucket_loader", *words], cwd=folder / "root" / "app",
                           env=environment, capture_output=True, check=False)  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["streams"]["events"]["delivered"] == 6_000
    assert {path: path.stat().st_mtime_ns for path in (folder / "root").rglob("*")} == before
    assert list((folder / "tmp").iterdir()) == []


def test_the_image_takes_nothing_along_that_a_person_left_behind():
    """No state, no key, no environment of the checkout; and its command is the loader, as a user without a name."""
    _, final = IMAGE.stages()
    last = dict(final)

    assert not any(IMAGE.keeps(ROOT / name) for name in (".git", ".venv", ".env", "tests",
        "bucket_loader/__pycache__/a.pyc", "pipelines/.bucket_loader/x/ledger.db"))  # fmt: skip
    assert json.loads(last["ENTRYPOINT"]) == ["bucket-loader"]
    assert last["USER"] == "10001:10001"
    assert "/state" in last["VOLUME"]
    assert "BUCKET_LOADER_STATE=/state" in last["ENV"]
    assert [word for word, _ in final][-1] == "CMD"
