"""Many environments in one process: a pair of keys each, and nothing in common."""

import contextlib
import json

import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.http import server
from bucket_loader.emulator.http.server import Endpoint, running
from bucket_loader.model.errors import StateError, UsageError

FEATURE = {"key": "f", "targeting": {"version": 1, "rules": [{"filter": {"type": "constant", "value": True}}]}}
URL = "/_emulator/environments"


@pytest.fixture(scope="module")
def shared_api():
    """Run one emulator for this file: it begins with a feature and a fault."""
    fault = {"kind": "poison", "match": "poisoned"}
    started = running(
        secret_key=SECRET, publishable_key=PUBLISHABLE, features={"features": [FEATURE]}, faults={"faults": [fault]}
    )
    with started as endpoint:
        api = Api(endpoint)
        with api.session:
            yield api


@pytest.fixture
def api(shared_api):
    """Return the file's emulator, with `main` alone."""
    shared_api.reset()
    for known in shared_api.get(URL).json()["environments"][1:]:
        assert shared_api.session.delete(f"{shared_api.url}{URL}/{known['name']}").status_code == 200
    return shared_api


@contextlib.contextmanager
def made(api, **wanted):
    """Make an environment, and return a client for it; its control paths are below `where`."""
    answer = api.post(URL, wanted)
    assert answer.status_code == 200, answer.text
    known = answer.json()
    client = Api(Endpoint(api.url, known["secretKey"], known["publishableKey"], api.endpoint.process))
    client.name, client.where = known["name"], f"{URL}/{known['name']}"
    with client.session:
        yield client


def names(api):
    """Return the names of all environments."""
    return [known["name"] for known in api.get(URL).json()["environments"]]


def test_a_call_belongs_to_the_environment_of_its_key(api: Api):
    """In the header, the query or the path: what is sent with a key is in its environment alone."""
    with made(api) as other:
        other.post("/user", {"userId": "secret"})
        with_key = f"publishableKey={other.endpoint.publishable_key}"
        requests.post(f"{api.url}/user?{with_key}", json={"userId": "query"}, timeout=10)
        requests.post(f"{api.url}/{other.endpoint.publishable_key}/user", json={"userId": "path"}, timeout=10)
        api.post("/user", {"userId": "main"})

        assert [api.get(f"{where}/users/main").status_code for where in ("/_emulator", other.where)] == [200, 404]
        for name in ("secret", "query", "path"):
            assert [api.get(f"{at}/users/{name}").status_code for at in ("/_emulator", other.where)] == [404, 200]
        assert [api.get(f"{at}/state").json()["requests"] for at in ("/_emulator", other.where)] == [1, 3]


def test_nothing_is_in_common(api: Api):
    """Definitions, faults, resets, the journal and the log of one environment touch no other."""
    with made(api) as other:
        api.put(f"{other.where}/features", {"features": [{**FEATURE, "key": "g"}]})
        api.put(f"{other.where}/faults", {"faults": [{"kind": "status", "status": 503}]})

        assert [list(one.get("/features/enabled").json()["features"]) for one in (api, other)] == [["f"], ["g"]]
        assert [one.post("/user", {"userId": "u"}).status_code for one in (api, other)] == [200, 503]
        assert len(api.get("/_emulator/requests").json()["requests"]) == 2
        assert requests.post(f"{api.url}{other.where}/reset", timeout=10).status_code == 200
        assert other.post("/user", {"userId": "v"}).status_code == 200
        journals = [api.get(f"{at}/journal").content for at in ("/_emulator", other.where)]
        assert [json.loads(journal)["item"]["userId"] for journal in journals] == ["u", "v"]


def test_an_environment_begins_as_main_did(api: Api):
    """It has the definitions and faults of the command line, not those that were put since."""
    api.put("/_emulator/features", {"features": []})
    with made(api) as other:
        assert list(other.get("/features/enabled").json()["features"]) == ["f"]
        assert other.post("/user", {"userId": "poisoned"}).status_code == 500


def test_a_key_that_nobody_knows_is_noted_in_main(api: Api):
    """It is refused, and the refusal can be found; so is a key whose environment was taken away."""
    with made(api) as other:
        assert api.session.delete(api.url + other.where).status_code == 200

        assert other.post("/user", {"userId": "u"}).status_code == 401
        assert other.get("/features").status_code == 401
        assert api.get(f"{other.where}/state").status_code == 404
    refused = api.get("/_emulator/requests?refused=true").json()["requests"]
    assert [call["path"] for call in refused] == ["/features", "/user"]


def test_what_is_left_out_is_made_up(api: Api):
    """Without a body, with a name, with keys: the rest differs each time, and the list has it all."""
    made_up = requests.post(api.url + URL, timeout=10).json()
    named = api.post(URL, {"name": "gw0", "secretKey": None}).json()
    keyed = api.post(URL, {"secretKey": "sec", "publishableKey": "pub"}).json()

    assert [made_up["name"], named["name"]] == ["environment-2", "gw0"]
    assert keyed == {"name": "environment-3", "secretKey": "sec", "publishableKey": "pub"}
    assert len({one[key] for one in (made_up, named) for key in ("secretKey", "publishableKey")}) == 4
    main = {"name": "main", "secretKey": SECRET, "publishableKey": PUBLISHABLE}
    assert api.get(URL).json() == {"environments": [main, made_up, named, keyed]}


