"""What gates promise around a refusal: what it says, what stays as it was, and what lifts it, for one night."""

from dataclasses import replace

import gate_shop as shop
import pytest
from broken import accounts, people, scores, subscriptions, usage
from changes import each, every, first, more, some, with_column, without
from gate_nights import Case

ACCEPT = ("--accept-changes",)
NEW_PEOPLE = "n{:06}".format

LIFTED = [
    ("changed", subscriptions("twice as dear", rows=each("price", lambda price: price * 2)),
     subscriptions("and once more", rows=each("price", lambda price: price * 4))),
    ("rows", people("half", rows=every(2)), people("a fifth", rows=every(5))),
    ("rows", scores("half of a frame", rows=every(2)), scores("a fifth of it", rows=every(5))),
    ("rows", people("twice as many", rows=more(1, "person_id", NEW_PEOPLE)),
     people("five times as many", rows=more(4, "person_id", NEW_PEOPLE))),
    ("superseded", *[people("a join", rows=lambda rows: rows + rows[::10])] * 2),
    ("null", *[people("nulls", rows=some(10, email=None))] * 2),
    ("columns", people("a column went", rows=without("beta")), people("it is back")),
    ("empty", *[subscriptions("nothing", rows=first(0))] * 2),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "once", "again"), LIFTED, ids=lambda given: getattr(given, "says", given))
def test_accept_changes_lifts_a_gate_for_one_night(gate, once, again, night, recorder):
    """The refusal says the option, the option goes through, and the same kind of harm on the next night is refused."""
    refused = night.live(once)
    accepted = night.live(replace(once, words=ACCEPT))
    recorder.requests.clear()
    next_night = night.live(again)

    assert (refused.exit_code, refused.names(gate), ACCEPT[0] in refused.hint) == (4, True, True), refused.said
    assert accepted.exit_code == 0, accepted.said
    assert (next_night.exit_code, next_night.names(gate), recorder.requests) == (4, True, []), next_night.said


NEVER = [
    subscriptions("an old export", rows=lambda _: shop.subscriptions(1), gate="fresh"),
    subscriptions("prices are texts", rows=each("price", "{} EUR".format), gate="rejected"),
]


@pytest.mark.parametrize("case", NEVER, ids=lambda case: case.gate)
def test_accept_changes_never_lifts_what_is_no_change(case, night, recorder):
    """An old export and rejected rows are refused with the option as without it, and no command of the hint has it."""
    ended = night.live(replace(case, words=ACCEPT))

    assert (ended.exit_code, ended.names(case.gate), recorder.requests) == (4, True, []), ended.said
    assert "--accept-changes`" not in ended.hint


def sent(recorder):
    """Return every item that the server heard, in no order."""
    return sorted(str(item) for request in recorder.requests for item in request)


def test_one_refused_stream_holds_back_all_and_nothing_moves(night, other_night, recorder):
    """Nothing of the sound streams leaves; the next sound run sends what it would have sent without the refusal."""
    refused = night.live(Case("half of the accounts", "", table="accounts", rows=every(2)))
    heard = list(recorder.requests)
    assert night.live(Case("whole", "")).exit_code == 0
    after_refusal = sent(recorder)
    recorder.requests.clear()
    assert other_night.live(Case("whole", "")).exit_code == 0

    assert (refused.exit_code, refused.names("rows|removed"), heard) == (4, True, []), refused.said
    assert after_refusal == sent(recorder)


def test_what_is_resumed_is_sent_before_gates_are_asked(night, other_night, recorder):
    """An unfinished night is delivered although the next export is refused; it is then what the gate compares with."""
    assert other_night.live(people("whole")).exit_code == 0
    whole = sent(recorder)
    recorder.status = 503
    assert night.live(people("an outage", words=("--patience", "0s"))).exit_code == 75
    recorder.status, recorder.requests[:] = 200, []

    ended = night.live(people("half", rows=every(2)))

    assert (ended.exit_code, ended.names("rows"), "408" in ended.message) == (4, True, True), ended.said
    assert sent(recorder) == whole


@pytest.mark.parametrize(("words", "code"), [((), 4), (ACCEPT, 0)], ids=["as it is", "accepted"])
def test_gates_are_asked_of_a_plan_that_was_made_before(words, code, night, recorder):
    """`run --plan` of a plan that a gate refuses sends nothing; with the option it sends that plan."""
    night.export("people", every(2))
    planned = night.command("plan", "--json", "--stream", "people", "--as-of", shop.text(shop.as_of(2)))

    ended = night.run("--plan", planned.summary["plan"], *words)

    assert (ended.exit_code, bool(recorder.requests)) == (code, code == 0), ended.stderr


