"""The page at `/`, in a real browser."""

import json
import time
from urllib.parse import quote

import pytest
from emulator_api import Api

from bucket_loader.emulator.http.server import running
from bucket_loader.emulator.inspector.page import FILES

pytestmark = pytest.mark.browser
HOSTILE = '<script>window.hurt=1</script><img src=x onerror="window.hurt=1">"\'&amp;'
RULE = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
FEATURE = {"key": "reports", "targeting": {"version": 1, "rules": [{"filter": RULE}]}}


def rows(page, selector):
    """Return the texts of all elements that match."""
    return page.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((node) => node.innerText)")


def find(page, words):
    """Search as a person would: press the slash, type, press Enter."""
    page.press("/", "/")
    page.type(words)
    page.press("Enter", "\r")


def test_the_counts_are_those_of_the_store(api: Api, page):
    """The page shows how much there is of everything, and follows what comes in."""
    api.post("/bulk", [{"type": "user", "userId": str(number)} for number in range(1234)])
    api.post("/event", {"userId": "1", "event": "e"})

    page.open(api.url)
    page.wait_for("document.querySelector('#count-users')?.textContent === '1,234'")

    for name, number in api.state().items():
        assert page.text(f"#count-{name}") == f"{number:,}"
    api.post("/company", {"companyId": "c"})
    page.wait_for("document.querySelector('#count-companies').textContent === '1'")


def test_a_search_finds_a_user_and_its_timeline(api: Api, page):
    """From the keyboard: a name leads to the user, its attributes, and what arrived for it, in order."""
    api.post("/user", {"userId": "u-1", "attributes": {"name": "Ada Lovelace", "plan": "pro"}})
    api.post("/bulk", [{"type": "user", "userId": "u-2"}, {"type": "event", "userId": "u-1", "event": "signed in"}])
    api.post("/feedback", {"userId": "u-1", "key": "reports", "score": 4, "comment": "good"})
    page.open(api.url)
    page.wait_for("document.querySelector('#status.live')")

    find(page, "lovelace")
    page.wait_for("document.querySelector('.found a')")
    page.run("document.querySelector('.found a').focus()")
    page.press("Enter", "\r")
    page.wait_for("document.querySelectorAll('.timeline li').length === 3")

    assert page.text("#view h2").split() == ["user", "u-1", "Ada", "Lovelace"]
    assert rows(page, ".timeline .badge") == ["user", "event", "feedback"]
    assert rows(page, ".timeline .what")[1:] == ["signed in", "reports: score 4: “good”"]
    assert "pro" in page.text("#view .halves")
    assert "Ada Lovelace" in page.run("document.title + document.querySelector('#view').innerText")
    page.run("history.back()")
    page.wait_for("document.querySelector('.found a')")


def test_a_company_leads_to_its_users(api: Api, page):
    """Links go from a company to its users and back, whatever their ids hold."""
    api.post("/company", {"companyId": "a/b c#d?%41", "userId": "ü/1", "attributes": {"name": "Acme"}})

    page.open(f"{api.url}/#/company/{quote('a/b c#d?%41', safe='')}")
    page.wait_for("document.querySelector('.chips a')")
    page.run("document.querySelector('.chips a').click()")
    page.wait_for("document.querySelector('#view h2')?.innerText.includes('ü/1')")

    page.wait_for("document.querySelector('.timeline li')")
    page.run("document.querySelector('.chips a').click()")
    page.wait_for("document.querySelector('#view h2')?.innerText.includes('a/b c#d?%41')")


def test_what_was_deleted_still_has_its_timeline(api: Api, page):
    """Who is not there any more has no attributes, but what arrived is told to the end."""
    app = api.get("/api/bootstrap").json()["org"]["apps"][0]
    api.post("/user", {"userId": "u-1", "attributes": {"plan": "pro"}})
    path = f"/api/apps/{app['id']}/envs/{app['environments'][0]['id']}/users/u-1"
    assert api.session.delete(api.url + path, timeout=10).status_code == 200

    page.open(f"{api.url}/#/user/u-1")
    page.wait_for("document.querySelectorAll('.timeline li').length === 2")

    assert rows(page, ".timeline .badge") == ["user", "delete-user"]
    assert "There is no such user" in page.text("#view")
    page.complaints.clear()  # Chromium tells of every 404


