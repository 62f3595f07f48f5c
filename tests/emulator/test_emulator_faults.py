import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
from emulator_api import PUBLISHABLE

from bucket_loader.emulator.faults.order import Faults

BULK = [{"type": "user", "userId": str(number)} for number in range(10)]


def raw(api, path="/bulk", body=b'[{"type":"user","userId":"u"}]', read_s=1.0):
    """Send one request by hand and return every byte that comes back within a time."""
    address = urlsplit(api.url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.endpoint.secret_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head.encode() + body)
        received, end = b"", time.monotonic() + read_s
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                piece = connection.recv(65_536)
            except TimeoutError:
                break
            if not piece:
                return received, True
            received += piece
        return received, False


@pytest.mark.parametrize("status", [400, 401, 403, 408, 413, 429, 500, 502, 503, 504])
def test_status_answers_with_it_and_applies_nothing(api, status):
    """A status comes in the API's envelope, with Retry-After when asked for."""
    api.fault({"kind": "status", "status": status, "retry_after": 7})

    answer = api.post("/bulk", BULK)

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.json()["success"] is False
    assert api.state()["users"] == 0
    assert (api.state()["requests"], api.state()["refused"]) == (1, 1)


@pytest.mark.parametrize("wait", [0.5, "soon", "Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_retry_after_may_be_anything(api, wait):
    """A Retry-After is sent as it is written, also one that makes no sense."""
    api.fault({"kind": "status", "status": 503, "retry_after": wait})

    assert api.post("/bulk", BULK).headers["Retry-After"] == str(wait)


def test_a_status_without_body_has_none(api):
    """204 answers with nothing after its head."""
    api.fault({"kind": "status", "status": 204})

    assert api.post("/bulk", BULK).content == b""


def test_latency_waits_then_goes_on(api):
    """The call is answered, later, and others are not held up by it."""
    api.fault({"kind": "latency", "seconds": 0.6, "times": 1})
    begun = time.monotonic()

    with ThreadPoolExecutor(1) as other:
        slow = other.submit(api.post, "/bulk", BULK)
        time.sleep(0.1)
        assert requests.get(f"{api.url}/_emulator/state", timeout=5).json()["users"] == 0
        assert slow.result().json() == {"success": True}

    assert time.monotonic() - begun >= 0.6
    assert api.state()["users"] == 10


@pytest.mark.parametrize(("kind", "users"), [("cut_before", 0), ("cut_after", 10)])
def test_cuts_close_without_an_answer(api, kind, users):
    """The connection closes with not one byte sent: before anything was applied, or after."""
    api.fault({"kind": kind})

    with pytest.raises(requests.ConnectionError):
        api.post("/bulk", BULK)

    assert api.state()["users"] == users
    assert (api.state()["requests"], api.state()["refused"]) == (1, 0)
    assert raw(api) == (b"", True)
    assert api.get("/_emulator/requests").json()["requests"][0]["fault"] == kind


def test_truncated_stops_in_the_middle(api):
    """The answer is shorter than its Content-Length, and the call was applied."""
    api.fault({"kind": "truncated"})

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        api.post("/bulk", BULK)

    assert api.state()["users"] == 10
    received, is_closed = raw(api)
    assert b"content-length: 16" in received
    assert received.endswith(b'\r\n\r\n{"succes')
    assert is_closed


def test_endless_never_ends(api):
    """The answer goes on for as long as it is read, and the call was applied."""
    api.fault({"kind": "endless"})

    received, is_closed = raw(api, read_s=0.5)

    assert b'{"success":true' in received
    assert len(received) > 500_000
    assert not is_closed
    assert api.state()["users"] == 1


def test_dripping_sends_byte_by_byte(api):
    """The answer comes one byte at a time, whole in the end, and the call was applied."""
    api.fault({"kind": "dripping", "seconds": 0.02})
    begun = time.monotonic()

    assert api.post("/bulk", BULK).json() == {"success": True}

    assert time.monotonic() - begun >= 16 * 0.02
    assert api.state()["users"] == 10


def test_dripping_survives_a_caller_who_leaves(api):
    """A caller who hangs up in the middle harms nobody."""
    api.fault({"kind": "dripping", "seconds": 0.05, "times": 1})

    received, _ = raw(api, read_s=0.2)

    assert 0 < len(received.partition(b"\r\n\r\n")[2]) < 16
    assert api.post("/bulk", BULK).status_code == 200


def test_success_false_is_a_200_that_failed(api):
    """The status is 200, the body says otherwise, and nothing was applied."""
    api.fault({"kind": "success_false"})

    answer = api.post("/bulk", BULK)

    assert (answer.status_code, answer.json()["success"]) == (200, False)
    assert api.state()["users"] == 0


def test_html_is_a_page(api):
    """A web page comes with 200, and nothing was applied."""
    api.fault({"kind": "html"})

    answer = api.post("/bulk", BULK)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")
    assert api.state()["users"] == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_points_elsewhere(api, status):
    """The answer names another place, and nothing was applied."""
    api.fault({"kind": "redirect", "to": "https://example.test/bulk?x=1", "status": status})

    answer = api.session.post(f"{api.url}/bulk", json=BULK, allow_redirects=False, timeout=5)

    assert (answer.status_code, answer.headers["Location"]) == (status, "https://example.test/bulk?x=1")
    assert api.state()["users"] == 0


def test_partial_400_applies_half(api):
    """The first half is applied and in the journal, and the answer is a 400 that names nobody."""
    api.fault({"kind": "partial_400"})

    answer = api.post("/bulk", BULK[:5])

    assert (answer.status_code, answer.json()["error"]["validationErrors"]) == (400, [])
    assert [line["item"]["userId"] for line in api.journal()] == ["0", "1"]
    assert api.state()["users"] == 2


@pytest.mark.parametrize(("path", "document"), [("/user", {"userId": "u"}), ("/bulk", BULK[:1]), ("/bulk", [{}] * 4)])
def test_partial_400_of_one_or_of_refused_items_applies_none(api, path, document):
    """One item has no half, and what is invalid is not applied in part."""
    api.fault({"kind": "partial_400"})

    assert api.post(path, document).status_code == 400
    assert api.journal() == []


class HandClock:
    """A clock that a test moves."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        """Return the time that the test has set."""
        return self.now_s


class NotedCall:
    """A call without a connection, which notes how it ends."""

    def __init__(self):
        self.method, self.path, self.is_write = "POST", "/bulk", True
        self.body = json.dumps(BULK).encode()
        self.fault = None
        self.end = None

    async def reply(self, answer):
        """Note an answer."""
        self.end = (answer.status, dict(answer.headers).get(b"retry-after"))

    async def cut(self):
        """Note that the connection was closed."""
        self.end = "cut"


def end_of_a_call(faults):
    """Return how a call ends that meets these faults; None when it goes on."""
    call = NotedCall()
    ended = asyncio.run(faults.meet(call))
    assert ended is (call.end is not None)
    return call.end


def test_rate_limit_counts_records():
    """Records beyond the burst get a 429 with whole seconds to wait, and pass after them."""
    clock = HandClock()
    faults = Faults.read({"faults": [{"kind": "rate_limit", "records_per_second": 5, "burst": 25}]}, clock)

    assert [end_of_a_call(faults) for _ in range(3)] == [None, None, (429, b"1")]
    clock.now_s += 0.99
    assert end_of_a_call(faults) == (429, b"1")
    clock.now_s += 0.01
    assert end_of_a_call(faults) is None
    assert faults.shown().faults[0]["struck"] == 2


def test_rate_limit_lets_a_large_call_through_a_full_bucket(api):
    """A call larger than the burst is not refused for ever, but costs what it holds."""
    api.fault({"kind": "rate_limit", "records_per_second": 1, "burst": 5})

    assert api.post("/bulk", BULK).status_code == 200
    refused = api.post("/user", {"userId": "u"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "6")


def test_outage_has_a_beginning_and_an_end():
    """Between its two moments every connection is closed without an answer."""
    clock = HandClock()
    faults = Faults.read({"faults": [{"kind": "outage", "from_s": 30, "to_s": 90}]}, clock)

    ends = []
    for now_s in (100, 129.9, 130, 189.9, 190):
        clock.now_s = now_s
        ends.append(end_of_a_call(faults))

    assert ends == [None, None, "cut", "cut", None]
    assert faults.shown().age_seconds == 90


def test_an_outage_closes_connections_without_an_answer(api):
    """Over a real connection: not a byte comes, and nothing was applied."""
    api.fault({"kind": "outage", "to_s": 60})

    assert raw(api) == (b"", True)
    assert api.state()["users"] == 0


def test_poison_strikes_its_text_every_time(api):
    """A body that contains the text gets a 500, however often it comes; others pass."""
    api.fault({"kind": "poison", "match": '"userId": "ü7"'})
    bad = '[{"type": "user", "userId": "ü7"}, {"type": "user", "userId": "8"}]'.encode()

    assert [api.post_bytes("/bulk", bad).status_code for _ in range(3)] == [500, 500, 500]
    assert api.post("/bulk", BULK).status_code == 200
    assert api.state()["users"] == 10


def outcomes(api, calls=200):
    """Return the statuses of that many calls."""
    return [api.post("/user", {"userId": "u"}).status_code for _ in range(calls)]


def test_rates_are_drawn_from_the_seed(api):
    """The same seed strikes the same calls, another seed others, at about the rate that was ordered."""
    runs = []
    for seed in (1, 1, 2):
        api.fault(
            {"kind": "status", "status": 500, "rate": 0.3}, {"kind": "status", "status": 503, "rate": 0.1}, seed=seed
        )
        runs.append(outcomes(api))

    assert runs[0] == runs[1] != runs[2]
    assert 40 <= runs[0].count(500) <= 80
    assert 5 <= runs[0].count(503) <= 30


def test_faults_can_run_out(api):
    """With `times`, a fault strikes so often and no more; the next one takes over."""
    api.fault({"kind": "status", "status": 500, "times": 2}, {"kind": "status", "status": 503, "times": 1})

    assert outcomes(api, 4) == [500, 500, 503, 200]


@pytest.mark.parametrize(
    ("on", "struck"),
    [
        ("GET /features", ["GET /features"]),
        ("/features/events", ["POST /features/events", f"POST /{PUBLISHABLE}/features/events"]),
        ("/{key}/features/events", [f"POST /{PUBLISHABLE}/features/events"]),
        ("GET /features/enabled", ["GET /features/enabled", f"GET /{PUBLISHABLE}/features/enabled"]),
        ("GET /bulk", []),
        ("/nowhere", ["GET /nowhere"]),
        (None, ["POST /bulk", "POST /features/events", f"POST /{PUBLISHABLE}/features/events"]),
    ],
)
def test_a_fault_can_be_for_one_path(api, on, struck):
    """A method and a path, or only a path, on the legacy API too; without it, for whatever brings records."""
    api.fault({"kind": "status", "status": 418, **({} if on is None else {"on": on})})
    calls = ["GET /features", "GET /features/enabled", "GET /nowhere", "POST /bulk", "POST /features/events",
             f"GET /{PUBLISHABLE}/features/enabled", f"POST /{PUBLISHABLE}/features/events"]  # fmt: skip

    answers = [api.session.request(*call.replace(" ", f" {api.url}").split(), json=[], timeout=5) for call in calls]

    assert sorted(call for call, answer in zip(calls, answers, strict=True) if answer.status_code == 418) == struck


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"kind": "success_false"}, (200, b'{"success":false')),
        ({"kind": "html"}, (200, b"<!doctype")),
        ({"kind": "partial_400"}, (400, b'{"success":false')),
        ({"kind": "redirect", "to": "/"}, (307, b"")),
        ({"kind": "dripping", "seconds": 0}, (200, b'{"features":')),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else "",
)
def test_every_fault_can_strike_a_reading(api, fault, answer):
    """What a fault does to a call that brings records, it does to one that brings none."""
    api.fault({**fault, "on": "GET /features"})

    received = api.session.get(f"{api.url}/features", timeout=5, allow_redirects=False)

    assert (received.status_code, received.content[: len(answer[1])]) == answer


@pytest.mark.parametrize("kind", ["cut_before", "cut_after", "truncated"])
def test_a_reading_can_be_cut(api, kind):
    """Before its answer, or in the middle of it."""
    api.fault({"kind": kind, "on": "GET /features"})

    with pytest.raises(requests.RequestException):
        api.get("/features")


def test_a_rate_limit_counts_a_reading_as_one_record(api):
    """The first call empties the bucket, the next is too much."""
    api.fault({"kind": "rate_limit", "records_per_second": 0.01, "burst": 1, "on": "GET /features"})

    assert [api.get("/features").status_code for _ in range(2)] == [200, 429]


def test_calls_that_a_fault_is_not_for_change_no_chance(api):
    """The same calls of its path meet it, whatever else is called in between."""
    order = {"kind": "status", "status": 500, "rate": 0.5, "on": "/user"}
    api.fault(order)
    without = outcomes(api, 20)
    api.fault(order)
    between = [outcomes(api, 1)[0] for _ in range(20) if api.get("/features").ok and api.post("/bulk", BULK).ok]

    assert without == between
    assert set(without) == {200, 500}


def test_faults_spare_everything_but_posts_of_the_api(api):
    """GET /features, unknown paths, preflights and the prefix meet no fault."""
    api.fault({"kind": "cut_before"})

    assert api.get("/features").status_code == 200
    assert api.post("/nowhere", {}).status_code == 404
    assert api.session.options(f"{api.url}/bulk", timeout=5).status_code == 204
    assert api.get("/_emulator/state").status_code == 200


@pytest.mark.parametrize("document", [{}, {"faults": []}, {"seed": 3}])
def test_an_empty_order_ends_all_faults(api, document):
    """Ordering nothing makes everything well again."""
    api.fault({"kind": "html"})

    assert api.put("/_emulator/faults", document).status_code == 200
    assert api.post("/bulk", BULK).json() == {"success": True}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "object"),
        ({"fault": []}, "fault"),
        ({"faults": {}}, "faults"),
        ({"faults": [], "seed": "x"}, "seed"),
        ({"faults": [{}]}, "kind"),
        ({"faults": [{"kind": "explode"}]}, "cut_before, dripping"),
        ({"faults": [{"kind": "html"}, {"kind": "status"}]}, "faults[1]"),
        ({"faults": [{"kind": "status", "status": 99}]}, "status"),
        ({"faults": [{"kind": "status", "status": "500"}]}, "status"),
        ({"faults": [{"kind": "status", "status": 500, "retry_after": "a\r\nb"}]}, "retry_after"),
        ({"faults": [{"kind": "html", "rate": 1.5}]}, "rate"),
        ({"faults": [{"kind": "html", "rate": -0.1}]}, "rate"),
        ({"faults": [{"kind": "html", "often": 1}]}, "often"),
        ({"faults": [{"kind": "html", "on": "get /features"}]}, "on"),
        ({"faults": [{"kind": "html", "on": "features"}]}, "on"),
        ({"faults": [{"kind": "latency"}]}, "seconds"),
        ({"faults": [{"kind": "latency", "seconds": -1}]}, "seconds"),
        ({"faults": [{"kind": "redirect"}]}, "to"),
        ({"faults": [{"kind": "redirect", "to": "a\n"}]}, "to"),
        ({"faults": [{"kind": "rate_limit", "records_per_second": 0}]}, "records_per_second"),
        ({"faults": [{"kind": "outage"}]}, "to_s"),
        ({"faults": [{"kind": "poison"}]}, "match"),
        ({"faults": [{"kind": "poison", "match": ""}]}, "match"),
    ],
)
def test_a_malformed_order_is_refused(api, document, named):
    """A mistake in the order is a 400 that names it, and the faults before it stay."""
    api.fault({"kind": "html"})

    answer = api.put("/_emulator/faults", document)

    assert answer.status_code == 400
    assert named in answer.json()["error"]["validationErrors"][0]["message"]
    assert api.post("/bulk", BULK).text.startswith("<!doctype")


def test_an_order_that_is_not_json_is_refused(api):
    """Also what cannot be read at all is a 400."""
    assert api.session.put(f"{api.url}/_emulator/faults", data=b"{", timeout=5).status_code == 400
    assert api.session.put(f"{api.url}/_emulator/faults", data=b'{"\xff":1}', timeout=5).status_code == 400