@pytest.mark.parametrize(
    "wanted",
    [{"name": "main"}, {"name": "Main"}, {"name": "A"}, {"secretKey": SECRET}, {"publishableKey": SECRET},
     {"secretKey": PUBLISHABLE}, {"publishableKey": PUBLISHABLE}, {"secretKey": "same", "publishableKey": "same"}],
)  # fmt: skip
def test_a_name_or_key_that_is_taken_is_refused(api: Api, wanted):
    """A key opens one environment, in one way; names that differ in case only would be one folder on some disks."""
    api.post(URL, {"name": "a"})

    answer = api.post(URL, wanted)

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "UNKNOWN_ERROR"
    assert ": give " in answer.json()["error"]["message"]  # what to do
    assert names(api) == ["main", "a"]


@pytest.mark.parametrize(
    "body",
    ["[]", "x", '{"name": ""}', '{"name": "../a"}', '{"name": ".a"}', '{"name": "a/b"}', '{"name": "a\\n"}',
     '{"secretKey": ""}', '{"secretKey": "a b"}', '{"publishableKey": "a/b"}', '{"name": 1}', '{"other": 1}', b"\xff"],
)  # fmt: skip
def test_a_malformed_wish_is_refused(api: Api, body):
    """A name can be part of a path, a key of a header and of a path; nothing else is taken."""
    answer = api.post_bytes(URL, body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "BODY_VALIDATION_FAILED"
    assert names(api) == ["main"]


def test_main_stays(api: Api):
    """It cannot be taken away, and can be named like any other; what is not there is a 404."""
    api.post("/user", {"userId": "u"})

    assert api.session.delete(f"{api.url}{URL}/main").status_code == 409
    assert api.session.delete(f"{api.url}{URL}/other").status_code == 404
    assert api.get(f"{URL}/main/users/u").status_code == 200
    assert api.get(f"{URL}/other/users/u").status_code == 404
    assert api.get(f"{URL}/main/nothing").status_code == 404


def test_a_call_in_flight_of_an_environment_that_is_taken_away_leaves_no_trace(api: Api):
    """It is answered; what it brought is gone with the environment."""
    with made(api, name="gone") as other, requests.Session() as session:
        api.put(f"{other.where}/faults", {"faults": [{"kind": "latency", "seconds": 0.3}]})
        session.headers["Authorization"] = f"Bearer {other.endpoint.secret_key}"
        assert session.get(f"{api.url}/features", timeout=10).status_code == 200  # it is connected

        def body():
            api.session.delete(api.url + other.where)
            yield b'{"userId": "u"}'

        headers = {"Content-Type": "application/json"}
        assert session.post(f"{api.url}/user", data=body(), headers=headers, timeout=10).status_code == 200
    with made(api, name="gone") as other:
        assert api.get(f"{other.where}/state").json()["users"] == 0


def test_environments_survive_a_kill(tmp_path):
    """Names, keys and all that was sent are there again; one that was taken away is not, nor is what it held."""
    with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session, made(api, name="a") as first, made(api, name="b") as second:
            first.post("/user", {"userId": "u"})
            second.post("/user", {"userId": "v"})
            api.session.delete(api.url + second.where)
            known = api.get(URL).json()
            endpoint.process.kill()

    with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session, made(api, name="b") as second:
            assert api.get(URL).json()["environments"][:2] == known["environments"]
            assert api.get(f"{URL}/a/users/u").status_code == 200
            assert api.get(f"{second.where}/state").json()["users"] == 0
    assert sorted(file.name for file in (tmp_path / "environments").iterdir()) == ["a", "b"]


def test_a_list_of_environments_that_cannot_be_used_is_named(tmp_path):
    """One that cannot be read, and one with a key that the command line gives to `main`."""
    with running(data_dir=tmp_path, secret_key=SECRET) as endpoint:
        requests.post(endpoint.url + URL, json={"name": "a", "secretKey": "sec"}, timeout=10)

    with pytest.raises(UsageError, match="one of environment main already"):
        server.serve(data_dir=tmp_path, secret_key="sec")
    (tmp_path / "environments.json").write_text("{")
    with pytest.raises(StateError, match=r"environments\.json cannot be read"):
        server.serve(data_dir=tmp_path)


def test_an_environment_that_cannot_be_kept_is_not_made(tmp_path):
    """The answer says what is wrong with the disk, and what to do."""
    (tmp_path / "environments").touch()  # where their folders would be
    with running(data_dir=tmp_path) as endpoint:
        answer = requests.post(endpoint.url + URL, json={"name": "a"}, timeout=10)

        assert answer.status_code == 500
        assert answer.json()["error"]["message"].endswith("give another --data directory")
        assert [one["name"] for one in requests.get(endpoint.url + URL, timeout=10).json()["environments"]] == ["main"]
