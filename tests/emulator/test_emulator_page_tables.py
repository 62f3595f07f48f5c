"""The page's tables, cards and calls, in a real browser: what was sent, why it was refused, who has what and why."""

import json

import pytest
from emulator_api import SECRET, Api

from bucket_loader.emulator.http.server import running

pytestmark = pytest.mark.browser
PRO = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}
ADMIN = {"type": "context", "field": "user.role", "operator": "IS", "values": ["admin"]}
BOTH = {"type": "group", "operator": "and", "filters": [PRO, ADMIN]}
FEATURES = {"features": [{"key": "reports", "targeting": {"version": 1, "rules": [{"filter": BOTH}, {"filter": PRO}]}}]}


def cells(page):
    """Return the texts of a table's cells, row by row, the head first."""
    script = "[...document.querySelectorAll('#table tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
    return page.run(script)


def open_table(api, page, name):
    """Open a table and wait for it."""
    page.open("about:blank")
    page.open(f"{api.url}/#/{name}")
    page.wait_for("document.querySelector('#table')?.children.length")


def test_a_table_has_a_column_for_each_attribute_and_leads_on(api: Api, page):
    """A row for each user; its id leads to its card, and what comes meanwhile appears."""
    api.post("/user", {"userId": "u/1", "attributes": {"plan": "pro", "note": "<b>bold</b>"}})
    open_table(api, page, "users")

    head, row = cells(page)
    assert head[:3] == ["userId", "plan", "note"]
    assert row[:3] == ["u/1", "pro", "<b>bold</b>"]
    api.post("/user", {"userId": "u2"})
    page.wait_for("document.querySelectorAll('#table tbody tr').length === 2")
    page.run("document.querySelector('#table a').click()")
    page.wait_for("document.querySelector('#view h2')?.innerText.includes('u/1')")
    assert page.run("document.querySelector('[aria-selected=true]').id") == "tab-users"


def test_a_table_is_filtered_as_one_types_and_turned_page_by_page(api: Api, page):
    """Pages of fifty, there and back; the filter begins at the first page, and the CSV follows it."""
    api.post("/bulk", [{"type": "event", "userId": f"u{number}", "event": f"e{number:03d}"} for number in range(120)])
    open_table(api, page, "events")
    page.wait_for("document.querySelectorAll('#table tbody tr').length === 50")
    assert page.run("document.querySelector('#page-back').disabled")

    page.run("document.querySelector('#page-on').click()")
    page.wait_for("document.querySelector('#table-note').innerText === 'rows 51 to 100 of 120'")
    page.run("document.querySelector('#page-on').click()")
    page.wait_for("document.querySelector('#table-note').innerText === 'rows 101 to 120 of 120'")
    assert page.run("document.querySelector('#page-on').disabled")
    page.run("document.querySelector('#page-back').click()")
    page.wait_for("document.querySelector('#table-note').innerText === 'rows 51 to 100 of 120'")
    page.run("document.querySelector('#filter').focus()")
    page.type("E11")
    page.wait_for("document.querySelector('#table-note').innerText.startsWith('rows 1 to 10 of 10')")

    address = page.run("document.querySelector('a[download]').href")
    assert api.session.get(address, timeout=10).text.count("\n") == 11
    page.type("x")
    page.wait_for("document.querySelector('#table').innerText === 'No row holds this text.'")


def test_what_the_loader_rejected_stands_beside_what_bucket_refused(api: Api, page):
    """With source, place, field and reason, and a way to the call that was refused."""
    api.post("/user", {"userId": ""})
    api.put("/_emulator/rejected", {"total": 1, "rejected": [
        {"at": "2026-01-01T00:00:00Z", "run": "r", "stream": "users", "source": "users.csv", "place": "row 17",
         "reasons": [{"message": "is not a number", "field": "attributes.seats"}], "row": '{"seats":"many"}'},
    ]})  # fmt: skip
    page.open(api.url)
    page.wait_for("document.querySelector('#rejected-note')?.innerText.includes('rejected 1 row, which it never sent')")
    open_table(api, page, "rejected")

    _, refused, rejected = cells(page)
    assert refused[1:4] == ["Bucket", "request 1", "userId"]
    assert rejected[1:] == [
        "the loader",
        "users: users.csv, row 17",
        "attributes.seats",
        "is not a number",
        '{"seats":"many"}',
    ]
    page.run("document.querySelector('#table a').click()")
    page.wait_for("document.querySelector('#view h2')?.innerText.includes('POST /user')")


def test_a_call_opens_to_its_headers_body_and_answer(api: Api, page):
    """From the overview; the key is masked, and what is JSON is set out."""
    api.post("/user", {"userId": "u1", "attributes": {"plan": "pro"}})
    page.open(api.url)
    page.wait_for("document.querySelector('#requests a')")

    page.run("document.querySelector('#requests a').click()")
    page.wait_for("document.querySelectorAll('#view pre').length === 2")

    sent, answered = page.run("[...document.querySelectorAll('#view pre')].map((node) => node.innerText)")
    assert json.loads(sent)["userId"] == "u1"
    assert "\n" in sent
    assert json.loads(answered) == {"success": True}
    shown = page.text("#view")
    assert f"Bearer {SECRET[:4]}…" in shown
    assert SECRET not in shown