PEOPLE_ALONE = """
name: shop
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}"}}
limits: {top}
streams:
  - name: people
    record: user
    source: {{type: parquet, path: people.parquet}}
    limits: {stream}
    fields:
      userId: person_id
      attributes:
        "*": {{exclude: [updated_at, account_id]}}
"""


@pytest.mark.parametrize(
    ("top", "stream", "gate"),
    [
        ("{changed: 90%}", "{changed: 10%}", "changed"),
        ("{changed: 10%}", "{changed: 90%}", ""),
        ("{changed: 10%}", "{rejected: 1%}", "changed"),
        ("{rows: {min: 1000}}", "{rows: {min: 10}}", ""),
        ("{null: {beta: 5%}}", "{null: {beta: 99%}}", ""),
        ("{columns: stop}", "{columns: warn}", ""),
        ("{rows: {min: 1000}}", "{rows: {max: 2000}}", "rows"),
    ],
)
def test_a_stream_s_own_limits_win_over_those_of_the_top(top, stream, gate, night):
    """Each gate for itself: what the stream does not speak of is as at the top."""
    limits = PEOPLE_ALONE.format(top=top, stream=stream)
    ended = night.live(
        people("a quarter has changed", rows=with_column("new", lambda _: None), pipeline=lambda _: limits)
    )

    assert (ended.exit_code, ended.names(gate)) == (4 if gate else 0, bool(gate)), ended.said


MISSPELT = [
    ("{null: {emial: 5%}}", "emial"),
    ("{fresh: {column: updatd_at, within: 26h}}", "updatd_at"),
    ("{rows: {mn: 5}}", "mn"),
    ("{rows: {drop: 150%}}", "drop"),
    ("{row: {min: 5}}", "row"),
    ("{columns: stopp}", "stopp"),
    ("{fresh: {column: updated_at}}", "within"),
]


@pytest.mark.parametrize(("limits", "word"), MISSPELT)
def test_a_gate_that_is_misspelt_does_not_stand_open(limits, word, night, recorder):
    """A gate that could never refuse anything is a mistake of the file, which is named."""
    text = PEOPLE_ALONE.format(top="{}", stream=limits)
    ended = night.live(people("an ordinary night", pipeline=lambda _: text))

    assert (ended.exit_code, word in ended.message, recorder.requests) == (2, True, []), ended.said


def test_what_a_gate_compares_with_outlives_the_run(night):
    """After `prune` has removed the last night's plan, half an export is still half of it."""
    pruned = night.command("prune", "--older-than", "0s")
    ended = night.live(people("half", rows=every(2)))

    assert pruned.exit_code == 0, pruned.stderr
    assert (ended.exit_code, ended.names("rows"), "404" in ended.message) == (4, True, True), ended.said


SAID = [
    (people("half", rows=every(2)), "rows", ["204", "404", "25%"]),
    (people("twice as many", rows=more(1, "person_id", NEW_PEOPLE)), "rows", ["816", "404", "60%"]),
    (usage("few", rows=first(0.02)), "rows", ["6", "300"]),
    (accounts("a join", rows=lambda rows: rows + rows[::10]), "superseded", ["41", "449", "5%"]),
    (people("nulls", rows=some(10, email=None)), "null", ["email", "41", "408", "5%"]),
    (people("a column", rows=without("beta")), "columns", ["beta"]),
    (subscriptions("old", rows=lambda _: shop.subscriptions(1)), "fresh", ["synced_at", "26h"]),
    (subscriptions("twice as dear", rows=each("price", lambda price: price * 2)), "changed", ["140", "204", "30%"]),
    (subscriptions("empty", rows=first(0)), "empty|rows", ["204"]),
]


@pytest.mark.parametrize(("case", "gate", "figures"), SAID, ids=lambda given: getattr(given, "says", ""))
def test_a_refusal_says_the_figure_what_it_was_and_what_to_do(case, gate, figures, night):
    """A person who reads only the message knows what is odd, against what, and how to look at it or let it through."""
    ended = night.live(case)

    assert (ended.exit_code, ended.names(gate)) == (4, True), ended.said
    assert [figure for figure in figures if figure not in ended.message] == [], ended.message
    assert "nothing was sent" in ended.message
    assert "bucket-loader" in ended.hint
