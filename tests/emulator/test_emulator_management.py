"""The management API: what it changes is what the other API knows, evaluates and keeps."""

import json
from urllib.parse import quote

import pytest
import requests
from emulator_api import PUBLISHABLE, SECRET, Api

from bucket_loader.emulator.http.server import running

NOBODY = {"version": 1, "rules": []}
BLUE = {"key": "blue", "payload": {"a": 1}, "filter": {"type": "constant", "value": True}}
HUDDLE = {"key": "huddle", "targeting": NOBODY, "config": {"version": 1, "variants": [BLUE]}}
DULL = {"key": "dull", "targeting": NOBODY}


class Management:
    """Calls the management API with the ids that bootstrap names."""

    def __init__(self, api: Api) -> None:
        self.api = api
        app = api.get("/api/bootstrap").json()["org"]["apps"][0]
        self.app = f"/api/apps/{app['id']}"
        self.env_id = app["environments"][0]["id"]

    def call(self, method, path, document=None, **options):
        """Make a call of the app."""
        url = self.api.url + self.app + path
        return self.api.session.request(method, url, json=document, timeout=10, **options)

    def one(self, method, path, document=None):
        """Make a call about a user or company, which succeeds; return what it answers."""
        answer = self.call(method, f"/envs/{self.env_id}/{path}", document)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def targeted(self, path, key):
        """Return whether a flag is on for a user or company, and whether by name."""
        flags = {flag["key"]: flag for flag in self.one("GET", f"{path}/flags")["data"]}
        return flags[key]["value"], flags[key]["specificTargetValue"]


@pytest.fixture
def management(api: Api):
    """Return a client for the management API of an empty emulator with two flags."""
    assert api.put("/_emulator/features", {"features": [HUDDLE, DULL]}).status_code == 200
    return Management(api)


def version(api):
    """Return the version of the definitions."""
    return api.get("/features").json()["flagStateVersion"]


def enabled(api, query):
    """Return the features that are on for a context."""
    return set(api.get(f"/features/enabled?{query}").json()["features"])


# --- users and companies -------------------------------------------------------------------------------------------


def test_a_user_that_is_put_is_a_user_like_any_other(api: Api, management: Management):
    """It is there at once, merges with what was sent, wins with its `name`, and was not active by that."""
    api.post("/user", {"userId": "u", "attributes": {"plan": "pro", "age": 36}, "context": {"active": False}})

    answered = management.one("PUT", "users/u", {"name": "Ada", "attributes": {"plan": None, "name": "Eva"}})

    assert answered == {"id": "u", "name": "Ada", "attributes": {"plan": None, "age": 36, "name": "Ada"}}
    assert api.user("u")["attributes"] == answered["attributes"]
    assert api.user("u")["lastSeen"] is None
    assert [line["type"] for line in api.journal()] == ["user", "user"]


@pytest.mark.parametrize("body", [{}, None, {"attributes": None}])
def test_nothing_has_to_be_named_of_a_company(api: Api, management: Management, body):
    """A company may be made by its id alone; what is not named stays."""
    api.post("/company", {"companyId": "known", "attributes": {"name": "Acme"}})

    assert management.one("PUT", "companies/new", body) == {"id": "new", "attributes": {}}
    assert management.one("PUT", "companies/known", body)["name"] == "Acme"
    assert api.state()["companies"] == 2


def test_attributes_are_kept_as_those_of_the_other_api(api: Api, management: Management):
    """Lists become texts and unsafe names are dropped, and the journal has the numbers as they were sent."""
    body = b'{"attributes": {"tags": [1, null], "constructor": 1, "n": 1.50}}'
    url = f"{api.url}{management.app}/envs/{management.env_id}/users/u"

    api.session.put(url, data=body, headers={"Content-Type": "application/json; charset=utf-8"}, timeout=10)

    assert api.user("u")["attributes"] == {"tags": ["1", ""], "n": 1.5}
    assert b'"n":1.50' in api.get("/_emulator/journal").content


