"""The published clients in each of their modes: what they call, and when they see what changes (docs/fidelity.md)."""

import contextlib
import json
import os
import re
import subprocess
import time
from urllib.parse import urlsplit

import pytest
from browser import running_browser
from emulator_api import PUBLISHABLE, SECRET, Api
from fidelity_table import hold, told
from published_clients import COMPANY, GUIDE, MODES, Clients, Mode, documented, given, program, until
from tiers import CLIENTS, ROOT

from bucket_loader.emulator.http.server import running

LIVE_S_MAX = 1
LATER = "when it asks again"
ASKS_S_MIN = 1.1  # a node client asks at most once in a second: what is put sooner, it sees that much later
THE_CUT = re.compile("event source unexpected error|net::ERR_")  # what browsers and their clients say of a restart
OFFLINE = [mode for mode in MODES if mode.name == "offline"]
COMMAND_LINE = MODES[-1]
ONLINE = [mode for mode in MODES if mode not in (*OFFLINE, COMMAND_LINE)]
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


def put(api, document):
    """Define features, when every client may ask again."""
    time.sleep(ASKS_S_MIN)
    assert api.put("/_emulator/features", document).status_code == 200


def reset(api):
    """Empty the emulator, when every client may ask again."""
    time.sleep(ASKS_S_MIN)
    api.reset()


def noticed(client, mode, wanted):
    """Return how a client comes to have the feature on or off."""
    if until(lambda: is_on(client) == wanted, LIVE_S_MAX) is not None:
        return "within a second"
    if not mode.again:
        return LATER
    method, *words = mode.again
    client.step("again", method=method, words=words)
    assert is_on(client) == wanted
    return f"at `{method}()`"


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
@pytest.mark.parametrize("mode", ONLINE, ids=str)
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
        called = calls(api)
    hold(mode, calls=called)


@pytest.mark.clients
@pytest.mark.browser
@pytest.mark.parametrize("mode", ONLINE, ids=str)
def test_a_definition_put_while_a_client_runs_is_seen_as_the_table_says(mode, api, clients):
    """With what the docs say and nothing else: within a second where it is pushed, after a reset too."""
    api.put("/_emulator/features", ON)
    with clients.started(mode, api) as client:
        assert is_on(client)
        reset(api)
        changed = noticed(client, mode, wanted=False)
        if changed != LATER:
            put(api, ON)
            assert noticed(client, mode, wanted=True) == changed
            put(api, OFF)
            assert noticed(client, mode, wanted=False) == changed
        notices_nothing(client, api)
    hold(mode, change=changed)


@pytest.mark.clients
@pytest.mark.browser
@pytest.mark.parametrize("mode", OFFLINE, ids=str)
def test_an_offline_client_calls_nothing(mode, api, clients):
    """What is defined does not matter to it."""
    api.put("/_emulator/features", ON)
    with clients.started(mode, api) as client:
        assert not is_on(client)
        notices_nothing(client, api)
        called = calls(api)
    assert called == "nothing"
    hold(mode, calls=called, change="never", restart="never")


@pytest.mark.clients
@pytest.mark.browser
def test_clients_come_back_after_a_restart_as_the_table_says(clients):
    """All at once, because it takes the minute that the slowest of them wait before they ask again."""
    keys = {"secret_key": SECRET, "publishable_key": PUBLISHABLE}
    with contextlib.ExitStack() as stack:
        with running(**keys) as endpoint:
            api = Api(endpoint)
            for _ in range(5):  # so that a version that began anew would be lower
                api.put("/_emulator/features", OFF)
            started = {mode: stack.enter_context(clients.started(mode, api)) for mode in ONLINE}
            assert [mode for mode, client in started.items() if is_on(client)] == []
        restarted = Api(stack.enter_context(running(**keys, port=urlsplit(endpoint.url).port)))
        restarted.put("/_emulator/features", ON)
        seen_s = first_seen_s(started, max(mode.asks_s or 0 for mode in ONLINE) + LIVE_S_MAX)
        words = {mode: come_back(client, mode, seen_s.get(mode)) for mode, client in started.items()}
    for mode, said in words.items():
        hold(mode, restart=said)


def first_seen_s(started, within_s):
    """Return after how many seconds each client has the feature on, of those that have it in time."""
    seen_s, start_s = {}, time.monotonic()

    def all_have_it():
        for mode, client in started.items():
            if mode not in seen_s and is_on(client):
                seen_s[mode] = time.monotonic() - start_s
        return len(seen_s) == len(started)

    until(all_have_it, within_s)
    return seen_s