def test_a_refused_request_is_shown_with_its_mistake(api: Api, page):
    """What was wrong, in which field, and what was sent there; the verdict stands in the list as well."""
    api.post("/bulk", [{"type": "user", "userId": "good"}, {"type": "event", "userId": "u", "event": ""}])
    api.post_bytes("/user", b'{"userId": oops}')

    page.open(api.url)
    page.wait_for("document.querySelectorAll('#refused > li').length === 2")

    newest, first = rows(page, "#refused > li")
    assert "not JSON" in newest
    assert "oops" in newest
    assert rows(page, "#refused .field")[1] == "[1].event"
    assert '"event": ""' in first
    assert "good" not in first
    assert rows(page, "#requests .verdict") == ["400 refused", "400 refused"]


def test_hostile_content_is_text(api: Api, page):
    """Whatever a record holds, it is shown as it is, and nothing of it runs."""
    api.put("/_emulator/features", {"features": [{**FEATURE, "key": HOSTILE, "description": HOSTILE}]})
    api.post("/bulk", [
        {"type": "user", "userId": HOSTILE, "attributes": {"name": HOSTILE, HOSTILE: HOSTILE, "__proto__": HOSTILE}},
        {"type": "company", "companyId": HOSTILE, "userId": HOSTILE, "attributes": {"plan": "pro", "name": HOSTILE}},
        {"type": "event", "userId": HOSTILE, "event": HOSTILE, "companyId": HOSTILE},
        {"type": "feedback", "userId": HOSTILE, "key": HOSTILE, "comment": HOSTILE},
    ])  # fmt: skip
    api.post("/user", {"userId": 1, "timestamp": HOSTILE})
    api.fault({"kind": "poison", "match": HOSTILE})
    api.post("/user", {"userId": HOSTILE})

    page.open(api.url)
    page.wait_for("document.querySelector('.share')")
    for path in ("user", "company", "feature", "search"):
        page.open("about:blank")
        page.open(f"{api.url}/#/{path}/{quote(HOSTILE, safe='')}")
        page.wait_for("document.querySelector('.look')")
        assert HOSTILE in page.text("#view h2")
        assert page.run("document.querySelectorAll('main script, main img, main [onerror]').length") == 0

    assert page.run("window.hurt") is None


def test_features_and_who_has_them(api: Api, page):
    """A feature tells in words whom it is for, how many have it, and who they are."""
    api.put("/_emulator/features", {"features": [FEATURE]})
    api.post("/bulk", [
        {"type": "company", "companyId": "c-pro", "userId": "u-pro", "attributes": {"plan": "pro"}},
        {"type": "company", "companyId": "c-free", "userId": "u-free", "attributes": {"plan": "free"}},
        {"type": "user", "userId": "u-alone"},
    ])  # fmt: skip

    page.open(api.url)
    page.wait_for("document.querySelectorAll('.share').length === 2")

    assert "company.plan is pro" in page.text("#features")
    assert [row.split("\n")[-1] for row in rows(page, ".share")] == ["1 of 2", "1 of 3"]
    page.run("document.querySelector('#features a').click()")
    page.wait_for("document.querySelectorAll('.found strong').length === 2")
    assert rows(page, ".found strong") == ["c-pro", "u-pro"]


def test_each_environment_has_a_page(api: Api, page):
    """Where there are several, the head has a choice of them, and each shows what is its own."""
    api.post("/user", {"userId": "u", "attributes": {"name": "Ada"}})
    page.open(api.url)
    page.wait_for("document.querySelector('#status.live')")
    assert page.run("document.querySelector('#environment').hidden")

    other = api.post("/_emulator/environments", {"name": "other"}).json()
    for _ in range(2):
        api.session.post(f"{api.url}/{other['publishableKey']}/company", json={"companyId": "c"}, timeout=10)
    page.open(f"{api.url}/?environment=other")
    page.wait_for("document.querySelector('#count-companies')?.textContent === '1'")

    assert page.run("[...document.querySelectorAll('#environment option')].map((one) => one.value)") == [
        "main",
        "other",
    ]
    assert page.run("document.querySelector('#environment').value") == "other"
    assert page.text("#count-users") == "0"
    assert page.run("document.title") == "other · Bucket emulator"
    page.run("document.querySelector('#environment').focus()")
    page.type("m")
    page.press("m", "m")
    page.wait_for("document.querySelector('#count-users')?.textContent === '1'")
    assert page.run("location.search") == ""
    api.session.delete(f"{api.url}/_emulator/environments/other", timeout=10)


