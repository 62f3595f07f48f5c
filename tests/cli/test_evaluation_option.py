"""`--evaluation` of the two commands that start an emulator: real processes, asked over HTTP."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest

FEATURES = {
    "features": [{"key": "f", "targeting": {"version": 1, "rules": [{"filter": {"type": "constant", "value": True}}]}}]
}
COMMAND = [sys.executable, "-m", "bucket_loader"]


def has_errors(url, key):
    """Whether answers of an emulator tell of errors, as those of 2026 do."""
    put = urllib.request.Request(f"{url}/_emulator/features", json.dumps(FEATURES).encode(), method="PUT")  # noqa: S310
    urllib.request.urlopen(put).close()  # noqa: S310
    asked = urllib.request.Request(f"{url}/features/evaluated", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        return "evaluationErrors" in json.load(answer)["features"]["f"]


def test_the_emulator_evaluates_as_asked():
    """That of 2025 tells of no errors."""
    words = ["emulator", "--port", "0", "--evaluation", "2025"]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE) as process:
        at = json.loads(process.stdout.readline())
        try:
            assert has_errors(at["url"], at["secret_key"]) is False
        finally:
            process.terminate()


@pytest.mark.long
def test_a_rehearsal_starts_the_emulator_that_is_asked_for(companies):
    """Who looks around in it afterwards finds that of 2025."""
    words = [*COMMAND, "rehearse", "--keep", "--evaluation", "2025", "--allow-rejected", "1", "pipeline.yaml"]
    with subprocess.Popen(words, cwd=companies.folder, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if "the emulator stays at" in line)
        try:
            (url,) = re.search(r"stays at (\S+)", line).groups()
            key = next(line.strip() for line in process.stderr if line.strip().startswith("sec_"))
            assert has_errors(url, key) is False
        finally:
            process.terminate()
            process.stderr.read()
