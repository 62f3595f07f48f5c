import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from emulator_api import Api

from bucket_loader.emulator.http import server
from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.store.keys import Keys
from bucket_loader.model.errors import StateError, UsageError

ROOT = Path(server.__file__).parents[3]
FEATURE = {"key": "f", "targeting": {"version": 1, "rules": []}}


@contextlib.contextmanager
def started(call="server.serve(port=0)"):
    """Start `serve` the way the command line does, in a process whose every word is heard."""
    program = f"from bucket_loader.emulator.http import server; {call}"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def opened(**options):
    """Run an emulator and return a client for it."""
    with running(**options) as endpoint:
        api = Api(endpoint)
        with api.session:
            yield api


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_and_ends_quietly(number):
    """Standard output is one line of JSON, written once it listens; a signal ends it with 0 and without a word."""
    with started() as process:
        line = json.loads(process.stdout.readline())
        assert set(line) == {"url", "secret_key", "publishable_key"}
        headers = {"Authorization": f"Bearer {line['secret_key']}"}
        assert requests.get(line["url"] + "/features", headers=headers, timeout=5).status_code == 200

        process.send_signal(number)

        assert process.wait(5) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


def struck(url):
    """Return how often the first fault has struck."""
    return requests.get(url + "/_emulator/faults", timeout=5).json()["faults"][0]["struck"]


@pytest.mark.parametrize(
    "fault", [{"kind": "latency", "seconds": 60}, {"kind": "endless"}, {"kind": "dripping", "seconds": 9}]
)
def test_calls_in_flight_do_not_hold_up_the_end(fault):
    """A call that a fault holds is cut, not answered, and the end comes within seconds, quietly."""
    call = f"server._ENDING_S_MAX = 0.2; server.serve(faults={{'faults': [{fault}]}})"
    with started(call) as process:
        line = json.loads(process.stdout.readline())
        address = urlsplit(line["url"])
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            head = f"POST /user?publishableKey={line['publishable_key']} HTTP/1.1\r\nHost: localhost\r\n"
            connection.sendall(head.encode() + b"Content-Length: 2\r\n\r\n{}")
            while not struck(line["url"]):
                time.sleep(0.01)

            process.send_signal(signal.SIGTERM)

            assert process.wait(5) == 0
            assert process.stderr.read() == ""


def test_random_keys_are_readable_and_long():
    """Keys that are made up say what they are, differ, and satisfy the SDKs' length; a key that is given stays."""
    one, other = Keys.random(), Keys.random().with_given(None, "pub_mine")

    assert one.secret.startswith("sec_local_")
    assert one.publishable.startswith("pub_local_")
    assert len(one.secret) > 22
    assert one.secret != other.secret
    assert other.publishable == "pub_mine"


def test_running_leaves_nothing_behind():
    """After the `with`, the process is gone and its pipes are closed."""
    with running() as endpoint:
        assert endpoint.process.poll() is None

    assert endpoint.process.returncode == 0
    assert endpoint.process.stdin.closed
    assert endpoint.process.stdout.closed


def test_running_ends_one_that_died():
    """An emulator that was killed in the meantime is tidied up all the same."""
    with running() as endpoint:
        endpoint.process.kill()
        endpoint.process.wait()

    assert endpoint.process.returncode == -signal.SIGKILL


def test_running_kills_what_will_not_end(monkeypatch):
    """An emulator that is stopped cannot hear SIGTERM, and is killed."""
    monkeypatch.setattr(server, "_KILL_AFTER_S", 0.2)
    with running() as endpoint:
        os.kill(endpoint.process.pid, signal.SIGSTOP)

    assert endpoint.process.returncode == -signal.SIGKILL


def test_a_child_does_not_outlive_its_parent():
    """When the parent is killed, stdin ends, and so does the emulator."""
    with running() as endpoint:
        endpoint.process.stdin.close()

        assert endpoint.process.wait(5) == 0


def test_what_a_parent_writes_does_not_end_it():
    """Only the end of stdin does: a program may share its own with the emulator."""
    with running() as endpoint:
        endpoint.process.stdin.write("a line\n")
        endpoint.process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            endpoint.process.wait(0.3)

        endpoint.process.stdin.close()
        assert endpoint.process.wait(5) == 0


@pytest.mark.parametrize("stdin", ["/dev/null", "a file", None])
def test_a_stdin_that_is_no_pipe_is_a_usage_error(tmp_path, monkeypatch, stdin):
    """Nothing says when it ends; and who starts a service has no other than these."""
    (tmp_path / "a file").touch()
    with contextlib.nullcontext() if stdin is None else (tmp_path / stdin).open() as opened_stdin:
        monkeypatch.setattr("sys.stdin", opened_stdin)

        with pytest.raises(UsageError, match="stdin is no pipe"):
            server.serve(ends_with_stdin=True)


def test_running_says_when_it_could_not_start(capfd):
    """A bad option is an error of ours, and the child says why."""
    with pytest.raises(UsageError), running(faults={"faults": [{"kind": "explode"}]}):
        pass

    assert "explode" in capfd.readouterr().err