CHECKED = "document.querySelector('.switch input:checked')?.value"


@pytest.mark.parametrize(("where", "whom"), [("", ".features .whom"), ("#/feature/reports", ".rules")])
def test_a_feature_can_be_switched(api: Api, page, where, whom):
    """With the mouse or the keyboard: on and off for everybody, and back to its rules. The focus stays where it is."""
    api.put("/_emulator/features", {"features": [FEATURE]})
    key = FEATURE["key"]
    page.open(f"{api.url}/{where}")
    page.wait_for(f"{CHECKED} === 'rules'")

    page.run("document.querySelector('.switch input[value=on] + span').click()")
    page.wait_for(f"document.querySelector('{whom}')?.innerText === 'everyone' && {CHECKED} === 'on'")
    assert api.get("/features/evaluated").json()["features"][key]["isEnabled"] is True
    page.run("document.querySelector('.switch :checked').focus()")
    page.press("ArrowRight")
    page.wait_for(f"document.querySelector('{whom}')?.innerText === 'nobody' && {CHECKED} === 'off'")
    page.wait_for("document.activeElement.value === 'off'")
    page.press("ArrowRight")
    page.wait_for(f"document.querySelector('{whom}')?.innerText.includes('company.plan') && {CHECKED} === 'rules'")
    page.wait_for("document.activeElement.value === 'rules'")

    assert api.get("/_emulator/overrides").json()["overrides"] == []


def test_the_switch_shows_what_was_switched_elsewhere(api: Api, page):
    """Also a whole definition, which is none of the three positions, and a feature that is there no more."""
    api.put("/_emulator/features", {"features": [FEATURE]})
    path = f"/_emulator/features/{FEATURE['key']}"
    page.open(api.url)
    page.wait_for(f"{CHECKED} === 'rules'")

    api.put(path, {"isEnabled": False})
    page.wait_for(f"{CHECKED} === 'off'")
    api.put(path, {"targeting": FEATURE["targeting"]})
    page.wait_for(f"document.querySelector('.switch.overridden') && {CHECKED} === undefined")
    api.put("/_emulator/features", {"features": []})
    page.wait_for("document.querySelectorAll('.switch').length === 0")


def test_active_faults_are_told(api: Api, page):
    """Faults stand at the top while they are active, with how often they struck; those that are over do not."""
    api.fault({"kind": "status", "status": 500, "rate": 0.05}, {"kind": "html", "times": 1})
    api.post("/user", {"userId": "u"})

    page.open(api.url)
    page.wait_for("document.querySelectorAll('#fault-list li').length === 2")

    assert page.text("#faults").startswith("1 fault is active: status.")
    status, html = rows(page, "#fault-list li")
    assert "5 % of calls" in status
    assert "over" in html
    assert "struck 1 time" in html
    api.fault()
    page.wait_for("document.querySelector('#faults').hidden")


def test_looking_leaves_no_trace_in_the_log(api: Api, page):
    """The page is not a call of the API: it is neither counted nor listed."""
    page.open(api.url)
    page.wait_for("document.querySelector('#status.live')")

    assert api.state()["requests"] == 0


