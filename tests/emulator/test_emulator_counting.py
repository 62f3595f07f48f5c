"""How many have each feature: those for whom the API says so, counted in slices, kept until something changes."""

import asyncio
import time
from random import Random

import msgspec
import pytest
from emulator_api import Api
from evaluation_drawn import drawn_context, drawn_rules

from bucket_loader.emulator.environment import Environment, Start
from bucket_loader.emulator.evaluation import evaluated
from bucket_loader.emulator.inspector import counting, pace
from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.keys import Keys

PRO = {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}


def feature(key, *filters, **more):
    """Return a definition."""
    return {"key": key, "targeting": {"version": 1, "rules": [{"filter": one} for one in filters]}, **more}


def environment_of(items, features, edition="2026"):
    """Return an environment that holds records."""
    made = Environment("main", Keys("s", "p"), Start({"features": features}, evaluation=edition))
    body = msgspec.json.encode(items)
    made.accept(1, "bulk", body, wire.TYPES["bulk"](body))
    return made


def by_hand(environment):
    """Return how many companies and users have each feature, asked one by one as the API is asked."""
    store, found = environment.store, []
    for one in environment.definitions.features:
        numbers = []
        for all_of in (store.companies, store.users):
            contexts = [evaluated.context_of(seen) for seen in all_of.values()]
            fields = [{**evaluated.remembered(store, context, environment.edition), **context} for context in contexts]
            now_ms = time.time() * 1000
            entries = [evaluated.entry(one, some, now_ms, environment.edition, store.opt_ins) for some in fields]
            numbers.append(sum(entry["isEnabled"] for entry in entries))
        found.append(tuple(numbers))
    return found


def counted(environment):
    """Count to the end, and return the same."""
    for _ in range(10_000):
        answer = asyncio.run(counting.counts(environment))
        if answer.is_complete:
            return [(one.companies, one.users) for one in answer.features]
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("edition", ["2025", "2026"])
@pytest.mark.parametrize("seed", range(12))
def test_the_counts_are_what_the_api_says_of_each(edition, seed):
    """On contexts and rules by chance, with lists, nesting and absent fields, in both editions."""
    chance, items = Random(seed), []  # noqa: S311  # repeatable, not secret
    for number in range(60):
        drawn = drawn_context(chance)
        user, company = ({**drawn.get(kind, {})} for kind in ("user", "company"))
        user.pop("id", None)
        company.pop("id", None)
        items.append({"type": "user", "userId": f"u{number}", "attributes": user})
        if number % 3:
            items.append(
                {"type": "company", "companyId": f"c{number % 7}", "userId": f"u{number}", "attributes": company}
            )
    rules = [[rule["filter"] for rule in drawn_rules(chance)] for _ in range(25)]
    features = [feature(f"f{number}", *some) for number, some in enumerate(rules)]
    environment = environment_of(items, features, edition)

    assert counted(environment) == by_hand(environment)
    environment.close()


def test_rules_that_ask_for_ids_are_evaluated_for_each():
    """Where everybody has another value, nothing is remembered, and the counts are as exact."""
    rollout = {
        "type": "rolloutPercentage",
        "key": "f",
        "partialRolloutAttribute": "user.id",
        "partialRolloutThreshold": 30_000,
    }
    environment = environment_of(
        [{"type": "user", "userId": f"u{number}"} for number in range(3000)], [feature("f", rollout)]
    )

    assert counted(environment) == by_hand(environment)
    environment.close()


def test_who_has_opted_in_is_counted(api: Api):
    """Beside those whom the rules let in."""
    api.put("/_emulator/features", {"features": [feature("f", optInEnabled=True)]})
    api.post("/bulk", [{"type": "company", "companyId": "c", "userId": "u1"}, {"type": "user", "userId": "u2"}])
    before = api.get("/_emulator/counts").json()
    api.post("/flags/opt-in", {"key": "f", "optedIn": True, "context": {"user": {"id": "u1"}}})

    after = api.get("/_emulator/counts").json()

    assert [before["features"][0]["users"], after["features"][0]["users"]] == [0, 1]
    assert (after["companies"], after["users"], after["isCurrent"]) == (1, 2, True)


