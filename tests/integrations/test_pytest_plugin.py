"""The fixture `bucket`, as the tests of somebody's own integration use it; and what pytest shows when they fail."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import ANY

import pytest
import requests
from suites import PLUGIN, suite

from bucket_loader.integrations.pytest.process import Process, start
from bucket_loader.integrations.pytest.records import Record, nearest, type_of
from bucket_loader.integrations.pytest.shared import Shared, ask

HUDDLE = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
FEATURES = {"features": [{"key": "huddle", "targeting": {"version": 1, "rules": [{"filter": HUDDLE}]}}]}


@pytest.fixture
def send(bucket):
    """What an app does: a call of the API, with the secret key."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {bucket.secret_key}"
        yield lambda path, **record: session.post(bucket.url + path, json=record, timeout=10)


def evaluated(bucket, **context):
    """Ask which features are on for a context."""
    asked = {"publishableKey": bucket.publishable_key, "contextJson": json.dumps(context)}
    answer = requests.get(f"{bucket.url}/features/evaluated", asked, timeout=10).json()
    return {key: one["isEnabled"] for key, one in answer["features"].items()}


# --- what a test says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["u1", "u2"])
def test_each_test_begins_with_nothing(bucket, send, user):
    """What another test sent, defined or broke is gone."""
    assert bucket.told() == "arrived: nothing\nrefused: 0 of 0 requests"

    send("/user", userId=user, attributes={"plan": "pro"})
    bucket.define({"huddle": HUDDLE})
    bucket.fault({"kind": "html"})

    assert bucket.user(user).attributes == {"plan": "pro"}


def test_a_user_and_a_company_are_as_bucket_knows_them(bucket, send):
    """Each with whom it belongs to; one that has not arrived is an error with its id."""
    send("/company", companyId="a/b", userId=7, attributes={"seats": 3})
    send("/event", userId="7", event="opened")

    user, company = bucket.user(7), bucket.company("a/b")

    assert (user.id, user.companies, user.default_company, user.events) == ("7", ["a/b"], "a/b", 1)
    assert (company.id, company.attributes, company.users, company.events) == ("a/b", {"seats": 3}, ["7"], 1)
    with pytest.raises(LookupError, match="There is no such user: u9"):
        bucket.user("u9")


def test_what_is_expected_may_arrive_later(bucket, send):
    """The call waits no longer than it has to."""
    later = threading.Thread(target=send, args=("/event",), kwargs={"userId": "u1", "event": "opened"})
    later.start()

    found = bucket.expect(event="opened", user="u1", within=60)

    later.join()
    assert found.item == {"userId": "u1", "event": "opened"}
    assert bucket.records(event="opened") == [found]


def test_a_record_of_each_kind_can_be_expected(bucket, send):
    """Some of its attributes are enough; an id may be a number; what is in a bulk counts too."""
    bulk = [{"type": "user", "userId": "u1", "attributes": {"plan": "pro", "age": 36}},
            {"type": "company", "companyId": 42, "userId": "u1"},
            {"type": "event", "userId": "u1", "companyId": "42", "event": "opened", "attributes": {"at": 1.5}},
            {"type": "feedback", "userId": "u1", "key": "huddle", "score": 4, "comment": "good"}]  # fmt: skip
    requests.post(f"{bucket.url}/bulk", json=bulk, headers={"Authorization": f"Bearer {bucket.secret_key}"}, timeout=10)

    assert bucket.expect(user="u1", attributes={"plan": "pro"}).attributes == {"plan": "pro", "age": 36}
    assert bucket.expect(company="42", user="u1").type == "company"
    assert bucket.expect(event="opened", company=42, attributes={"at": pytest.approx(1.5)}).type == "event"
    assert bucket.expect(feedback="huddle", score=4, comment=ANY, user="u1").type == "feedback"
    assert bucket.records(event="closed") == []


