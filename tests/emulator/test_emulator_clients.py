"""The published clients in each of their modes, pointed at the emulator as docs/emulator.md says."""

from urllib.parse import urlsplit

import pytest
from browser import running_browser
from emulator_api import SECRET

from clients import COMPANY, GUIDE, MODES, Clients, documented, given, program, until

LIVE_S_MAX = 1
PAYING = {"filter": {"type": "context", "field": "company.plan", "operator": "IS", "values": [COMPANY["plan"]]}}
NOBODY = {"filter": {"type": "constant", "value": False}}
BLUE = {"key": "blue", "payload": {"a": 1}}


def definitions(rule):
    """Return the definitions of a feature with a rule and a config, and of one that nobody has."""
    variants = [{**BLUE, "filter": {"type": "constant", "value": True}}]
    return {
        "features": [
            {
                "key": "huddle",
                "targeting": {"version": 3, "rules": [rule]},
                "config": {"version": 2, "variants": variants},
            },
            {"key": "dull", "targeting": {"version": 1, "rules": [NOBODY]}},
        ]
    }


ON, OFF = definitions(PAYING), definitions(NOBODY)


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """Start clients, and one browser for those that run in it."""
    with running_browser() as browser, Clients(browser, tmp_path_factory.mktemp("pages")).serving() as serving:
        yield serving


def is_on(client):
    """Whether a client has the feature on; the oldest says so in a word of its own."""
    seen = client.step("look").get("huddle", False)
    return seen if isinstance(seen, bool) else seen[0]


def calls(api):
    """Return what was called, in words."""
    requests = api.get("/_emulator/requests").json()["requests"]
    paths = {
        method: sorted({line["path"] for line in requests if line["method"] == method}) for method in ("GET", "POST")
    }
    parts = [f"{method} {', '.join(f'`{path}`' for path in found)}" for method, found in paths.items() if found]
    return "; ".join(parts) or "nothing"


def notices_nothing(client, api):
    """Whether a client told no warning, called no other host, and had nothing refused."""
    said, hosts = client.told()
    assert said == []
    assert hosts <= {urlsplit(api.url).netloc}
    assert api.state()["refused"] == 0


def servers(api, seen):
    """Hold what a client for servers saw, and what arrived of it."""
    both = {"huddle": [True, BLUE], "dull": [False, {}]}
    assert seen == {"checked": True, "local": both, "remote": both, "one": {"huddle": [True, BLUE]}}
    assert api.user("u1")["attributes"] == {"name": "Ada", "age": 36}
    assert api.company("42")["attributes"] == {"name": "Acme", "plan": "pro"}
    assert (api.user("u1")["defaultCompany"], api.user("u1")["events"]) == ("42", 3)
    assert (api.state()["events"], api.state()["unassociated_events"]) == (3, 0)


def browsers(api, seen):
    """Hold what a client for browsers saw, and what arrived of it."""
    assert (seen["checked"], seen["again"], seen["track"]) == (True, [True, BLUE], 200)
    assert api.user("u1")["attributes"] == {"name": "Ada", "age": 36, "role": "admin"}
    assert api.company("42")["attributes"] == {"name": "Acme", "plan": "pro", "seats": 5}
    assert (api.state()["events"], api.state()["unassociated_events"]) == (2, 0)
    assert api.state()["feedback"] == 1  # the second amended it
    amended = [line["item"] for line in api.journal() if line["item"].get("score") == 5]
    assert [item["feedbackId"] for item in amended] == [seen["feedbackId"]]


def the_oldest(api, seen):
    """Hold what the tracking client saw, which has its key in the path, and what arrived of it."""
    assert seen == {"user": 200, "company": 200, "track": 200, "flags": {"huddle": True}, "feedback": 200}
    assert api.user("u1")["companies"] == ["42"]
    assert (api.state()["events"], api.state()["feedback"], api.state()["unassociated_events"]) == (1, 1, 0)


ARRIVED = {"node": servers, "browser": browsers, "react": browsers, "tracking": the_oldest}


@pytest.mark.clients
@pytest.mark.browser
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.name != "offline"], ids=str)
def test_what_a_client_sends_arrives(mode, api, clients):
    """Updates, events, checks and feedback; features are the same on either side; it calls what the table says."""
    api.put("/_emulator/features", ON)
    with clients.started(mode, api) as client:
        seen = client.step("paces")
        client.step("stop")
        until(lambda: mode.script == "tracking" or api.state()["feature_events"], LIVE_S_MAX)
        ARRIVED[mode.script](api, seen)
        assert mode.script == "tracking" or api.state()["feature_events"] > 0
        notices_nothing(client, api)


@pytest.mark.clients
@pytest.mark.browser
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.name == "offline"], ids=str)
def test_an_offline_client_calls_nothing(mode, api, clients):
    """What is defined does not matter to it."""
    api.put("/_emulator/features", ON)
    with clients.started(mode, api) as client:
        assert not is_on(client)
        notices_nothing(client, api)
        assert calls(api) == "nothing"


@pytest.mark.parametrize("client", sorted({mode.client for mode in MODES}))
def test_the_guide_says_how_to_point_a_client_at_the_emulator(client):
    """Each has its block, and each block names the address."""
    assert "url" in documented(client)


@pytest.mark.clients
@pytest.mark.parametrize(
    ("client", "prefix", "code"),
    [
        ("@reflag/node-sdk", "REFLAG", "new ReflagClient({ flagsSyncMode: 'polling' })"),
        ("@bucketco/node-sdk", "BUCKET", "new BucketClient()"),
    ],
)
def test_a_client_for_servers_is_pointed_by_its_environment(client, prefix, code, api):
    """With the variables that the guide names."""
    api.put("/_emulator/features", ON)
    variables = {f"{prefix}_SECRET_KEY": SECRET, f"{prefix}_API_BASE_URL": api.url, f"{prefix}_OFFLINE": "false"}
    with program(client, **variables) as started:
        started.step("start", code=code, options={}, given=given(api))
        assert is_on(started)
        notices_nothing(started, api)
    assert [name for name in variables if f"`{name}" not in GUIDE] == []
