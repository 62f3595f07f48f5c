"""The check of a release: what is committed passes it, and it finds what is planted."""

import os
import re
import subprocess
import sys
import zipfile

import pins
import pytest
from archives import NEVER, SECRETS
from audit import judged
from steps import Failed, LeftOut
from tiers import RELEASE, ROOT

from bucket_loader import __version__

CANARY = {"name": "django", "version": "2.2", "vulns": [{"id": "PYSEC-1"}]}


def checked(*words):
    """Run the check; gives its exit code, and how each step ended."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [RELEASE / "bin" / "python", "tools/release/check.py", *words], cwd=ROOT, env=variables, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    return done.returncode, re.findall(r"^(ok|failed|left out) +(\w+)", done.stdout, re.MULTILINE)


@pytest.mark.release
def test_the_last_commit_can_be_released(tmp_path):
    """Two builds and that of the source archive are one, nothing is missing, and the demo runs from the wheel alone."""
    steps = ["build", "from_sdist", "metadata", "contents", "record", "bill"]

    code, ends = checked("--keep", str(tmp_path), *(word for step in steps for word in ("--only", step)))

    assert (code, ends) == (0, [("ok", step) for step in ["version", *steps]])
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"bucket_loader-{__version__}-py3-none-any.whl"
    site, place = tmp_path / "site", tmp_path / "place"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    place.mkdir()
    demo = subprocess.run(
        [sys.executable, "-m", "bucket_loader", "demo", "--no-keep"], cwd=place, check=False, text=True,
        capture_output=True, env={**os.environ, "PYTHONPATH": str(site)},
    )  # fmt: skip
    assert demo.returncode == 0, demo.stderr
    assert "1,190 users" in demo.stderr
    assert list(place.iterdir()) == []


def test_what_is_no_part_of_a_release_is_found():
    """Tests, caches and secrets; names that only look so are none."""
    planted = [
        "tests/a.py",
        "bucket_loader/__pycache__/a.pyc",
        "bucket_loader/.env",
        "a/.mypy_cache/b",
        "bucket_loader/a.py~",
    ]
    sound = ["bucket_loader/testing/read.py", "bucket_loader/runs/from_python/load.py", "constraints.txt", ".gitignore"]

    assert [name for name in planted + sound if NEVER.search(name)] == planted
    assert SECRETS.search(b"key = 'sec_prod_" + b"a1b2c3d4e5'")
    assert SECRETS.search(b"-----BEGIN " + b"RSA PRIVATE KEY-----")
    assert not SECRETS.search(b"sec_rehearsal_0123456789")


@pytest.mark.parametrize(
    ("packages", "explained", "end"),
    [
        ([], {}, LeftOut),  # the mirror has no word of any vulnerability
        ([{"name": "django", "skip_reason": "not found"}], {}, LeftOut),
        ([CANARY, {"name": "a", "skip_reason": "not found"}], {}, Failed),
        ([CANARY, {"name": "a", "vulns": [{"id": "X"}]}], {}, Failed),
        ([CANARY, {"name": "a", "vulns": []}], {"X": "why"}, Failed),
    ],
    ids=["no answer", "a mirror", "not asked", "a finding", "explained in vain"],
)
def test_an_audit_never_passes_in_silence(packages, explained, end):
    """What was not asked is no clean answer."""
    with pytest.raises(end):
        judged(packages, explained)


def test_an_audit_passes_when_each_finding_is_explained():
    """The line counts them."""
    packages = [CANARY, {"name": "a", "vulns": [{"id": "X"}]}, {"name": "b", "vulns": []}]

    assert judged(packages, {"X": "never called"}) == "2 packages of constraints.txt: 1 findings, each explained"


@pytest.mark.parametrize(
    ("pin", "end", "said"),
    [
        ("v6", Failed, "not by digest"),
        ("main # v6.0.0", Failed, "not by digest"),
        ("DIGEST-NOT-SET # v6.0.0", LeftOut, "actions/checkout v6.0.0"),
        (f"{'a' * 40}", Failed, "not by digest"),
        (f"{'a' * 40} # v6.0.0", None, "1 uses of actions"),
    ],
)
def test_actions_are_named_by_their_digest(tmp_path, monkeypatch, pin, end, said):
    """A tag is refused, a place that is not filled in yet is named, a digest without its version is refused."""
    (tmp_path / "a.yml").write_text(f"steps:\n  - uses: actions/checkout@{pin}\n")
    monkeypatch.setattr(pins, "WORKFLOWS", tmp_path)

    if end is None:
        assert said in pins.pins(None)
    else:
        with pytest.raises(end, match=re.escape(said)):
            pins.pins(None)


def test_the_workflows_give_each_job_no_more_than_it_needs():
    """No right by default, no stored secret, and none to write but where it is attested and published."""
    release = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    ci = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")

    for text in (release, ci):
        assert "\npermissions: {}\n" in text
        assert "secrets." not in text
        assert "pull_request_target" not in text
    assert re.findall(r"permissions: \{(.+)\}", ci) == ["contents: read"] * 2
    assert re.findall(r"permissions: \{(.+)\}", release) == [
        "contents: read", "id-token: write, attestations: write", "id-token: write",
    ]  # fmt: skip


def test_the_version_stands_in_one_place():
    """The package has it; what names it besides is held against it here."""
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text("utf-8")
    named = re.findall(r"bucket-loader:(\d[\d.]*)", (ROOT / "deploy/cronjob.yaml").read_text("utf-8"))
    assert named == [__version__]


def test_the_page_lists_the_steps():
    """All of them, in their order."""
    steps = re.findall(r'^    "(\w+)": \w+,$', (ROOT / "tools/release/check.py").read_text("utf-8"), re.MULTILINE)
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/releasing.md").read_text("utf-8"), re.MULTILINE)

    assert listed == steps