def test_what_is_not_sent_is_shown_beside_the_nearest(bucket, send):
    """The nearest has the name and the user nearly right; each difference has a line."""
    send("/event", userId="u2", event="closed", attributes={"plan": "pro"})
    send("/event", userId="u1", event="signed-up", attributes={"plan": "free", "paid": 1})

    with pytest.raises(AssertionError) as failed:
        bucket.expect(event="signed up", user="u1", attributes={"plan": "pro", "paid": True, "seats": 3}, within=0)

    assert str(failed.value).splitlines() == [
        "not sent within 0 s: event='signed up', user='u1', attributes={'plan': 'pro', 'paid': True, 'seats': 3}",
        "the nearest of 2 of type event came with request 2, and differs:",
        "    event: 'signed-up', expected 'signed up'",
        "    attributes.plan: 'free', expected 'pro'",
        "    attributes.paid: 1, expected True",
        "    attributes.seats: absent, expected 3",
    ]


def test_a_wait_ends_when_its_time_is_over(bucket, send):
    """Records of another kind, or unlike what is expected, do not end it; and nobody is busy meanwhile."""
    send("/event", userId="u1", event="closed")
    busy_s = time.process_time()

    with pytest.raises(AssertionError, match=r"not sent within 0\.3 s: event='opened'"):
        bucket.expect(event="opened", within=0.3)

    assert time.process_time() - busy_s < 0.05


def test_what_must_not_be_sent_fails_when_it_is(bucket, send):
    """It fails with what was sent; what is unlike it does not matter."""
    send("/event", userId="u1", event="opened")

    bucket.expect_none(event="opened", user="u2")
    bucket.expect_none(event="closed", within=0.05)
    with pytest.raises(AssertionError, match=r"sent, with request 1: event='opened'\n.*'userId': 'u1'"):
        bucket.expect_none(event="opened")


@pytest.mark.parametrize(("wanted", "message"), [
    ({"attributes": {"a": 1}}, "say what is expected: event, feedback, company, user"),
    ({"event": "opened", "score": 5}, "a record of type event has no score; it has event, user, company, attributes"),
])  # fmt: skip
def test_what_no_record_can_be_is_a_mistake_of_the_test(wanted, message):
    """It is told at once, not after a wait."""
    with pytest.raises(TypeError, match=message):
        type_of(wanted)


def test_where_nothing_has_arrived_nothing_is_near():
    """The message says so; and feedback may name its flag by an id."""
    feedback = Record("feedback", {"userId": "u1", "featureId": "f1"}, 1)

    assert nearest([], {"event": "opened"}) == "no record of type event has arrived"
    assert feedback.differences({"feedback": "f1"}) == []


def test_rules_are_defined_by_flag_or_as_the_api_has_them(bucket):
    """One filter, several of which one is enough, or whole definitions; each time of all flags."""
    pro, free = {"company": {"id": "c1", "plan": "pro"}}, {"company": {"id": "c2", "plan": "free"}}
    ours = {"type": "context", "field": "company.id", "operator": "IS", "values": ["c2"]}

    bucket.define({"huddle": HUDDLE, "dull": []})
    assert (evaluated(bucket, **pro), evaluated(bucket, **free)) == (
        {"huddle": True, "dull": False}, {"huddle": False, "dull": False})  # fmt: skip
    bucket.define({"huddle": [HUDDLE, ours]})
    assert (evaluated(bucket, **pro), evaluated(bucket, **free)) == ({"huddle": True}, {"huddle": True})
    bucket.define(FEATURES["features"])
    assert (evaluated(bucket, **pro), evaluated(bucket, **free)) == ({"huddle": True}, {"huddle": False})
    with pytest.raises(ValueError, match="Malformed features"):
        bucket.define([{"keys": "huddle"}])


def test_a_flag_is_on_or_off_for_everybody(bucket):
    """Whatever its rules say, with a variant or without; also one that is not defined."""
    bucket.define({"huddle": HUDDLE})

    bucket.flag("huddle", on=True)
    bucket.flag("new", on=True, config="blue", payload={"a": 1})

    assert evaluated(bucket, company={"id": "c1"}) == {"huddle": True, "new": True}
    headers = {"Authorization": f"Bearer {bucket.secret_key}"}
    found = requests.get(f"{bucket.url}/features", headers=headers, timeout=10).json()["features"]
    variants = {one["key"]: one["config"]["variants"] for one in found if "config" in one}
    assert [(one["key"], one["payload"]) for one in variants["new"]] == [("blue", {"a": 1})]
    assert "huddle" not in variants
    bucket.flag("huddle", on=False)
    assert evaluated(bucket, company={"id": "c1", "plan": "pro"}) == {"huddle": False, "new": True}


