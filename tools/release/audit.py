"""Known vulnerabilities of what the loader runs with: none, or each explained in `findings.toml`.

A service that answers and knows nothing looks like one that finds nothing: a mirror of an index often has no word of
vulnerabilities. So a package that is known for them is asked about as well.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from steps import ROOT, Failed, LeftOut

FINDINGS = Path(__file__).parent / "findings.toml"
CANARY = ("django", "2.2")  # it has dozens, and is not among ours
OUT_OF_REACH = re.compile(
    r"ConnectionError|ServiceError|Max retries|Name or service|timed out|Failed to (establish|resolve)", re.IGNORECASE
)
PATIENCE_S = 180


def audit(release):
    """Ask the vulnerability service about each package of constraints.txt."""
    asked = release.folder / "asked.txt"
    asked.write_text(f"{(ROOT / 'constraints.txt').read_text('utf-8')}{'=='.join(CANARY)}\n", "utf-8")
    command = [sys.executable, "-m", "pip_audit", "--requirement", asked, "--no-deps", "--disable-pip",
               "--format", "json", "--progress-spinner", "off", "--timeout", "15"]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise LeftOut(f"no answer of the vulnerability service in {PATIENCE_S} s") from None
    if not done.stdout.startswith("{"):
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        if OUT_OF_REACH.search(done.stderr):
            raise LeftOut(f"the vulnerability service is out of reach from here: {said[0][:160]}")
        raise Failed(f"pip-audit said: {said[0]}")
    explained = tomllib.loads(FINDINGS.read_text("utf-8"))["explained"]
    return judged(json.loads(done.stdout)["dependencies"], explained)


def judged(packages, explained):
    """Hold what was found against what is explained; an explanation that nothing needs any more is a failure too."""
    known = {one["name"]: one.get("vulns") for one in packages}
    if not known.pop(CANARY[0], None):
        raise LeftOut(
            "the index that is asked from here knows of no vulnerabilities, not even of those of an old Django"
        )
    if unasked := sorted(name for name, found in known.items() if found is None):
        raise Failed(f"not known to the service: {', '.join(unasked)}")
    found = {one["id"]: name for name, listed in known.items() for one in listed}
    if left := {name: package for name, package in found.items() if name not in explained}:
        raise Failed(f"not explained in {FINDINGS.name}: {left}")
    if over := sorted(set(explained) - set(found)):
        raise Failed(f"explained in {FINDINGS.name}, and found no more: {over}")
    return f"{len(known)} packages of constraints.txt: {len(found)} findings, each explained"
