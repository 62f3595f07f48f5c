import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET

USER = {"userId": "u1"}
WRITES = {
    "/user": USER,
    "/company": {"companyId": "c1"},
    "/event": {"userId": "u1", "event": "e"},
    "/feedback": {"userId": "u1", "score": 5, "key": "f"},
    "/bulk": [{"type": "user", **USER}],
    "/features/events": [{"action": "check", "key": "f", "evalResult": True}],
}
READS = ("/features/enabled", "/features/evaluated")
SURVEYS = ("/feedback/prompting-init", "/feedback/prompt-events")
LEGACY = {path: document for path, document in WRITES.items() if path != "/bulk"}
BEARER = {"secret": {"Authorization": f"Bearer {SECRET}"}, "publishable": {"Authorization": f"Bearer {PUBLISHABLE}"}}


def send(api, method, path, **parts):
    """Send a request with the credentials that are given and no others."""
    headers, query, document = parts.get("headers"), parts.get("query", ""), parts.get("document")
    return requests.request(method, f"{api.url}{path}{query}", headers=headers, json=document, timeout=10)


@pytest.mark.parametrize(("path", "key"), [("/bulk", "secret"), *((path, "publishable") for path in WRITES)])
def test_either_key_in_the_header_opens_every_write(api, path, key):
    """A POST endpoint takes the secret and the publishable key as a bearer."""
    answer = send(api, "POST", path, headers=BEARER[key], document=WRITES[path])

    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True


@pytest.mark.parametrize("path", WRITES)
def test_the_publishable_key_in_the_query_opens_every_write(api, path):
    """A POST endpoint takes `?publishableKey=`, and ignores other parameters."""
    query = f"?reflag-sdk-version=x&publishableKey={PUBLISHABLE}"

    assert send(api, "POST", path, query=query, document=WRITES[path]).status_code == 200


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("headers", "query"),
    [(BEARER["secret"], ""), (BEARER["publishable"], ""), ({}, f"?publishableKey={PUBLISHABLE}")],
    ids=["secret", "publishable", "query"],
)
def test_any_right_key_reads_features(api, path, headers, query):
    """The features of a context are for the secret key, the publishable one, and the one in the query."""
    assert send(api, "GET", path, headers=headers, query=query).json()["features"] == {}


@pytest.mark.parametrize("path", LEGACY)
def test_the_publishable_key_in_the_path_opens_legacy_writes(api, path):
    """The legacy APIs need no header; one with another key does not matter."""
    for headers in ({}, {"Authorization": "Bearer nobody"}):
        assert send(api, "POST", f"/{PUBLISHABLE}{path}", headers=headers, document=LEGACY[path]).status_code == 200

    assert len(api.journal()) == 2


@pytest.mark.parametrize("path", ["/flags/evaluate", *READS])
def test_the_publishable_key_in_the_path_opens_legacy_reads(api, path):
    """Also the features of a context."""
    assert send(api, "GET", f"/{PUBLISHABLE}{path}").json()["flags"] == {}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        *(("/user", key) for key in (SECRET, "%20", PUBLISHABLE[:-1], f"{PUBLISHABLE}x")),
        *((path, "nobody") for path in (*LEGACY, "/flags/evaluate", *READS)),
    ],
)
def test_another_key_in_the_path_is_401(api, path, key):
    """The secret key is none either: it belongs in the header alone."""
    method = "POST" if path in LEGACY else "GET"

    answer = send(api, method, f"/{key}{path}", headers=BEARER["secret"], document=LEGACY.get(path))

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_API_KEY")
    assert api.journal() == []


@pytest.mark.parametrize("path", ["/bulk", "/features", "/nowhere", ""])
def test_legacy_apis_lack_the_rest(api, path):
    """There is no bulk and no list of definitions behind a key in the path."""
    assert send(api, "POST", f"/{PUBLISHABLE}{path}", document=[]).status_code == 404


NO_KEYS = {
    "no key": ({}, ""),
    "empty bearer": ({"Authorization": "Bearer "}, ""),
    "unknown key": ({"Authorization": "Bearer nobody"}, ""),
    "no scheme": ({"Authorization": SECRET}, ""),
    "another scheme": ({"Authorization": f"Basic {SECRET}"}, ""),
    "longer key": ({"Authorization": f"Bearer {SECRET}x"}, ""),
    "shorter key": ({"Authorization": f"Bearer {SECRET[:-1]}"}, ""),
    "empty query key": ({}, "?publishableKey="),
    "unknown query key": ({}, "?publishableKey=nobody"),
    "secret key in the query": ({}, f"?publishableKey={SECRET}"),
    "secret key under another name": ({}, f"?secretKey={SECRET}"),
    "the header wins": ({"Authorization": "Bearer nobody"}, f"?publishableKey={PUBLISHABLE}"),
}