def test_faults_are_ordered_and_what_is_refused_is_listed(bucket, send):
    """In the words of the emulator's guide; each refusal has its mistakes and where they are."""
    bucket.fault({"kind": "status", "status": 503, "times": 1})
    send("/event", userId="u1", event="opened")
    bucket.fault()
    send("/event", event="opened")

    first, second = bucket.refused

    assert (first.status, first.path, second.status) == (503, "/event", 400)
    assert "userId" in second.wrong[0][0]
    assert json.loads(second.wrong[0][1]) == {"event": "opened"}
    with pytest.raises(ValueError, match="Malformed faults"):
        bucket.fault({"kind": "fire"})


def test_a_snapshot_brings_back_all_that_was_there(bucket, send):
    """Users, events and flags; what came after it is gone, and what it holds can be expected."""
    send("/user", userId="u1", attributes={"plan": "pro"})
    send("/event", userId="u1", event="opened")
    bucket.flag("huddle", on=True)
    saved = json.loads(json.dumps(bucket.snapshot()))

    bucket.reset()
    send("/user", userId="u2")
    bucket.restore(saved)

    assert bucket.user("u1").attributes == {"plan": "pro"}
    assert bucket.expect(event="opened", within=0).item["userId"] == "u1"
    assert bucket.records(user="u2") == []
    assert evaluated(bucket, user={"id": "u1"}) == {"huddle": True}


# --- what pytest is told -------------------------------------------------------------------------------------------

FAILS = """
    import requests

    def test_fails(bucket):
        for key in (bucket.secret_key, "nobody"):
            headers = {"Authorization": f"Bearer {key}"}
            requests.post(bucket.url + "/event", json={"event": "opened"}, headers=headers, timeout=10)
        assert 0
"""


@pytest.fixture
def inner(pytester, bucket, monkeypatch):
    """A session of somebody's tests, beside this one in the same emulator."""
    monkeypatch.setenv("BUCKET_EMULATOR_URL", bucket.url)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", PLUGIN)
    return pytester


def names(bucket):
    """Return the names of the emulator's environments."""
    known = requests.get(f"{bucket.url}/_emulator/environments", timeout=10).json()
    return [one["name"] for one in known["environments"]]


def test_a_failing_test_shows_what_was_refused(inner):
    """With its own keys, and with a key that nobody has; a passing test shows nothing."""
    inner.makepyfile(FAILS)

    shown = inner.runpytest().stdout

    shown.fnmatch_lines([
        "*- bucket -*", "arrived: nothing", "refused: 1 of 1 requests",
        "request 1: 400 POST /event: *userId*", '*sent: {"event": "opened"}',
        "refused since then, from whichever test, since nobody has this key:", "request *: 401 POST /event: *",
    ])  # fmt: skip


def test_a_session_takes_an_emulator_that_runs_and_leaves_nothing_there(inner, bucket):
    """The environment is its own, and goes with it."""
    inner.makepyfile(f"def test_ours(bucket): assert bucket.url == {bucket.url!r} and bucket.secret_key")
    before = names(bucket)

    inner.runpytest().assert_outcomes(passed=1)

    assert names(bucket) == before


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "localhost:8123", "nonsense", "{page}"])
def test_an_emulator_that_does_not_run_is_named_with_what_to_do(inner, bucket, monkeypatch, url):
    """In two lines, whatever the variable holds: nobody reads how urllib fails."""
    monkeypatch.setenv("BUCKET_EMULATOR_URL", url.format(page=f"{bucket.url}/page"))
    inner.makepyfile("def test_one(bucket): pass")

    said = inner.runpytest_inprocess("-p", "no:cacheprovider")

    said.assert_outcomes(errors=1)
    said.stdout.fnmatch_lines(["BUCKET_EMULATOR_URL is '*', which is no emulator that runs: *", "start one with *"])
    said.stdout.no_fnmatch_line("*urllib*")


