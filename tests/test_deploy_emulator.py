"""The image of the emulator alone, and its compose file: checked and carried out as far as it goes without Docker."""

import json
import re
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from importlib.metadata import distribution

import pytest
import requests
from images import ROOT, Image, as_another_user
from packaging.requirements import Requirement
from tiers import IMAGES

DEPLOY = ROOT / "deploy" / "emulator"
IMAGE = Image(DEPLOY / "Dockerfile")
FEATURES = {"features": [{"key": "huddle", "targeting": {"version": 1, "rules": []}}]}
LOADS = """
import importlib, json, pathlib, sys
import bucket_loader, bucket_loader.cli.commands
root = pathlib.Path(bucket_loader.__file__).parent
for path in (root / "emulator").rglob("*.py"):
    parts = path.relative_to(root.parent).with_suffix("").parts
    importlib.import_module(".".join(parts).removesuffix(".__init__"))
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def installed():
    """Return the libraries that the image installs by name."""
    (line,) = [given for word, given in IMAGE.stages()[0] if word == "RUN"]
    return set(re.search(r"constraints\.txt\s+(.*?)\s+&&", line)[1].split())


def with_what_they_need(names):
    """Return libraries with those that they need; the ones of extras are not among them."""
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        needs = (Requirement(one) for one in distribution(name).requires or ())
        left |= {one.name.lower() for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})} - found
    return found


def test_the_image_installs_what_the_emulator_imports_and_no_more():
    """Whatever file of the emulator is imported, it needs none of the loader's other libraries."""
    printed = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, check=True).stdout
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    needed = {re.match(r"[a-z-]+", one)[0] for one in ours} & {name.replace("_", "-") for name in json.loads(printed)}

    assert needed <= installed()
    assert installed() - needed <= {"httptools", "uvloop"}  # uvicorn's own choice, where they are there
    assert not with_what_they_need(installed()) & {"duckdb", "numpy", "pandas", "pyarrow", "pydantic"}


def test_the_image_is_a_user_without_rights_and_says_whether_it_is_well():
    """No name, no home, no shell; the health check asks the very port that is exposed."""
    _, final = IMAGE.stages()
    last = dict(final)

    assert last["USER"] == "10001:10001"
    assert json.loads(last["ENTRYPOINT"]) == ["bucket-loader", "emulator", "--host", "0.0.0.0"]  # noqa: S104
    assert f"127.0.0.1:{last['EXPOSE']}/_emulator/state" in last["HEALTHCHECK"]
    assert not any(IMAGE.keeps(ROOT / name) for name in (".git", ".venv", "tests", "sample_data", "deploy"))


def checked(*command, **options):
    """Run a tool; return its exit code and what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.image
@pytest.mark.parametrize("folder", [DEPLOY, DEPLOY.parent], ids=["emulator", "loader"])
def test_hadolint_finds_no_fault_in_a_dockerfile(folder):
    """It finds one where a version is left open."""
    tool = IMAGES / "bin" / "hadolint"

    assert checked(tool, folder / "Dockerfile") == (0, "")
    assert checked(tool, "-", input="FROM python\n")[0] == 1


@pytest.mark.image
@pytest.mark.parametrize("with_app", [False, True], ids=["alone", "with an app"])
def test_compose_takes_the_file(with_app):
    """Docker's own program reads it against its schema, also with the lines of the app; a misspelt word it does not."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    text = re.sub(r"^  # (app:|  )", r"  \1", text, flags=re.MULTILINE) if with_app else text
    command = [
        IMAGES / "bin" / "docker-compose",
        "-f",
        "-",
        "--project-directory",
        DEPLOY,
        "config",
        "--format",
        "json",
    ]

    code, said = checked(*command, input=text)

    assert code == 0, said
    found = json.loads(said)["services"]
    assert set(found) == ({"bucket", "app"} if with_app else {"bucket"})
    assert found["bucket"]["build"] == {"context": str(ROOT), "dockerfile": "deploy/emulator/Dockerfile"}
    assert checked(*command, input=text.replace("read_only", "readonly"))[0] == 1


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What the image holds: its build is carried out to the letter, in a folder instead of /opt."""
    folder = tmp_path_factory.mktemp("image")
    build, _ = IMAGE.stages()
    IMAGE.copied(build, folder / "build")
    (line,) = [given for word, given in build if word == "RUN"]
    line = line.replace("/opt/bucket-emulator", str(folder / "venv")).replace("python -m", f"{sys.executable} -m")
    subprocess.run(["/bin/sh", "-ec", line], cwd=folder / "build", check=True, capture_output=True)
    return folder / "venv"


@contextmanager
def started(venv, *words):
    """Start the very command of the image, as a user without rights, with nothing but the image's own variables."""
    last = dict(IMAGE.stages()[1])
    environment = {"PATH": f"{venv}/bin:/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*as_another_user(), f"{venv}/bin/python", f"{venv}/bin/bucket-loader",
               *json.loads(last["ENTRYPOINT"])[1:], *words]  # fmt: skip
    with subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
    assert process.returncode == 0


def well(venv, url):
    """Ask the image's health check of an emulator at another port."""
    health = dict(IMAGE.stages()[1])["HEALTHCHECK"]
    _, *words = json.loads(health[health.index("CMD") + 3 :].replace("http://127.0.0.1:8123", url))
    return checked(f"{venv}/bin/python", *words)[0] == 0


@pytest.mark.image
def test_what_the_image_installs_runs_its_command(built):
    """In an environment of its own: calls are taken, features are evaluated, the page is there, the check is good."""
    with started(built, "--port", "0") as told:
        headers = {"Authorization": f"Bearer {told['secret_key']}"}

        assert requests.post(f"{told['url']}/user", json={"userId": "u1"}, headers=headers, timeout=10).ok
        assert requests.put(f"{told['url']}/_emulator/features", json=FEATURES, timeout=10).ok
        asked = {"contextJson": '{"user": {"id": "u1"}}'}
        answer = requests.get(f"{told['url']}/features/evaluated", asked, headers=headers, timeout=10)
        assert list(answer.json()["features"]) == ["huddle"]
        assert "<html" in requests.get(told["url"], timeout=10).text
        assert well(built, told["url"])
    assert not well(built, told["url"])
