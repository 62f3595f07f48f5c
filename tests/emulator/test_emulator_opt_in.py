"""Opting in: users and companies that take part in what their rules would keep from them."""

import contextlib
import json

import pytest
import requests
from emulator_api import PUBLISHABLE

from bucket_loader.emulator.environment import Environment
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.keys import Keys

NOBODY = {"version": 1, "rules": [{"filter": {"type": "constant", "value": False}}]}
BETA = {"key": "beta", "targeting": NOBODY, "optInEnabled": True, "optIn": {"name": "Beta", "description": "New"}}
PLAIN = {"key": "plain", "targeting": NOBODY}
ADA, BOB = {"id": "ada", "role": "admin", "tags": ["x"]}, {"id": "bob"}
ACME = {"id": "acme"}


@pytest.fixture
def with_beta(api):
    """Return an emulator with a feature that allows opting in, and one that does not."""
    assert api.put("/_emulator/features", {"features": [BETA, PLAIN]}).status_code == 200
    return api


def opt_in(api, **members):
    """Ask as the browser's client does."""
    asked = {"key": "beta", "optedIn": True, "scope": "user", "context": {"user": ADA, "company": ACME}, **members}
    return requests.post(
        f"{api.url}/flags/opt-in", json=asked, headers={"Authorization": f"Bearer {PUBLISHABLE}"}, timeout=5
    )


def seen(api, key="beta", **context):
    """Return a feature as a context gets it."""
    query = {"contextJson": json.dumps(context), "publishableKey": PUBLISHABLE}
    return requests.get(f"{api.url}/features/evaluated", params=query, timeout=5).json()["features"][key]


def test_an_opt_in_turns_a_feature_on_beside_its_rules(with_beta):
    """For the user who opted in and nobody else; the rules are as they were. Opting out ends it."""
    assert opt_in(with_beta).json()["success"] is True
    ada, bob = (seen(with_beta, user=user, company=ACME) for user in (ADA, BOB))

    assert (ada["isEnabled"], ada["value"], ada["ruleEvaluationResults"]) == (True, True, [False])
    assert ada["optInEnabled"] is True
    shown = {"name": "Beta", "description": "New"}
    assert ada["optIn"] == {"userOptedIn": True, "companyOptedIn": False, "isOptedIn": True, **shown}
    assert (bob["isEnabled"], bob["optIn"]["isOptedIn"]) == (False, False)
    enabled = requests.get(f"{with_beta.url}/features/enabled", timeout=5,
                           params={"context.user.id": "ada", "publishableKey": PUBLISHABLE})  # fmt: skip
    assert list(enabled.json()["features"]) == ["beta"]

    assert opt_in(with_beta, optedIn=False).json()["success"] is True
    assert seen(with_beta, user=ADA)["isEnabled"] is False


def test_a_company_opts_in_for_all_its_users(with_beta):
    """Whoever acts in it; a number is the id that its text is."""
    opt_in(with_beta, scope="company", context={"user": ADA, "company": {"id": 7}})

    assert seen(with_beta, user=BOB, company={"id": "7"})["optIn"].items() >= {
        "userOptedIn": False, "companyOptedIn": True, "isOptedIn": True}.items()  # fmt: skip
    assert seen(with_beta, user=ADA)["isEnabled"] is False
    assert seen(with_beta, user={"id": "7"})["isEnabled"] is False


def test_a_feature_without_opt_in_says_so(with_beta):
    """`false` and nothing else, so that a client knows that it has all there is to know."""
    assert {name: seen(with_beta, "plain")[name] for name in ("optInEnabled", "optIn")} == {
        "optInEnabled": False, "optIn": None}  # fmt: skip


@pytest.mark.parametrize("shown", [{}, {"optIn": None}, {"optIn": {"name": None}}])
def test_a_name_that_is_missing_is_the_key(api, shown):
    """Clients want a text for the name."""
    api.put("/_emulator/features", {"features": [{**PLAIN, "optInEnabled": True, **shown}]})

    assert seen(api, "plain")["optIn"].items() >= {"name": "plain", "description": None}.items()


def test_definitions_show_what_they_were_put_with(with_beta):
    """The words of an opt-in are kept, and are added nowhere."""
    beta, plain = with_beta.get("/features").json()["features"]

    assert beta.items() >= BETA.items()
    assert not {"optInEnabled", "optIn"} & set(plain)


def test_an_opt_in_is_a_change_that_clients_learn_of(with_beta):
    """The answer has the version from which on it shows; a reading that waits for it sees it."""
    before = with_beta.get("/features").json()["flagStateVersion"]
    version = opt_in(with_beta).json()["flagStateVersion"]

    assert version > before
    assert with_beta.get("/features").json()["flagStateVersion"] == version
    assert with_beta.get(f"/features/evaluated?waitForVersion={version}").json()["flagStateVersion"] == version