def test_a_failing_test_whose_emulator_is_gone_ends_as_a_failure(inner):
    """What cannot be shown is said; the session goes on."""
    inner.makepyfile(
        """
        from bucket_loader.integrations.pytest.control import Control

        def test_takes_it_away(bucket):
            name = Control(bucket.url + "/_emulator/environments").read("")["environments"][-1]["name"]
            Control(bucket.url).call("DELETE", f"/_emulator/environments/{name}")
            assert False

        def test_goes_on():
            pass
        """
    )

    said = inner.runpytest_inprocess("-p", "no:cacheprovider")

    said.assert_outcomes(passed=1, failed=1)
    said.stdout.fnmatch_lines(["what arrived cannot be shown: There is no such environment"])


@pytest.mark.parametrize("place", ["ini", "option"])
def test_a_file_of_features_is_what_each_test_begins_with(inner, place):
    """Its name is written from the folder of the ini file, or from where pytest is started."""
    inner.mkdir("below").joinpath("flags.json").write_text(json.dumps(FEATURES))
    inner.makeini("[pytest]\n" + ("bucket_features = below/flags.json" if place == "ini" else ""))
    inner.makepyfile("""
        import pytest, requests

        @pytest.mark.parametrize("time", [1, 2])
        def test_defined(bucket, time):
            headers = {"Authorization": f"Bearer {bucket.secret_key}"}
            found = requests.get(bucket.url + "/features", headers=headers, timeout=10).json()
            assert [one["key"] for one in found["features"]] == ["huddle"]
            bucket.define([])
    """)

    words = ["--bucket-features", "below/flags.json"] if place == "option" else []
    inner.runpytest(*words).assert_outcomes(passed=2)


def test_a_server_of_a_whole_session_has_the_keys_of_every_test(inner):
    """It is started once, before any test begins; the app of an asynchronous test goes on while the test waits."""
    inner.makepyfile("""
        import asyncio, pytest, requests

        @pytest.fixture(scope="session")
        def server(bucket_session):
            headers = {"Authorization": f"Bearer {bucket_session.secret_key}"}
            return lambda: requests.post(bucket_session.url + "/event", headers=headers, timeout=10,
                                         json={"userId": "u1", "event": "served"})

        def test_one(server, bucket):
            assert server().ok
            assert len(bucket.records(event="served")) == 1

        def test_two(server, bucket):
            async def both():
                async def app():
                    await asyncio.sleep(0)
                    assert await asyncio.to_thread(server)
                await asyncio.gather(asyncio.to_thread(bucket.expect, event="served"), app())

            asyncio.run(both())
    """)

    inner.runpytest().assert_outcomes(passed=2)


def test_a_file_of_features_that_is_not_there_is_named(inner):
    """The tests that need it fail with the option and the file."""
    inner.makepyfile("def test_one(bucket): pass")

    shown = inner.runpytest("--bucket-features", "flags.json").stdout

    shown.fnmatch_lines(["*UsageError: bucket_features: flags.json: *No such file*"])


def test_a_worker_that_crashes_while_it_asks_keeps_no_other_from_asking(pytestconfig):
    """The thread that answers goes on, and so does the session."""
    asking = socket.socket()  # made before anybody may look at it

    def begin():
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asking.close()  # with a reset
        return start(pytestconfig)

    shared = Shared(begin)
    asking.connect(("127.0.0.1", shared.port))
    url = ask(shared.port)
    shared.close()

    assert url.startswith("http://127.0.0.1:")


def test_an_emulator_that_does_not_start_says_why():
    """What it wrote is in the message."""
    with pytest.raises(OSError, match=r"did not start: (.|\n)*`2019` is none of"):
        Process(["--evaluation", "2019"])


def test_pytest_loads_nothing_until_the_fixture_is_used():
    """Every session of pytest imports the plugin: four small files, and no library."""
    script = ("import pytest, sys; before = set(sys.modules); import bucket_loader.integrations.pytest.plugin; "
              "print(sorted(set(sys.modules) - before))")  # fmt: skip
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert json.loads(printed.replace("'", '"')) == [
        "bucket_loader", "bucket_loader.integrations", "bucket_loader.integrations.pytest",
        "bucket_loader.integrations.pytest.plugin",
    ]  # fmt: skip