def test_a_name_in_the_path_may_hold_anything(api: Api, management: Management):
    """Slashes, percent signs and other letters come percent-encoded, as the vendor's client sends them."""
    for name in ("a/flags", "50%", "Århus ☃", "a+b?", "c#"):
        path = f"users/{quote(name, safe='')}"

        assert management.one("PUT", path, {})["id"] == name
        assert management.targeted(path, "dull") == (False, None)
        management.one("DELETE", path)
    assert api.state()["users"] == 0


def test_a_user_that_is_deleted_is_gone_from_its_companies(api: Api, management: Management):
    """The rest of what it did stays counted and told; it can come again, and begins anew then."""
    api.post("/company", {"companyId": "c", "userId": "u"})
    api.post("/event", {"userId": "u", "event": "e"})

    assert management.one("DELETE", "users/u") == {}

    assert management.call("DELETE", f"/envs/{management.env_id}/users/u").status_code == 404
    assert api.get("/_emulator/users/u").status_code == 404
    assert api.company("c")["users"] == []
    assert (api.company("c")["events"], api.state()["events"], api.state()["users"]) == (1, 1, 0)
    items = api.get("/_emulator/timeline?kind=user&id=u").json()["items"]
    assert [item["type"] for item in items] == ["company", "event", "delete-user"]
    assert api.get("/_emulator/journal?type=delete-user").json()["item"] == {"userId": "u"}
    api.post("/event", {"userId": "u", "event": "e"})
    assert api.user("u")["companies"] == []
    assert (api.user("u")["events"], api.state()["unassociated_events"]) == (1, 1)


@pytest.mark.parametrize(("body", "left"), [(None, {"both"}), ({"deleteUsers": False}, {"both", "only"})])
def test_a_company_takes_along_who_is_in_no_other(api: Api, management: Management, body, left):
    """Unless it is asked to leave them; who stays belongs to the company it is still in."""
    api.post("/company", {"companyId": "stays", "userId": "both"})
    api.post("/company", {"companyId": "goes", "userId": "both"})
    api.post("/company", {"companyId": "goes", "userId": "only"})

    management.one("DELETE", "companies/goes", body)

    assert {user for user in ("both", "only") if api.get(f"/_emulator/users/{user}").status_code == 200} == left
    assert (api.user("both")["companies"], api.user("both")["defaultCompany"]) == (["stays"], "stays")
    api.post("/event", {"userId": "both", "event": "e"})
    api.post("/event", {"userId": "only", "event": "e"})
    assert (api.company("stays")["events"], api.state()["unassociated_events"]) == (1, 1)
    items = api.get("/_emulator/timeline?kind=company&id=goes").json()["items"]
    assert items[-1]["type"] == "delete-company"


def test_what_was_deleted_stays_away_after_a_kill(tmp_path):
    """With a folder for its state, deletions, names and who is targeted are there again."""
    with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session:
            management = Management(api)
            management.call("POST", "/flags", {"key": "new", "name": "New one"})
            for name in ("u", "v"):
                api.post("/company", {"companyId": "c", "userId": name})
            management.one("PATCH", "users/v/flags", {"updates": [{"flagKey": "new", "specificTargetValue": True}]})
            management.one("DELETE", "users/u")
            before = api.get("/features").json()
            endpoint.process.kill()

    with running(data_dir=tmp_path, secret_key=SECRET, publishable_key=PUBLISHABLE) as endpoint:
        api = Api(endpoint)
        with api.session:
            assert api.company("c")["users"] == ["v"]
            assert api.state()["users"] == 1
            assert api.get("/features").json()["features"] == before["features"]
            assert Management(api).targeted("users/v", "new") == (True, True)


# --- flags ---------------------------------------------------------------------------------------------------------


def test_an_override_stays_in_front_of_what_is_changed(api: Api, management: Management):
    """A change of a flag neither lifts an override nor makes it a definition."""
    api.put("/_emulator/features/huddle", {"isEnabled": True})

    management.call("POST", "/flags", {"key": "new", "name": "New one"})

    assert enabled(api, "context.user.id=u") == {"huddle"}
    api.session.delete(f"{api.url}/_emulator/features/huddle", timeout=10)
    assert enabled(api, "context.user.id=u") == set()
    assert [feature["key"] for feature in api.get("/features").json()["features"]] == ["huddle", "dull", "new"]


