"""What it costs to find bad records among a hundred, and that nobody else pays for them."""

import random
from collections import Counter
from statistics import mean

import pytest
from bench import Bench, companies, id_of, refusal, stub, users

pytestmark = pytest.mark.long

COUNT = 100
STYLES = {"brackets": "[{}].userId: Expected `str`", "dots": "{}.userId is bad", "slashes": "/{}/userId"}


def hint_of(kind, places, count):
    """Word a hint for a refused body: what it names, right or wrong."""
    if kind in STYLES:
        return [STYLES[kind].format(place) for place in places]
    match kind:
        case "wrong":
            return [f"[{(place + 1) % count}].userId" for place in places]
        case "half":
            return [f"[{place}].userId" for place in places[::2]]
        case "first":
            return [f"[{places[0]}].userId"]
        case "beyond":
            return ["[7000].userId"]
        case _:
            return []


def deliver(folder, bad, kind, *, status=400):
    """Deliver a hundred users of whom some are bad; gives the stub, the bench and the summary."""

    def judge(records):
        places = [place for place, record in enumerate(records) if id_of(record) in bad]
        return refusal(*hint_of(kind, places, len(records)), status=status) if places else None

    with stub(judge=judge) as bucket:
        bench = Bench(folder, bucket.url)
        summary = bench.run(users(COUNT), concurrency=1)
    return bucket, bench, summary


HINTS = [*STYLES, "wrong", "half", "first", "beyond", "none"]
CASES = [
    *((kind, many, 400) for kind in HINTS for many in (1, 5, 50)),
    *((kind, many, status) for kind in ("brackets", "none") for many in (0, 1, 49) for status in (200, 422)),
]


@pytest.mark.parametrize(("kind", "many", "status"), CASES)
def test_exactly_the_bad_are_rejected_and_the_others_arrive_once(tmp_path, kind, many, status):
    """Whatever the hint, the delivered are the good ones, each once, and the bad ones are dead letters, each once."""
    chosen = random.Random(many).sample(range(COUNT), many)  # noqa: S311  # repeatable, not secret
    bad = {f"e{number}" for number in chosen}
    bucket, bench, summary = deliver(tmp_path, bad, kind, status=status)
    letters = bench.letters()

    assert bucket.ids() == Counter(f"e{number}" for number in range(COUNT) if f"e{number}" not in bad)
    assert Counter(letter.record["userId"] for letter in letters) == Counter(bad)
    assert (summary.streams["users"].delivered, summary.streams["users"].rejected) == (COUNT - many, many)
    assert summary.exit_code == (3 if many else 0)
    assert {letter.origin["row"] for letter in letters} == {number + 1 for number in chosen}
    assert all(letter.row == {"id": letter.record["userId"]} for letter in letters)
    assert summary.requests == len(bucket.bodies) <= 2 * COUNT


@pytest.mark.parametrize("kind", list(STYLES))
def test_a_right_hint_costs_two_requests(tmp_path, kind):
    """One bad record that the refusal names: the refused request, the rest, the bad one."""
    for place in (0, 50, 99):
        bucket, _, _ = deliver(tmp_path / str(place), {f"e{place}"}, kind)

        assert len(bucket.bodies) <= 3


def test_without_a_hint_one_bad_record_costs_few_requests(tmp_path):
    """Halving finds one bad record of a hundred in at most 12 requests on average."""
    costs = [len(deliver(tmp_path / str(place), {f"e{place}"}, "none")[0].bodies) for place in range(0, 100, 8)]

    assert mean(costs) <= 12
    assert max(costs) <= 16


LIES = {
    "the next": lambda place, count: [(place + 1) % count],
    "the last": lambda place, count: [count - 1 if place < count - 1 else 0],
    "the first": lambda place, count: [0 if place else count - 1],
    "many others": lambda place, count: [other for other in range(count) if other != place][: count // 2],
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("in_order", [False, True], ids=["any_order", "in_order"])
def test_a_server_that_always_names_the_wrong_record_is_believed_once(tmp_path, lie, in_order):
    """One bad record of a hundred costs at most 16 requests, wherever it stands and whatever is named instead of it."""
    for bad in (0, 1, 31, 50, 98, 99):

        def judge(records):
            places = [place for place, record in enumerate(records) if record["attributes"]["n"] == bad]  # noqa: B023
            named = LIES[lie](places[0], len(records)) if places else []
            return refusal(*(f"[{place}].userId" for place in named)) if places else None

        with stub(judge=judge) as bucket:
            pairs = [(f"c{number}", f"u{number % 2 if in_order else number}") for number in range(COUNT)]
            summary = Bench(tmp_path / str(bad), bucket.url).run(companies(pairs), concurrency=1)

        assert (summary.streams["companies"].delivered, summary.streams["companies"].rejected) == (COUNT - 1, 1)
        assert Counter(record["attributes"]["n"] for record in bucket.accepted).most_common(1)[0][1] == 1
        assert len(bucket.bodies) <= 16


def test_all_bad_among_a_hundred_is_systemic(tmp_path):
    """When everything is refused the run stops as soon as its last fifth is, before it has asked about every record."""
    bucket, _, summary = deliver(tmp_path, {f"e{number}" for number in range(COUNT)}, "brackets")

    assert summary.exit_code == 4
    assert summary.streams["users"].rejected == COUNT * 4 // 5 + 1
    assert len(bucket.bodies) <= 200


def test_a_crash_in_the_middle_of_an_isolation_loses_nobody(tmp_path):
    """Stopped after any number of requests and run again: each good record arrives once, each bad one is rejected."""
    bad = {"e3", "e44", "e97"}
    for stop_after in range(1, 30, 7):

        def judge(records):
            if len(bucket.bodies) > stop_after:  # noqa: B023  # called within this turn
                return refusal(status=401)
            return refusal() if bad & set(map(id_of, records)) else None

        with stub(judge=judge) as bucket:
            bench = Bench(tmp_path / str(stop_after), bucket.url)
            bench.run(users(COUNT), concurrency=1)
            bucket.judge = lambda records: refusal() if bad & set(map(id_of, records)) else None
            last = bench.run(users(COUNT), concurrency=1)

        assert bucket.ids() == Counter(f"e{number}" for number in range(COUNT) if f"e{number}" not in bad)
        resumed = [one.streams["users"] for one in last.resumed]
        assert [(one.delivered, one.rejected) for one in resumed or [bench.summaries[0].streams["users"]]] == [(97, 3)]