# --- in processes of their own -------------------------------------------------------------------------------------


def answers(url):
    """Whether something listens there."""
    with suppress(requests.ConnectionError):
        return bool(requests.get(f"{url}/_emulator/state", timeout=10))
    return False


SPEAKS = """
    from pathlib import Path

    import pytest

    @pytest.mark.parametrize("number", range(4))
    def test_speaks(bucket, number):
        Path("said").open("a").write(f"{bucket.url} {bucket.secret_key}\\n")
"""


DROPPED = """
    import json, requests

    def test_dropped(bucket):
        context = {"user": {"id": "u1", "roles": ["admin"]}}
        record = {"userId": "u1", "attributes": {"constructor": "x"}}
        headers = {"Authorization": f"Bearer {bucket.secret_key}"}
        absent = {"type": "context", "field": "user.plan", "operator": "IS", "values": ["pro"]}
        bucket.define({"huddle": {"type": "negation", "filter": absent}})
        asked = {"contextJson": json.dumps(context)}
        answer = requests.get(bucket.url + "/features/evaluated", asked, headers=headers, timeout=10).json()
        said = [requests.post(bucket.url + "/user", json=record, headers=headers, timeout=10).status_code,
                answer["features"]["huddle"]["isEnabled"]]
        open("said", "w").write(json.dumps(said))
"""


@pytest.mark.kit
@pytest.mark.parametrize("place", ["ini", "options"])
@pytest.mark.parametrize(
    ("strict", "evaluation", "said"),
    [("true", "2026", [400, False]), ("false", "2025", [200, True])],
)
def test_the_emulator_is_started_as_the_options_say(pytester, place, strict, evaluation, said):
    """On the command line or in the ini file; what is not said is as the emulator has it."""
    lines = f"bucket_strict = {strict}\nbucket_evaluation = {evaluation}" if place == "ini" else ""
    pytester.makeini(f"[pytest]\n{lines}")
    pytester.makepyfile(DROPPED)
    words = ["--bucket-strict"] * (strict == "true") + ["--bucket-evaluation", evaluation]

    with suite(pytester.path, *(words if place == "options" else [])) as session:
        assert session.wait() == 0

    assert json.loads(Path(pytester.path, "said").read_text()) == said


@pytest.mark.kit
def test_workers_share_one_emulator_and_no_keys(pytester):
    """It is gone when they are."""
    pytester.makepyfile(SPEAKS)

    with suite(pytester.path, "-n", "2") as session:
        assert session.wait() == 0

    said = set(Path(pytester.path, "said").read_text().splitlines())
    (url,) = {line.split()[0] for line in said}
    assert len(said) == 2, "each worker has its own keys"
    assert not answers(url)


@pytest.mark.kit
def test_workers_that_do_not_use_it_start_and_load_nothing(pytester):
    """The process that starts them only says where they could ask."""
    pytester.makeconftest("""
        import sys

        def pytest_unconfigure(config):
            ours = {name for name in sys.modules if name.startswith("bucket_loader.integrations.pytest.")}
            open("ours", "a").write(" ".join(sorted(name.rpartition(".")[2] for name in ours)) + "\\n")
    """)
    pytester.makepyfile("def test_one(): pass")

    with suite(pytester.path, "-n", "2") as session:
        assert session.wait() == 0

    assert set(Path(pytester.path, "ours").read_text().splitlines()) == {"plugin", "plugin process shared"}


@pytest.mark.kit
@pytest.mark.parametrize("words", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_an_emulator_does_not_outlive_a_session_that_is_killed(pytester, words):
    """Its stdin ends with the process that started it."""
    os.mkfifo(pytester.path / "here")
    pytester.makepyfile("""
        import threading

        def test_waits(bucket):
            open("here", "w").write(bucket.url)
            threading.Event().wait(60)
    """)
    with suite(pytester.path, *words) as session:
        url = (pytester.path / "here").read_text()
        assert answers(url)

        session.send_signal(signal.SIGKILL)

    while answers(url):
        pass
