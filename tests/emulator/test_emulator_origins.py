"""Pages of other origins read the answers of the API, with credentials or without."""

import pytest
import requests
from emulator_api import PUBLISHABLE

SHOP = "https://shop.example"
KEY = f"publishableKey={PUBLISHABLE}"


def ask(api, method, path, **headers):
    """Call as a page of a shop would."""
    return requests.request(
        method, api.url + path, json=None if method == "GET" else {}, timeout=10, headers={"Origin": SHOP, **headers}
    )


def shared(answer):
    """Return what an answer says of who may read it."""
    names = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary")
    return tuple(answer.headers.get(name) for name in names)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/features/evaluated?{KEY}", 200),
        ("POST", f"/event?{KEY}", 400),
        ("POST", "/bulk", 401),
        ("GET", f"/features?{KEY}", 403),
        ("POST", f"/{PUBLISHABLE}/event", 400),
        ("GET", "/nowhere", 404),
        ("GET", "/bulk", 405),
        ("OPTIONS", "/bulk", 204),
        ("OPTIONS", "/nowhere", 204),
    ],
)
def test_the_page_that_calls_may_read_the_answer(api, method, path, status):
    """Its own origin is named, as credentials want it: on answers, refusals and preflights."""
    answer = ask(api, method, path)

    assert (answer.status_code, *shared(answer)) == (status, SHOP, "true", "origin")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "status", "status": 503, "retry_after": 1}, 503),
        ({"kind": "html", "status": 502}, 502),
        ({"kind": "redirect", "to": "https://elsewhere.example/"}, 307),
        ({"kind": "success_false"}, 200),
        ({"kind": "dripping", "seconds": 0}, 401),
    ],
)
def test_the_page_may_read_what_a_fault_answers(api, fault, status):
    """A page that is to show an error has to see it."""
    api.fault(fault)

    answer = requests.post(f"{api.url}/bulk", headers={"Origin": SHOP}, timeout=10, allow_redirects=False)

    assert (answer.status_code, *shared(answer)) == (status, SHOP, "true", "origin")


def test_a_page_without_an_origin_of_its_own_may_read_too(api):
    """A file, or a frame in a sandbox, calls itself `null`."""
    assert ask(api, "GET", f"/features/enabled?{KEY}", Origin="null").headers["Access-Control-Allow-Origin"] == "null"


def test_a_program_is_told_no_origin(api):
    """Who sends none needs none; that answers differ by origin is said all the same."""
    assert shared(api.get("/features")) == (None, None, "origin")


@pytest.mark.parametrize("path", ["/bulk", "/features/evaluated", f"/{PUBLISHABLE}/user", "/nowhere"])
def test_preflights_allow_what_clients_send_and_need_no_key(api, path):
    """The headers of the SDKs, and those of event sources that are not the browser's own; it is no call of the API."""
    answer = ask(api, "OPTIONS", path, **{"Access-Control-Request-Method": "POST"})

    assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) >= {"GET", "POST"}
    assert set(answer.headers["Access-Control-Allow-Headers"].split(", ")) >= {
        "authorization",
        "bucket-sdk-version",
        "cache-control",
        "content-type",
        "last-event-id",
        "reflag-sdk-version",
    }
    assert api.state()["requests"] == 0
