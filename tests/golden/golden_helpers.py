"""The bytes that a pipeline would send, as digests to compare and as records to read."""

import hashlib
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

from bucket_loader.planning import plan_file as plan

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent
NAMES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.yaml"))
UPDATE = os.environ.get("BUCKET_LOADER_UPDATE_GOLDEN") == "1"

SHOWN = 3
"""Records of each stream that the readable file has."""

ARGUMENTS = ["--as-of", "2026-01-01T00:00:00Z",
             "--interval-start", "2025-01-01T00:00:00Z", "--interval-end", "2026-01-01T00:00:00Z"]  # fmt: skip


def flattening(name: str, folder: Path) -> Path:
    """Write a pipeline that sends lists item by item, beside the same exports."""
    (folder / "sample_data").symlink_to(ROOT / "sample_data")
    (folder / "pipelines").mkdir()
    text = (ROOT / "pipelines" / f"{name}.yaml").read_text("utf-8").replace("arrays: keep", "arrays: flatten")
    (file := folder / "pipelines" / f"{name}.yaml").write_text(text, "utf-8")
    return file


def planned(name: str, state: Path, file: Path | None = None, **environment: str) -> plan.Plan:
    """Plan a pipeline in a process of its own, with some of its environment set on purpose."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("BUCKET_", "WAREHOUSE_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "bucket_loader", "plan", file or ROOT / "pipelines" / f"{name}.yaml", *ARGUMENTS,
         "--state", state, "--json", "--quiet"],
        cwd=ROOT, env={**inherited, "BUCKET_SECRET_KEY": "unused", **environment},
        capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return plan.read(Path(json.loads(ended.stdout.splitlines()[-1])["plan"]), verify=True)


def digests(found: plan.Plan) -> str:
    """Return the sha256 of each request's body, in order, a line for each: digest, stream, records."""
    lines = []
    for stream in found.manifest.streams:
        for sequences, records in found.chunks(stream):
            body = b"[" + b",".join(records) + b"]"
            lines.append(f"{hashlib.sha256(body).hexdigest()}  {stream.name} {sequences[0]}-{sequences[-1]}\n")
    return "".join(lines)


def first_records(found: plan.Plan) -> str:
    """Return the first records of each stream, a line for each, as they are sent."""
    shown = []
    for stream in found.manifest.streams:
        records = (record for _, chunk in found.chunks(stream) for record in chunk)
        shown += [f"{record.decode()}\n" for record in islice(records, SHOWN)]
    return "".join(shown)