def test_counts_are_kept_until_something_changes(monkeypatch):
    """A whole count is shown while the next one is under way; other definitions begin anew."""
    monkeypatch.setattr(pace, "LOOK_S_MAX", 0)
    environment = environment_of(
        [{"type": "user", "userId": f"u{number}"} for number in range(2500)], [feature("f", PRO)]
    )
    first = asyncio.run(counting.counts(environment))
    assert (first.is_complete, first.users) == (False, 1000)
    counted(environment)
    kept = asyncio.run(counting.counts(environment))
    assert (kept.is_complete, kept.is_current, kept.users) == (True, True, 2500)

    body = b'{"userId":"late"}'
    environment.accept(2, "user", body, wire.TYPES["user"](body))
    shown = asyncio.run(counting.counts(environment))
    assert (shown.is_complete, shown.is_current, shown.users) == (True, False, 2500)
    environment.override("f", b'{"isEnabled": true}')
    begun = asyncio.run(counting.counts(environment))
    assert (begun.is_complete, begun.users) == (False, 1000)
    assert counted(environment) == [(0, 2501)]
    environment.close()


def test_a_rule_about_days_is_counted_again_after_a_minute(monkeypatch):
    """Time alone changes who has it; without such a rule a count is kept for ever."""
    recent = {"type": "context", "field": "user.at", "operator": "AFTER", "values": ["30"]}
    for rule, is_current in [(recent, False), (PRO, True)]:
        environment = environment_of([{"type": "user", "userId": "u"}], [feature("f", rule)])
        counted(environment)
        with monkeypatch.context() as later:
            now_s = time.time()
            later.setattr(counting.time, "time", lambda now_s=now_s: now_s + 61)
            later.setattr(counting._Counting, "go_on", lambda *_: asyncio.sleep(0))
            assert asyncio.run(counting.counts(environment)).is_current is is_current
        environment.close()


def test_calls_have_their_turn_while_features_are_counted(monkeypatch):
    """Between slices, however much there is to count."""
    environment = environment_of(
        [{"type": "user", "userId": f"u{number}"} for number in range(5000)], [feature("f", PRO)]
    )
    monkeypatch.setattr(pace, "SLICE_S_MAX", 0)
    turns = []

    async def count():
        counts = asyncio.create_task(counting.counts(environment))
        while not counts.done():
            turns.append(1)
            await asyncio.sleep(0)
        return await counts

    assert asyncio.run(count()).is_complete
    assert len(turns) > 4
    environment.close()


@pytest.mark.long
def test_ten_features_over_two_hundred_thousand_users_are_counted_in_five_seconds():
    """Of the processor's time, whoever else uses it: attributes, lists, dates, texts, and rollouts by id."""
    chance = Random(1)  # noqa: S311  # repeatable, not secret

    def is_(field, operator, *values):
        return {"type": "context", "field": field, "operator": operator, "values": list(values)}

    def rollout(field, threshold):
        return {"type": "rolloutPercentage", "key": field, "partialRolloutAttribute": field,
                "partialRolloutThreshold": threshold}  # fmt: skip

    rules = [
        [is_("company.plan", "ANY_OF", "pro", "enterprise")],
        [is_("user.role", "IS", "admin"), is_("user.seats", "GT", "50")],
        [{"type": "group", "operator": "and", "filters": [PRO, is_("user.role", "IS_NOT", "guest")]}],
        [rollout("user.id", 25_000)],
        [rollout("company.id", 50_000)],
        [{"type": "group", "operator": "and", "filters": [rollout("user.id", 50_000), PRO]}],
        [is_("user.createdAt", "AFTER", "100")],
        [is_("user.email", "CONTAINS", "@corp7.")],
        [{"type": "constant", "value": True}],
        [is_("user.tags", "CONTAINS", "beta"), is_("company.seats", "LT", "20")],
    ]
    environment = environment_of([], [feature(f"f{number}", *some) for number, some in enumerate(rules)])
    for start in range(0, 200_000, 10_000):
        items = []
        for number in range(start, start + 10_000):
            attributes = {
                "name": f"User {number}",
                "email": f"u{number}@corp{number % 50}.example",
                "role": chance.choice(["admin", "guest", "member"]),
                "seats": chance.randint(0, 100),
                "createdAt": f"2026-{1 + number % 11:02d}-01",
                "tags": ["beta"] if number % 7 == 0 else ["x"],
            }
            company = (
                {"attributes": {"plan": chance.choice(["pro", "free"]), "seats": number % 100}} if not start else {}
            )
            items.append({"type": "user", "userId": f"u{number}", "attributes": attributes})
            items.append({"type": "company", "companyId": f"c{number % 10_000}", "userId": f"u{number}", **company})
        body = msgspec.json.encode(items)
        environment.accept(start, "bulk", body, wire.TYPES["bulk"](body))
    begun_s = time.process_time()

    answer = counted(environment)

    taken_s = time.process_time() - begun_s
    environment.close()
    assert answer[8] == (10_000, 200_000)
    assert taken_s < 5