@pytest.mark.parametrize(
    ("members", "status", "mistake"),
    [
        ({"key": "nowhere"}, 404, None),
        ({"key": "plain"}, 400, "key: must be a feature with optInEnabled"),
        ({"key": ""}, 400, "key: "),
        ({"optedIn": "yes"}, 400, "optedIn: "),
        ({"scope": "team"}, 400, "scope: "),
        ({"scope": "company", "context": {"user": ADA}}, 400, "context.company: "),
        ({"context": {"user": {"name": "Ada"}}}, 400, "context.user.id: "),
        ({"context": {"user": {"id": ""}}}, 400, "context.user.id: "),
        ({"context": None}, 400, "context: "),
    ],
)
def test_what_cannot_be_opted_into_is_refused(with_beta, members, status, mistake):
    """The mistake is named; nothing is kept, and no version changes."""
    before = with_beta.get("/features").content
    answer = opt_in(with_beta, **members)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == ("FEATURE_NOT_FOUND" if status == 404 else "BODY_VALIDATION_FAILED")
    assert mistake is None or error["validationErrors"][0]["message"].startswith(mistake)
    assert (with_beta.journal(), with_beta.get("/features").content) == ([], before)


def test_it_wants_a_key_and_json(with_beta):
    """As every POST does; the legacy API has none."""
    place = f"{with_beta.url}/flags/opt-in"

    assert requests.post(place, json={}, timeout=5).status_code == 401
    assert with_beta.post_bytes("/flags/opt-in", b"{}", "text/plain").status_code == 400
    assert with_beta.post(f"/{PUBLISHABLE}/flags/opt-in", {}).status_code == 404


def test_opt_ins_stand_in_the_journal_and_outlive_definitions(with_beta):
    """As they were sent; a later definition of the key finds them. A reset forgets them."""
    opt_in(with_beta)
    with_beta.put("/_emulator/features", {"features": []})
    with_beta.put("/_emulator/features", {"features": [BETA]})

    assert seen(with_beta, user=ADA)["isEnabled"] is True
    [line] = with_beta.journal()
    assert (line["type"], line["item"]["key"], line["item"]["context"]["user"]) == ("opt-in", "beta", ADA)
    assert len(with_beta.get("/_emulator/journal?type=opt-in").content.splitlines()) == 1
    holders = with_beta.get("/_emulator/holders?feature=beta&kind=user").json()
    assert (holders["have"], holders["checked"]) == (0, 0)  # an opt-in makes no user

    with_beta.reset()
    with_beta.put("/_emulator/features", {"features": [BETA]})
    assert seen(with_beta, user=ADA)["isEnabled"] is False


def test_who_is_deleted_is_no_longer_opted_in(with_beta):
    """Somebody new with the same id has not opted in."""
    app, environment = (
        with_beta.get("/api/bootstrap").json()["org"]["apps"][0][name] for name in ("id", "environments")
    )
    place = f"{with_beta.url}/api/apps/{app}/envs/{environment[0]['id']}"
    with_beta.post("/user", {"userId": "ada"})
    with_beta.post("/company", {"companyId": "acme", "userId": "ada"})
    opt_in(with_beta)
    opt_in(with_beta, scope="company")

    assert with_beta.session.delete(f"{place}/users/ada", timeout=5).status_code == 200
    assert seen(with_beta, user=ADA, company=ACME)["optIn"].items() >= {"userOptedIn": False, "isOptedIn": True}.items()
    assert with_beta.session.delete(f"{place}/companies/acme", timeout=5).status_code == 200
    assert seen(with_beta, user=ADA, company=ACME)["optIn"]["isOptedIn"] is False


def test_opt_ins_survive_a_restart(tmp_path):
    """With what turned them on and what turned them off, and with their version."""
    with contextlib.closing(Environment("main", Keys("s", "p"), data_dir=tmp_path)) as before:
        before.define({"features": [BETA]})
        for user, opted_in in (("ada", True), ("bob", True), ("bob", False)):
            body = json.dumps({"key": "beta", "optedIn": opted_in, "context": {"user": {"id": user}}}).encode()
            before.opt_in(1, body, wire.TYPES["opt-in"](body))

    with contextlib.closing(Environment("main", Keys("s", "p"), data_dir=tmp_path)) as after:
        opted_in = [after.store.opt_ins.of("beta", {"user.id": user}) for user in ("ada", "bob")]
        assert opted_in == [(True, False), (False, False)]
        assert after.versions.current == before.versions.current == after.definitions.flag_state_version


def test_each_environment_has_its_own(with_beta):
    """Who opts in with the key of one has not opted in elsewhere."""
    other = with_beta.post("/_emulator/environments", {}).json()
    with_beta.put(f"/_emulator/environments/{other['name']}/features", {"features": [BETA]})
    opt_in(with_beta)

    query = {"context.user.id": "ada", "publishableKey": other["publishableKey"]}
    assert requests.get(f"{with_beta.url}/features/enabled", params=query, timeout=5).json()["features"] == {}