@pytest.mark.parametrize(
    ("path", "what"),
    [
        *(("/bulk", what) for what in NO_KEYS),
        *((path, "unknown key") for path in (*WRITES, *SURVEYS, "/features", *READS) if path != "/bulk"),
        ("/features", "the header wins"),  # the publishable key alone would get a 403 there
    ],
)
def test_a_missing_or_unknown_key_is_401(api, path, what):
    """What is no key gets 401 INVALID_API_KEY, and nothing is applied; each way at one path, each path in one way."""
    headers, query = NO_KEYS[what]
    method = "GET" if path in {"/features", *READS} else "POST"

    answer = send(api, method, path, headers=headers, query=query, document=WRITES.get(path, {}))

    assert answer.status_code == 401
    assert answer.json()["success"] is False
    assert answer.json()["error"]["code"] == "INVALID_API_KEY"
    assert api.journal() == []


def test_the_secret_key_lists_features(api):
    """GET /features answers the secret key, whatever the query says."""
    answer = send(api, "GET", "/features", headers=BEARER["secret"], query="?waitForVersion=3&x=y")

    assert answer.status_code == 200
    assert answer.json().items() >= {"success": True, "features": []}.items()


@pytest.mark.parametrize(
    ("headers", "query"), [(BEARER["publishable"], ""), ({}, f"?publishableKey={PUBLISHABLE}")], ids=["header", "query"]
)
def test_the_publishable_key_on_features_is_403(api, headers, query):
    """A right key on the wrong endpoint gets 403 in the same envelope."""
    answer = send(api, "GET", "/features", headers=headers, query=query)

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "INVALID_API_KEY"


def test_the_scheme_is_case_insensitive(api):
    """`bearer` is `Bearer`, as in all of HTTP."""
    assert send(api, "GET", "/features", headers={"authorization": f"bearer {SECRET}"}).status_code == 200


def test_a_refusal_never_repeats_the_key(api):
    """No answer and no log of requests holds a key that was sent."""
    answer = send(api, "POST", "/user", query="?publishableKey=topsecret", document=USER)

    assert "topsecret" not in answer.text
    assert "topsecret" not in api.get("/_emulator/requests").text


@pytest.mark.parametrize("path", ["/user", "/flags/evaluate", "/nowhere", ""])
def test_a_key_in_the_path_is_never_logged(api, path):
    """Right, wrong or misplaced: the log of requests names the path without it."""
    for key in (PUBLISHABLE, SECRET, "pub_prod_of_somebody_else"):
        send(api, "POST", f"/{key}{path}", document=USER)

    noted = api.get("/_emulator/requests").json()["requests"]
    assert [one["path"] for one in noted] == ["/{key}" + (path or "/")] * 3


def test_the_prefix_needs_no_key(api):
    """What is under /_emulator is open to anyone on this machine."""
    assert send(api, "GET", "/_emulator/state").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("POST", "/nowhere"), ("POST", "/bulk/"), ("GET", "//")]
)
def test_unknown_paths_are_404_in_the_envelope(api, method, path):
    """What is not there is refused as JSON, never as a page."""
    answer = send(api, method, path, headers=BEARER["secret"], document={})

    assert answer.status_code == 404
    assert answer.json()["success"] is False
    assert set(answer.json()["error"]) == {"code", "message", "validationErrors"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/bulk"),
        ("PUT", "/user"),
        ("DELETE", "/event"),
        ("POST", "/features"),
        ("POST", "/features/enabled"),
        ("GET", f"/{PUBLISHABLE}/user"),
        ("POST", f"/{PUBLISHABLE}/flags/evaluate"),
    ],
)
def test_wrong_methods_are_405_in_the_envelope(api, method, path):
    """A known path names the methods it has."""
    answer = send(api, method, path, headers=BEARER["secret"], document={})

    assert answer.status_code == 405
    assert answer.json()["success"] is False
    assert answer.headers["Allow"].endswith("OPTIONS")