def come_back(client, mode, seen_s):
    """Return how a client came to have the feature on, and what it said of the cut."""
    if seen_s is None:
        how = noticed(client, mode, wanted=True)
    else:
        assert seen_s <= mode.asks_s + LIVE_S_MAX
        how = f"within {mode.asks_s + LIVE_S_MAX} s"
    said, _ = client.told()
    assert [line for line in said if not THE_CUT.search(line)] == []
    return how + ("; it warns of the cut" if said else "")


@pytest.mark.clients
@pytest.mark.browser
@pytest.mark.parametrize("package", ["@reflag/browser-sdk", "@reflag/react-sdk"])
def test_opting_in_is_seen_by_who_asked_and_by_who_listens(package, api, clients):
    """The page that asks has the feature on when its call is answered; another page of the user within a second."""
    asking = next(mode for mode in ONLINE if mode.client == package)
    listening = next(mode for mode in ONLINE if mode.name == "live updates on")
    (huddle, dull) = OFF["features"]
    api.put("/_emulator/features", {"features": [{**huddle, "optInEnabled": True}, dull]})
    with clients.started(asking, api) as one, clients.started(listening, api) as other:
        for opted_in in (True, False):
            assert one.step("optIn", key="huddle", optedIn=opted_in) == 200
            assert is_on(one) == opted_in
            assert noticed(other, listening, wanted=opted_in) == "within a second"
        notices_nothing(one, api)
        notices_nothing(other, api)


@pytest.mark.clients
@pytest.mark.browser
def test_a_page_sees_no_more_than_twenty_changes_a_minute(api, clients):
    """That limit is the client's own, and it warns."""
    live = next(mode for mode in ONLINE if mode.name == "live updates on")
    with clients.started(live, api) as client:
        for number in range(20):
            api.put("/_emulator/features", OFF if number % 2 else ON)
            assert until(lambda wanted=number % 2 == 0: is_on(client) == wanted, LIVE_S_MAX) is not None
        assert client.told()[0] == []
        api.put("/_emulator/features", ON)
        assert until(lambda: client.told()[0], LIVE_S_MAX) is not None
        assert not is_on(client)
        assert "refresh rate limit exceeded" in client.told()[0][0]


@pytest.mark.clients
@pytest.mark.browser
def test_a_page_that_a_server_bootstrapped_is_live(api, clients):
    """The versions of the two clients are the same, so the page need not ask before something changes."""
    api.put("/_emulator/features", ON)
    with program("@reflag/node-sdk") as server:
        server.step("start", code=documented("@reflag/node-sdk"), options={}, given=given(api))
        options = {"bootstrappedState": server.step("bootstrap"), "enableLiveFlagUpdates": True}
    bootstrapped = Mode("@reflag/browser-sdk", "browser", "bootstrapped", options)
    with clients.started(bootstrapped, api) as client:
        assert is_on(client)
        assert "/features/evaluated" not in calls(api)
        put(api, OFF)
        assert noticed(client, bootstrapped, wanted=False) == "within a second"
        notices_nothing(client, api)


@pytest.mark.clients
def test_the_command_line_sees_what_is_defined_as_the_table_says(api, tmp_path):
    """As the guide calls it, in a project in which it is installed."""
    api.put("/_emulator/features", ON)
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")

    assert "huddle: " in generated(api, tmp_path)
    called = calls(api)
    api.put("/_emulator/features", {"features": []})
    assert "huddle" not in generated(api, tmp_path)
    hold(COMMAND_LINE, calls=called, change="at each call", restart="at each call")


def generated(api, folder):
    """Return the types that the command line makes."""
    code = documented(COMMAND_LINE.client).replace("http://127.0.0.1:8123", api.url).replace("sec_local_...", SECRET)
    subprocess.run(
        ["sh", "-ec", code],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "NPM_CONFIG_OFFLINE": "true"},
        timeout=60,
        check=True,
    )
    return (folder / "gen" / "flags.d.ts").read_text("utf-8")


def test_the_table_has_a_row_for_each_client_in_each_mode():
    """And the versions that are installed for the tests."""
    versions = json.loads((ROOT / "tests" / "emulator" / "sdk" / "package.json").read_bytes())["dependencies"]

    assert [row["client"] for row in told().values()] == [f"`{mode.client}` {versions[mode.client]}" for mode in MODES]
    assert list(told()) == [(mode.client, mode.name) for mode in MODES]


@pytest.mark.parametrize("client", sorted({mode.client for mode in MODES}))
def test_the_guide_says_how_to_point_a_client_at_the_emulator(client):
    """Each has its block, and each block names the address."""
    assert "url" in documented(client).lower()


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
