"""The loader speaks with the destination that its file names, and with nobody else."""

import json
import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

from tiers import ROOT
from workplace import KEY

# Every name that is looked up, every address that is connected to, and every program that is started.
GUARD = """
import json, os, sys

def heard(event, given):
    if event in {"socket.connect", "socket.sendto"}:
        told = given[1]
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        told = [str(given[0]), given[1] if len(given) > 1 else None]
    elif event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}:
        told = str(given[0])
    else:
        return
    with open(os.environ["HEARD"], "a") as file:
        file.write(json.dumps([event, told], default=str) + "\\n")

sys.addaudithook(heard)
"""


def test_a_run_connects_to_its_destination_alone(companies, tmp_path):
    """So do `init`, `check`, `plan`, `status` and `features`; no name is looked up but the destination's."""
    site, heard = tmp_path / "site", tmp_path / "heard.jsonl"
    site.mkdir()
    (site / "usercustomize.py").write_text(GUARD)
    variables = {
        "PYTHONPATH": str(site),
        "HEARD": str(heard),
        "BUCKET_BASE_URL": companies.url,
        "BUCKET_SECRET_KEY": KEY,
    }
    commands = [
        ["init", "accounts.csv"], ["check", "pipeline.yaml"], ["plan", "pipeline.yaml"], ["run", "pipeline.yaml"],
        ["status", "pipeline.yaml"], ["features", "list", "pipeline.yaml"], ["schema"], ["--help"],
    ]  # fmt: skip
    code = "import usercustomize; from bucket_loader.cli import main; main()"

    ends = {
        words[0]: subprocess.run(
            [sys.executable, "-c", code, *words], cwd=companies.folder, env={**os.environ, **variables},
            capture_output=True, text=True, check=False,
        )
        for words in commands
    }  # fmt: skip

    assert ends["run"].returncode == 0, ends["run"].stderr
    there = urlsplit(companies.url)
    told = [json.loads(line) for line in heard.read_text().splitlines()]
    assert {tuple(address) for event, address in told if event == "socket.connect"} == {(there.hostname, there.port)}
    assert {name for event, (name, *_) in told if event == "socket.getaddrinfo"} <= {there.hostname}
    assert {event for event, _ in told} <= {"socket.connect", "socket.getaddrinfo"}


def test_security_md_names_what_the_code_may_connect_to():
    """Each kind of place that it lists has its page; the version that gets fixes is this one."""
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    version = re.search(r'__version__ = "(\d+\.\d+)', (ROOT / "bucket_loader" / "__init__.py").read_text("utf-8"))[1]

    assert f"| {version}.x | yes |" in text
    assert all((ROOT / link).exists() for link in re.findall(r"\]\(([^)#:]+)", text))