def test_a_card_says_which_features_somebody_has_and_why(api: Api, page):
    """The rule that decided, each condition with its mark and value, and the request that last set it."""
    api.put("/_emulator/features", FEATURES)
    api.post("/company", {"companyId": "c1", "userId": "u1", "attributes": {"plan": "free"}})
    api.post("/user", {"userId": "u1", "attributes": {"role": "guest"}})
    api.post("/company", {"companyId": "c1", "attributes": {"plan": "pro"}})

    page.open(f"{api.url}/#/user/u1")
    page.wait_for("document.querySelectorAll('.origin a').length === 3")

    assert page.text(".why summary") == "on reports rule 2 matches"
    page.run("document.querySelector('.why details').open = true")
    marks = page.run("[...document.querySelectorAll('.conditions .mark')].map((node) => node.innerText)")
    words = page.run("[...document.querySelectorAll('.conditions .condition')].map((node) => node.innerText)")
    assert marks == ["✗", "✓", "✗", "✓"]
    assert words[1].startswith('company.plan is pro — it is "pro", set by request 3')
    origins = page.run("[...document.querySelectorAll('.origin a')].map((node) => node.innerText)")
    assert origins == ["request 3", "request 2", "request 3"]


@pytest.mark.parametrize("address", ["#/nonsense", "#/users/x", "#/user", "#main", "#/user//"])
def test_an_address_that_leads_nowhere_says_so(api: Api, page, address):
    """And leads to the overview."""
    page.open(f"{api.url}/{address}")
    page.wait_for("document.querySelector('#view h2')")

    if address == "#/user//":
        page.wait_for("document.querySelector('#view').innerText.includes('There is no such user')")
        page.complaints.clear()  # Chromium tells of every 404
        return
    assert page.text("#view h2") == "There is no such page"
    page.run("document.querySelector('#view a').click()")
    page.wait_for("!document.querySelector('#overview').hidden")


def test_what_is_not_there_says_so(api: Api, page):
    """A call that is no longer kept, and a feature that nobody defined."""
    for address, words in [("request/77", "no such request"), ("feature/none", "no such feature")]:
        page.open("about:blank")
        page.open(f"{api.url}/#/{address}")
        page.wait_for(f"document.querySelector('#view')?.innerText.includes('{words}')")
    page.complaints.clear()  # Chromium tells of every 404


def test_an_empty_page_says_how_to_begin(api: Api, page):
    """The address, the key and three commands, each with a button that copies it; gone with the first record."""
    page.open(api.url)
    page.wait_for("document.querySelectorAll('#start .copied').length === 5")

    copied = page.run("[...document.querySelectorAll('#start code')].map((node) => node.innerText)")
    assert copied[:2] == [api.url, SECRET]
    assert all(api.url in command for command in copied[2:])
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.run("document.querySelectorAll('#start button')[2].click()")
    page.wait_for("window.copied?.startsWith('curl ')")
    api.post("/user", {"userId": "u"})
    page.wait_for("document.querySelector('#start').hidden")


def test_a_page_whose_emulator_is_gone_is_dimmed_until_it_is_back(browser):
    """It says since when there is no answer, keeps what it has, and comes back by itself."""
    keys = {"secret_key": "sec_a", "publishable_key": "pub_a"}
    with browser.page() as page:
        with running(**keys) as endpoint:
            page.open(endpoint.url)
            page.wait_for("document.querySelector('#status.live')")
            port = int(endpoint.url.rpartition(":")[2])
        page.wait_for("document.querySelector('#lost').innerText.startsWith('No answer since')")
        assert float(page.run("getComputedStyle(document.querySelector('#panel')).opacity")) < 1
        assert page.text("#status-text") == "no answer"
        with running(**keys, port=port):
            page.wait_for("document.querySelector('#status.live') && document.querySelector('#lost').hidden")
            assert page.run("document.body.className") == ""


def test_the_counts_of_holders_are_complete_by_themselves(browser):
    """Without a click, and all bars are of one width."""
    with running(features=FEATURES) as endpoint:
        api = Api(endpoint)
        with api.session, browser.page() as page:
            for start in range(0, 30_000, 10_000):
                items = [{"type": "user", "userId": f"u{number}"} for number in range(start, start + 10_000)]
                assert api.post("/bulk", items).status_code == 200
            api.post("/company", {"companyId": "c", "userId": "u1", "attributes": {"plan": "pro"}})
            page.open(api.url)
            page.wait_for("document.querySelector('.who')?.innerText.includes('1 of 30,000')")

            widths = page.run("[...document.querySelectorAll('.share progress')].map((bar) => bar.offsetWidth)")
            assert len(widths) == 2
            assert len(set(widths)) == 1
            assert page.complaints == []