def test_a_flag_is_made_and_changed(api: Api, management: Management):
    """What it is called is kept beside its definition, each change raises the version, and nobody has it."""
    before = version(api)

    made = management.call("POST", "/flags", {"key": "new", "name": "New one", "description": "d"}).json()
    assert made["flagStateVersions"] == {management.env_id: version(api)}
    assert version(api) > before
    path = f"/flags/{made['flag']['id']}"
    changed = management.call("PATCH", path, {"name": "Newer", "description": None, "isArchived": True}).json()

    assert made["flag"].items() >= {"key": "new", "name": "New one", "description": "d", "archived": False}.items()
    assert changed["flag"].items() >= {"id": made["flag"]["id"], "name": "Newer", "archived": True}.items()
    assert "description" not in changed["flag"]
    assert (
        changed["flagStateVersions"][management.env_id] == version(api) > made["flagStateVersions"][management.env_id]
    )
    assert [flag["name"] for flag in management.call("GET", "/flags").json()["data"]] == ["huddle", "dull", "Newer"]
    assert [feature["key"] for feature in api.get("/features").json()["features"]] == ["huddle", "dull", "new"]
    assert enabled(api, "context.user.id=u") == set()


def test_a_flag_is_there_once(management: Management):
    """A key that is taken is refused, and so is a change of a flag that is not there."""
    taken = management.call("POST", "/flags", {"key": "dull", "name": "Dull"})
    unknown = management.call("PATCH", "/flags/fl0", {"name": "n"})

    assert (taken.status_code, taken.json()["error"]["code"]) == (400, "not_possible")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(("path", "query"), [("users/u", "context.user.id=u"), ("companies/c", "context.company.id=c")])
def test_a_flag_is_turned_on_for_one_by_name(api: Api, management: Management, path, query):
    """Clients that ask see it, and so do those that read the definitions; null ends it, and nobody else has it."""
    management.one("PUT", path, {})

    changed = management.one("PATCH", f"{path}/flags", {"updates": [{"flagKey": "dull", "specificTargetValue": True}]})

    assert changed["flagStateVersion"] == version(api)
    assert [flag["value"] for flag in changed["data"]] == [False, True]
    assert management.targeted(path, "dull") == (True, True)
    assert enabled(api, query) == {"dull"}
    assert enabled(api, query + "2") == set()
    assert len(api.get("/features").json()["features"][1]["targeting"]["rules"]) == 1

    management.one("PATCH", f"{path}/flags", {"updates": [{"flagKey": "dull", "specificTargetValue": None}]})

    assert management.targeted(path, "dull") == (False, None)
    assert api.get("/features").json()["features"][1]["targeting"] == {"version": 3, "rules": []}


def test_who_has_a_flag_by_its_rules_is_not_targeted_by_name(api: Api, management: Management):
    """The rules of a flag hold beside the names, with the stored attributes; no name is listed twice."""
    rule = {"filter": {"type": "context", "field": "user.plan", "operator": "IS", "values": ["pro"]}}
    api.put("/_emulator/features", {"features": [{"key": "f", "targeting": {"version": 1, "rules": [rule]}}]})
    management.one("PUT", "users/u", {"attributes": {"plan": "pro"}})
    assert management.targeted("users/u", "f") == (True, None)

    on = {"updates": [{"flagKey": "f", "specificTargetValue": True}] * 2}
    management.one("PATCH", "users/u/flags", on)
    management.one("PUT", "users/v", {})
    management.one("PATCH", "users/v/flags", on)

    rules = api.get("/features").json()["features"][0]["targeting"]["rules"]
    assert [one["filter"]["values"] for one in rules] == [["pro"], ["u", "v"]]