def test_features_and_faults_may_be_given_at_the_start(tmp_path):
    """Both come as a document or as the path of one, and a reset brings them back."""
    features = tmp_path / "features.json"
    features.write_text(json.dumps({"features": [FEATURE]}))
    with opened(features=features, faults={"faults": [{"kind": "html", "times": 1}]}) as api:
        assert api.get("/features").json()["features"][0]["key"] == "f"
        assert api.post("/bulk", []).text.startswith("<!doctype")
        assert api.post("/bulk", []).json() == {"success": True}
        api.put("/_emulator/features", {"features": []})
        api.reset()
        assert api.get("/features").json()["features"][0]["key"] == "f"
        assert api.post("/bulk", []).text.startswith("<!doctype")


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"features": 1}'])
def test_a_bad_document_at_the_start_is_a_usage_error(tmp_path, content):
    """A file that is missing, is not JSON, or is malformed is refused before anything listens."""
    file = tmp_path / "features.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(UsageError) as caught:
        server.serve(features=file)

    assert caught.value.hint


def test_a_taken_port_is_a_usage_error():
    """Two emulators cannot have one port."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="cannot listen"):
        server.serve(port=taken.getsockname()[1])


def test_what_is_not_http_gets_json():
    """Noise on the port is refused in the API's envelope."""
    with running() as endpoint:
        address = urlsplit(endpoint.url)
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(b"hello there\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert received.startswith(b"HTTP/1.1 400 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["success"] is False


def test_state_survives_in_a_directory(tmp_path):
    """With a data directory, all that was accepted is there after a restart, even after a kill."""
    data_dir = tmp_path / "new" / "data"
    items = [
        {"type": "company", "companyId": "c", "userId": "u", "attributes": {"name": "C"}},
        {"type": "event", "userId": "u", "event": "e"},
        {"type": "feature-flag-event", "action": "check", "key": "f"},
    ]
    with opened(data_dir=data_dir) as api:
        assert api.post("/bulk", items).status_code == 200
        assert api.post("/user", {}).status_code == 400
        feedback_id = api.post("/feedback", {"userId": "u", "score": 1}).json()["feedbackId"]
        api.put("/_emulator/features", {"features": [FEATURE]})
        before = (api.state(), api.journal(), api.user("u"), api.company("c"), api.get("/features").json())
        api.endpoint.process.kill()

    with opened(data_dir=data_dir) as api:
        after = (api.state(), api.journal(), api.user("u"), api.company("c"), api.get("/features").json())
        # GET /features is itself a call: it was counted once more by the time it was read again.
        before[0]["requests"] += 1
        assert after == before
        api.post("/feedback", {"userId": "u", "score": 2, "feedbackId": feedback_id})
        assert api.state()["feedback"] == 1
        api.reset()

    with opened(data_dir=data_dir) as api:
        assert set(api.state().values()) == {0}
        assert api.journal() == []
        assert api.get("/features").json()["features"] == []


def test_half_of_a_call_survives_as_half(tmp_path):
    """What a fault applied in part is rebuilt in part."""
    with opened(data_dir=tmp_path) as api:
        api.fault({"kind": "partial_400"})
        api.post("/bulk", [{"type": "user", "userId": str(number)} for number in range(6)])

    with opened(data_dir=tmp_path) as api:
        assert api.state()["users"] == len(api.journal()) == 3


def test_one_directory_serves_one_emulator(tmp_path):
    """A second emulator on the same directory is refused, and is not told to remove what the first one holds."""
    with running(data_dir=tmp_path), pytest.raises(StateError, match="is used by another emulator") as refused:
        server.serve(data_dir=tmp_path)

    assert "remove" not in refused.value.hint


def test_a_damaged_file_is_a_state_error(tmp_path):
    """A data file that is something else is refused, and not touched."""
    file = tmp_path / "emulator.db"
    file.write_bytes(b"something else" * 1000)

    with pytest.raises(StateError):
        server.serve(data_dir=tmp_path)

    assert file.read_bytes() == b"something else" * 1000


@pytest.mark.timeout(60)
def test_nothing_is_lost_between_many_connections():
    """Calls from several connections at once are all applied, each once."""
    with opened() as api:
        program = (
            "import sys, requests\n"
            "url, key, start = sys.argv[1], sys.argv[2], int(sys.argv[3])\n"
            "with requests.Session() as session:\n"
            "    for call in range(50):\n"
            "        items = [dict(type='user', userId=f'{start}-{call}-{item}') for item in range(100)]\n"
            "        headers = {'Authorization': 'Bearer ' + key}\n"
            "        assert session.post(url + '/bulk', json=items, headers=headers).status_code == 200\n"
        )
        arguments = [sys.executable, "-c", program, api.url, api.endpoint.secret_key]
        clients = [subprocess.Popen([*arguments, str(start)]) for start in range(4)]

        assert [client.wait(30) for client in clients] == [0] * 4
        assert api.state()["users"] == len(api.journal()) == 20_000
        assert api.state()["requests"] == 200


def test_it_imports_nothing_heavy():
    """The emulator starts without the loader's own machinery."""
    program = (
        "import sys, bucket_loader.emulator.http.server; "
        "print(*sorted({'pandas', 'pyarrow', 'duckdb', 'pydantic', 'requests'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert shown.stdout.split() == []