def test_it_keeps_up_only_while_it_is_looked_at(api: Api, page):
    """A hidden page asks for nothing; when it is shown again it catches up at once."""
    page.open(api.url)
    page.wait_for("document.querySelector('#status.live')")
    page.run("Object.defineProperty(document, 'hidden', {configurable: true, get: () => window.isHidden})")
    page.run("window.isHidden = true, performance.clearResourceTimings()")
    time.sleep(0.3)  # what was under way
    page.run("performance.clearResourceTimings()")
    api.post("/user", {"userId": "u"})

    time.sleep(0.5)  # twice as long as a page that is seen would wait

    assert page.run("performance.getEntriesByType('resource').length") == 0
    page.run("window.isHidden = false, document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for("document.querySelector('#count-users').textContent === '1'")


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_on_a_phone_by_day_and_by_night(api: Api, page, dark):
    """Nothing sticks out of a narrow screen, and the page is dark where the system is."""
    api.post("/company", {"companyId": "c" * 150, "userId": "u", "attributes": {"x" * 150: "y" * 500}})
    api.post("/user", {"userId": 1, "timestamp": "z" * 300})
    page.resize(360, 740, dark=dark)

    for path in ("", f"#/company/{'c' * 150}", "#/search/c"):
        page.open(f"{api.url}/{path}")
        page.wait_for("document.querySelector('.look, #requests li')")
        assert page.run("document.documentElement.scrollWidth") <= 360
    shade = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (shade < 60) is dark


def test_everything_can_be_reached_with_the_keyboard(api: Api, page):
    """Tab visits the search, the tab that is shown, every link and every button, and shows where it is."""
    api.put("/_emulator/features", {"features": [FEATURE]})
    api.post("/user", {"userId": ""})
    page.open(api.url)
    page.wait_for("document.querySelector('#features a') && document.querySelector('#refused pre')")
    visited = []

    for _ in range(30):
        page.press("Tab")
        node = "document.activeElement"
        visited.append(page.run(f"[{node}.id || {node}.tagName, getComputedStyle({node}).outlineStyle]"))
        if visited[-1][0] == "BODY":
            break

    names = [name for name, _ in visited]
    assert names[:4] == ["skip", "A", "search-text", "tab-overview"]
    assert {"PRE", "INPUT"} <= set(names)
    assert [outline for name, outline in visited if name != "BODY"] == ["solid"] * (len(visited) - 1)


def test_the_tabs_are_walked_with_the_arrows(api: Api, page):
    """Left and right, to either end, around it; the skip button leads past them to the content."""
    page.open(api.url)
    page.wait_for("document.querySelector('#status.live')")
    page.run("document.querySelector('#tab-overview').focus()")

    for key, tab in [("ArrowRight", "users"), ("End", "rejected"), ("ArrowRight", "overview"),
                     ("ArrowLeft", "rejected"), ("ArrowLeft", "requests"), ("Home", "overview")]:  # fmt: skip
        page.press(key)
        page.wait_for(f"document.querySelector('[aria-selected=true]').id === 'tab-{tab}'")
        assert page.run("document.activeElement.id") == f"tab-{tab}"
        assert page.run("document.querySelectorAll('[role=tab][tabindex=\"0\"]').length") == 1
    page.run("document.querySelector('#skip').click()")
    assert page.run("document.activeElement.id") == "main"


def test_a_large_store_opens_in_about_a_second(browser):
    """200,000 records, a feature and a refusal: the page is there at once, small, and the last user is found."""
    with running() as endpoint:
        api = Api(endpoint)
        with api.session:
            api.put("/_emulator/features", {"features": [FEATURE]})
            for start in range(0, 200_000, 10_000):
                items = [{"type": "user", "userId": f"u{number}"} for number in range(start, start + 10_000)]
                assert api.post("/bulk", items).status_code == 200
            with browser.page() as page:
                begun_s = time.monotonic()
                page.open(api.url)
                page.wait_for("document.querySelector('#count-users')?.textContent === '200,000'")
                page.wait_for("document.querySelectorAll('#requests li').length > 5")
                taken_s = time.monotonic() - begun_s

                assert taken_s < 5, "about a second where nothing else runs; tests share their machine"
                assert page.run("document.querySelectorAll('*').length") < 500
                page.open(f"{api.url}/#/user/u199999")
                page.wait_for("document.querySelector('.timeline li')")
                assert page.complaints == []


@pytest.mark.parametrize("path", ["/", *(f"/_emulator/page/{name}" for name in sorted(FILES))])
def test_the_page_may_run_nothing_but_its_own(api: Api, path):
    """Every part of it says that no other host, no inline script and no frame is allowed."""
    answer = api.get(path)

    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "//" not in answer.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpage.py", "%2e%2e/page.py", "index.html%00"])
def test_only_the_page_is_given_out(api: Api, name):
    """There is no way to other files."""
    assert api.get(f"/_emulator/page/{name}").status_code == 404