def test_clients_that_listen_learn_of_it_at_once(api: Api, management: Management):
    """The version that a change answers with is the one that is pushed."""
    management.one("PUT", "users/u", {})
    on = {"updates": [{"flagKey": "dull", "specificTargetValue": True}]}

    with api.session.get(f"{api.url}/sse/server", stream=True, timeout=10) as stream:
        pieces = stream.iter_content(None)
        next(pieces)
        of_one = management.one("PATCH", "users/u/flags", on)["flagStateVersion"]
        first = next(pieces)
        of_all = management.call("POST", "/flags", {"key": "new", "name": "n"}).json()["flagStateVersions"]
        second = next(pieces)

    assert str(of_one).encode() in first
    assert str(of_all[management.env_id]).encode() in second


def test_an_override_stands_in_front_of_what_is_changed_here(api: Api, management: Management):
    """It decides while it lasts, and what was changed meanwhile is there when it is lifted."""
    management.one("PUT", "users/u", {})
    api.put("/_emulator/features/dull", {"isEnabled": False})
    api.put("/_emulator/features/only-there", {"isEnabled": True})

    management.one("PATCH", "users/u/flags", {"updates": [{"flagKey": "dull", "specificTargetValue": True}]})
    assert management.targeted("users/u", "dull") == (False, True)
    assert enabled(api, "context.user.id=u") == {"only-there"}
    api.session.delete(f"{api.url}/_emulator/features/dull", timeout=10)

    assert management.targeted("users/u", "dull") == (True, True)
    assert enabled(api, "context.user.id=u") == {"dull", "only-there"}


def test_flags_of_nobody_and_unknown_flags_change_nothing(api: Api, management: Management):
    """Who is not there has no flags, and of several updates none is done when one is of no flag."""
    known = {"flagKey": "dull", "specificTargetValue": True}
    management.one("PUT", "users/u", {})
    before = api.get("/features").json()

    answers = [
        management.call("GET", f"/envs/{management.env_id}/users/nobody/flags"),
        management.call("PATCH", f"/envs/{management.env_id}/companies/nobody/flags", {"updates": [known]}),
        management.call(
            "PATCH", f"/envs/{management.env_id}/users/u/flags", {"updates": [known, {**known, "flagKey": "none"}]}
        ),
    ]

    assert [answer.json()["error"]["code"] for answer in answers] == ["not_found"] * 3
    assert api.get("/features").json() == before


# --- what the command line asks ------------------------------------------------------------------------------------


def test_the_command_line_gets_its_list_sorted(management: Management):
    """By key, name or time, in either order, with the variants when it wants them."""
    asked = f"/features?envId={management.env_id}"

    ascending = management.call("GET", asked).json()
    descending = management.call("GET", f"{asked}&sortBy=name&sortOrder=desc&includeRemoteConfigs=true").json()

    assert [one["key"] for one in ascending["data"]] == ["dull", "huddle"]
    assert [one["remoteConfigs"] for one in ascending["data"]] == [[], []]
    assert [one["key"] for one in descending["data"]] == ["huddle", "dull"]
    variant = {"variant": {"key": "blue", "payload": {"a": 1}}}
    assert [one["remoteConfigs"] for one in descending["data"]] == [[{"variants": [variant]}], []]
    assert (descending["totalCount"], descending["sortBy"], descending["sortOrder"]) == (2, "name", "desc")


@pytest.mark.parametrize(("query", "field"), [("", "envId"), ("sortBy=x", "sortBy"), ("sortOrder=up", "sortOrder")])
def test_a_list_that_cannot_be_had_is_refused(management: Management, query, field):
    """The environment has to be named, and the order has to be one that is known."""
    answer = management.call("GET", f"/features?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["issues"]) == [field]


def test_the_ids_are_those_that_the_command_line_takes(management: Management):
    """Its file of settings takes app ids of fourteen characters and no others."""
    apps = management.api.get("/api/apps").json()["data"]

    assert [len(app["id"]) for app in apps] == [14]
    assert apps[0]["environments"][0].items() >= {"id": management.env_id, "isProduction": True}.items()


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("", 401, "unauthenticated"), ("x", 401, "unauthenticated"), (PUBLISHABLE, 403, "unauthorized")],
)
def test_only_the_secret_key_opens_it(api: Api, key, status, code):
    """Another key is refused in this API's own envelope."""
    answer = requests.get(f"{api.url}/api/bootstrap", headers={"Authorization": f"Bearer {key}"}, timeout=10)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert api.get("/_emulator/requests?refused=true").json()["requests"][0]["path"] == "/api/bootstrap"


