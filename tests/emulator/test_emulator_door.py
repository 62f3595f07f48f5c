"""Who is let in: web pages of elsewhere can reach a laptop's ports, and what is loaded may be about real customers."""

import http.client
import json
from urllib.parse import urlsplit

import pytest

from bucket_loader.emulator.http.door import Door
from bucket_loader.emulator.http.server import running


def ask(url, method, path, **headers):
    """Call with these headers; return the answer and its body."""
    place = urlsplit(url)
    with_host = {"host": place.netloc, **headers}
    calling = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    calling.putrequest(method, path, skip_host=True)
    for name, value in {**with_host, "content-length": "0"}.items():
        calling.putheader(name, value)
    calling.endheaders()
    answer = calling.getresponse()
    body = answer.read()
    calling.close()
    return answer, body


@pytest.mark.parametrize("path", ["/", "/features", "/_emulator/state", "/_emulator/journal", "/nowhere"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "localhost.evil.example", "127.0.0.1.evil.test",
                                  "10.0.0.1", "[2001:db8::1]:80", "", "xlocalhost"])  # fmt: skip
def test_on_loopback_no_other_name_is_answered(emulator, path, host):
    """A page whose own name stands for 127.0.0.1 reads nothing, wherever it looks."""
    answer, body = ask(emulator.url, "GET", path, host=host)

    assert answer.status == 421
    assert json.loads(body)["success"] is False


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.8.7:1", "[::1]:8123", "localhost."])
def test_this_machines_own_names_are_answered(emulator, host):
    """`localhost` and every loopback address, with any port."""
    assert ask(emulator.url, "GET", "/_emulator/state", host=host)[0].status == 200


def test_a_name_can_be_allowed():
    """For a name of one's own in /etc/hosts; others stay refused."""
    with running(allow_hosts=["Bucket.test"]) as started:
        found = [ask(started.url, "GET", "/_emulator/state", host=host)[0].status
                 for host in ("bucket.test:99", "other.test")]  # fmt: skip

    assert found == [200, 421]


def test_beyond_loopback_every_name_is_answered():
    """In a container it is called by the names of others."""
    scope = {"headers": [(b"host", b"emulator:8123")], "server": ("172.17.0.2", 8123), "method": "GET"}

    assert Door().refuse(scope, inside=True) is None
    assert Door().refuse(scope | {"server": ("::ffff:127.0.0.1", 8123)}, inside=True) is not None


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/_emulator/reset"), ("PUT", "/_emulator/faults"),
                                              ("PUT", "/_emulator/features")])  # fmt: skip
def test_another_origin_changes_nothing(emulator, method, path, origin):
    """A page elsewhere can send without being able to read: it is refused, other ports of this machine too."""
    answer, _ = ask(emulator.url, method, path, origin=origin)

    assert answer.status == 403


def test_the_own_page_and_programs_may_change_it(emulator):
    """The page's own origin is its host; a program has none."""
    own = {"origin": emulator.url}

    assert ask(emulator.url, "POST", "/_emulator/reset", **own)[0].status == 200
    assert ask(emulator.url, "POST", "/_emulator/reset")[0].status == 200


@pytest.mark.parametrize("path", ["/", "/_emulator/state", "/_emulator/journal", "/_emulator/users/nobody",
                                  "/_emulator/page/page.js", "/_emulator/nowhere"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "DELETE"])
def test_nothing_inside_is_readable_across_origins(emulator, method, path):
    """No answer allows another origin to read it, or to take it for a script or a picture."""
    answer, _ = ask(emulator.url, method, path, **({"origin": "https://evil.example"} if method == "GET" else {}))

    if path != "/" or method == "GET":
        assert answer.headers["access-control-allow-origin"] is None
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
