"""`emulator --features-from`: the definitions of a real environment, in a file for git."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
import requests
from click.testing import CliRunner
from workplace import KEY

from bucket_loader.cli.commands import main
from bucket_loader.runs import save_features

PUBLISHABLE = "pub_test_0123456789"  # the emulator's


def feature(key, *, value=True, **members):
    """Return a feature as it is put; members that nobody here knows stay in it."""
    rule = {"filter": {"type": "constant", "value": value}}
    return {"key": key, "targeting": {"version": 1, "rules": [rule]}, "createdAt": "2026-01-01T00:00:00Z", **members}


@pytest.fixture
def real(emulator):
    """An emulator in the place of the real API, with two features."""
    emulator.call("PUT", "/_emulator/features", {"features": [feature("b", stage={"name": "gá"}), feature("a")]})
    yield emulator
    emulator.call("PUT", "/_emulator/features", {"features": []})


def save(real, file, key=KEY):
    """Save the definitions; return what is told."""
    return save_features(real.url, file, {"BUCKET_SECRET_KEY": key})


def command(real, file, *words, **variables):
    """Run the command; it ends by itself only where something is wrong."""
    said = ["emulator", "--port", "0", "--features-from", real.url, "--features", str(file), *words]
    return CliRunner().invoke(main, said, env={"BUCKET_SECRET_KEY": KEY, **variables})


def test_the_emulator_begins_with_what_it_has_read(real, tmp_path):
    """The file is written first, with every member; then it is served under keys of the emulator's own."""
    file = tmp_path / "features.json"
    words = ["--port", "0", "--features", str(file), "--features-from", real.url]
    program = subprocess.Popen([sys.executable, "-m", "bucket_loader", "emulator", *words], text=True,
                               env={**os.environ, "BUCKET_SECRET_KEY": KEY},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    with program:
        started = json.loads(program.stdout.readline())
        headers = {"Authorization": f"Bearer {started['secret_key']}"}
        served = requests.get(f"{started['url']}/features", headers=headers, timeout=10).json()["features"]
        program.send_signal(signal.SIGTERM)
        said = program.stderr.read()

    assert started["secret_key"] != KEY
    assert [one["key"] for one in served] == ["a", "b"]
    assert served[1]["stage"] == {"name": "gá"}
    assert served == json.loads(file.read_bytes())["features"]
    assert said == f"{file}: 2 features\n"
    assert program.returncode == 0


def test_only_what_has_changed_differs(real, tmp_path):
    """Neither order nor version nor a second reading is a difference; what is one is told by its key."""
    file = tmp_path / "features.json"
    save(real, file)
    first, written = file.read_text("utf-8"), file.stat().st_mtime_ns

    reordered = {"createdAt": "2026-01-01T00:00:00Z", "stage": {"name": "gá"}, **feature("b")}
    real.call("PUT", "/_emulator/features", {"features": [feature("a"), reordered]})
    assert save(real, file) == f"{file}: 2 features; nothing has changed"
    assert (file.read_text("utf-8"), file.stat().st_mtime_ns) == (first, written)
    real.call("PUT", "/_emulator/features", {"features": [feature("c"), feature("a", value=False)]})
    assert save(real, file) == f"{file}: 2 features; new c; changed a; gone b"

    assert "flagStateVersion" not in first
    assert first.endswith("}\n")
    assert '"gá"' in first
    assert [line for line in first.splitlines() if '"key"' in line] == ['      "key": "a",', '      "key": "b",']


@pytest.mark.parametrize("held", ["", "[]", '{"name": "app"}', '{"features": {}}x', '{"features": [1]}', b"\xff\x00"])
def test_a_file_that_holds_something_else_is_not_replaced(real, tmp_path, held):
    """A mistyped name must not cost another file; one with definitions is replaced, since git has the old ones."""
    file = tmp_path / "package.json"
    file.write_bytes(held if isinstance(held, bytes) else held.encode())

    result = command(real, file)

    assert result.exit_code == 2
    assert "holds no definitions of features, and is not replaced" in result.stderr
    assert file.read_bytes() == (held if isinstance(held, bytes) else held.encode())


@pytest.mark.parametrize("key", ["sec_wrong_0123456789abcdef01", PUBLISHABLE])
def test_a_key_that_is_not_taken_is_exit_5(real, tmp_path, key):
    """An unknown key, and the publishable one, which may not read definitions; the key is not shown."""
    result = command(real, tmp_path / "features.json", BUCKET_SECRET_KEY=key)

    assert result.exit_code == 5
    assert "secret key" in result.stderr
    assert key not in result.output
    assert not (tmp_path / "features.json").exists()


def test_without_a_key_the_variable_is_named(real, tmp_path):
    """There is no other place for the key: it would stand in the history of a shell."""
    result = command(real, tmp_path / "features.json", BUCKET_SECRET_KEY="")

    assert (result.exit_code, "BUCKET_SECRET_KEY is not set" in result.stderr) == (2, True)


def test_without_a_file_there_is_nothing_to_write(real):
    """`--features` says which."""
    result = CliRunner().invoke(main, ["emulator", "--features-from", real.url], env={"BUCKET_SECRET_KEY": KEY})

    assert (result.exit_code, "--features FILE" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [("front.bucket.co", 2, "is not a URL"), ("http://front.bucket.co", 2, "must be https"),
     ("https://a:b@front.bucket.co", 2, "must not hold a user"), ("FREE", 75, "nothing listens at"),
     ("REAL/nowhere", 5, "check the address in --features-from"), ("REAL/_emulator/state#", 2, "fragment")],
)  # fmt: skip
def test_an_address_that_is_not_buckets_is_told(real, tmp_path, url, code, said):
    """No URL, one that would carry the key in the clear, nobody there, and something else there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = url.replace("FREE", f"http://127.0.0.1:{free.getsockname()[1]}").replace("REAL", real.url)
        result = command(real, tmp_path / "features.json", "--features-from", url)

    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert KEY not in result.output


def test_a_file_that_cannot_be_written_is_named(real, tmp_path):
    """With exit 2: its folder is not there, or it is one."""
    for file in (tmp_path / "nowhere" / "features.json", tmp_path):
        result = command(real, file)

        assert result.exit_code == 2, result.stderr
        assert str(file) in result.stderr