def test_each_environment_is_an_app_of_its_own(api: Api, management: Management):
    """A key opens its own app; flags, users and versions of one are not those of the other."""
    made = api.post("/_emulator/environments", {"name": "other"}).json()
    key = {"Authorization": f"Bearer {made['secretKey']}"}
    (app,) = requests.get(f"{api.url}/api/apps", headers=key, timeout=10).json()["data"]

    foreign = [requests.get(f"{api.url}/api/apps/{app['id']}/flags", headers=key, timeout=10),
               requests.get(f"{api.url}{management.app}/flags", headers=key, timeout=10),
               management.api.get(f"/api/apps/{app['id']}/flags")]  # fmt: skip

    assert app["name"] == app["environments"][0]["name"] == "other"
    assert foreign[0].json() == {"data": []}
    assert [answer.status_code for answer in foreign[1:]] == [404, 404]
    api.session.delete(f"{api.url}/_emulator/environments/other", timeout=10)


def test_what_is_not_there_is_a_404(api: Api, management: Management):
    """Other apps, other environments and other paths."""
    paths = ["/api/apps/ap0/flags", f"{management.app}/envs/en0/users/u/flags", "/api/", "/api/apps/",
             f"{management.app}/features?envId=en0"]  # fmt: skip

    answers = [api.get(path) for path in paths]

    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(404, "not_found")] * 5


def test_a_method_that_is_not_there_is_a_405(api: Api):
    """It says which are."""
    answer = api.post("/api/apps", {})

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, OPTIONS")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/flags", b'{"key": "k"}', "name"),
        ("/flags", b'{"key": "", "name": "n"}', "key"),
        ("/flags", b"{", "body"),
        ("/features", b'{"key": "k", "name": ""}', "name"),
    ],
)
def test_a_wrong_body_is_refused_by_field(api: Api, management: Management, path, body, field):
    """The answer names each field, and the log of refused requests has it beside what was sent."""
    answer = api.post_bytes(management.app + path, body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert list(answer.json()["issues"]) == [field]
    (noted,) = api.get("/_emulator/requests?refused=true").json()["requests"]
    assert noted["wrong"][0]["message"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("users/u", {"attributes": []}),
        ("users/u", {"attributes": {"deep": json.loads("[" * 300 + "]" * 300)}}),
        ("users/u", {"name": 1}),
        ("users/u/flags", {"updates": [{"flagKey": "dull", "specificTargetValue": False}]}),
        ("users/u/flags", {"updates": [{"flagKey": "dull"}]}),
    ],
)
def test_wrong_changes_of_a_user_change_nothing(api: Api, management: Management, path, body):
    """Nothing is kept of them."""
    method = "PATCH" if path.endswith("flags") else "PUT"
    management.one("PUT", "users/u", {})

    assert management.call(method, f"/envs/{management.env_id}/{path}", body).status_code == 400
    assert len(api.journal()) == 1
    assert management.targeted("users/u", "dull") == (False, None)


def test_a_body_that_is_not_said_to_be_json_is_refused(api: Api, management: Management):
    """As everywhere; a call without a body need not say anything."""
    url = f"{api.url}{management.app}/envs/{management.env_id}/users/u"

    refused = api.session.put(url, data=b"{}", timeout=10)

    assert (refused.status_code, list(refused.json()["issues"])) == (400, ["Content-Type"])
    assert api.session.put(url, timeout=10).status_code == 200


def test_faults_happen_to_it(api: Api, management: Management):
    """A change meets the faults that are ordered, as a POST of the other API does."""
    api.fault({"kind": "status", "status": 503, "times": 1}, {"kind": "cut_after", "times": 1})

    refused = management.call("PUT", f"/envs/{management.env_id}/users/a", {})
    with pytest.raises(requests.ConnectionError):
        management.call("PUT", f"/envs/{management.env_id}/users/b", {})

    assert refused.status_code == 503
    assert [line["item"]["userId"] for line in api.journal()] == ["b"]
