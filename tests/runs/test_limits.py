"""`limits:` over whole runs: what each gate stops, what is known of the last reading, and what lifts a gate."""

import json

import pandas as pd
import pytest
from workplace import COMPANIES

from bucket_loader import load

AS_OF = ("--as-of", "2026-01-31T03:00:00Z")
EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [id]
  fields: {userId: user, event: {value: seen}, timestamp: {column: at, timezone: UTC}}
"""


def export(workplace, count, *, changed=0, row="c{n},n{n},{seats},2026-01-30T02:00:00Z", head="id,name,seats,at"):
    """Write an export of so many companies; the first of them with other seats."""
    lines = [row.format(n=n, seats=n + 1000 * (n < changed)) for n in range(count)]
    workplace.write("accounts.csv", "\n".join([head, *lines]) + "\n")


def limited(workplace, limits, *, own="", streams=COMPANIES):
    """Write the pipeline with limits at its top, and on its last stream."""
    head = f"limits: {limits}\n" if limits else ""
    workplace.pipeline(streams + (f"  limits: {own}\n" if own else ""), head=head)


def stopped_by(result):
    """Return the gates that stopped a run; none where it went through."""
    assert result.exception is None, result.stderr
    error = result.summary.get("error")
    assert (result.exit_code == 4) is bool(error), result.stderr
    return [gate["gate"] for gate in error["gates"]] if error else []


@pytest.fixture
def hundred(workplace):
    """A workplace that has delivered a hundred companies."""
    export(workplace, 100)
    limited(workplace, "")
    assert workplace.run(*AS_OF).exit_code == 0
    return workplace


@pytest.mark.parametrize(
    ("limits", "sound", "broken"),
    [
        ("{rows: {min: 90}}", 90, 89),
        ("{rows: {max: 110}}", 110, 111),
        ("{rows: {drop: 50%}}", 50, 49),
        ("{rows: {drop: 10}}", 90, 89),
        ("{rows: {growth: 300%}}", 400, 401),
        ("{rows: {growth: 20}}", 120, 121),
    ],
)
def test_rows_are_compared_with_the_last_reading(hundred, emulator, limits, sound, broken):
    """Each word lets through what it says, and stops one row more; nothing is sent then, and both figures are told."""
    limited(hundred, limits)
    before = emulator.state()["requests"]
    export(hundred, broken)
    stopped = hundred.run()
    export(hundred, sound)

    assert stopped_by(stopped) == ["rows"]
    assert emulator.state()["requests"] == before
    assert f"{broken:,} rows were read" in stopped.stderr
    assert f"`limits: {{rows: {{{limits[8:-2]}}}}}`" in stopped.stderr
    assert "(last time 100, run 2" in stopped.stderr
    assert f"bucket-loader run {hundred.folder / 'pipeline.yaml'} --accept-changes" in stopped.stderr
    assert stopped_by(hundred.run()) == []


def test_what_was_stopped_is_no_measure_and_what_was_accepted_is(hundred):
    """A stopped run leaves the last reading as it was; an accepted one is the next one's."""
    limited(hundred, "{rows: {drop: 50%, growth: 50%}}")
    export(hundred, 10)

    assert [stopped_by(hundred.run()) for _ in range(2)] == [["rows"], ["rows"]]
    assert stopped_by(hundred.run("--accept-changes")) == []
    assert stopped_by(hundred.run()) == []
    export(hundred, 100)
    assert stopped_by(hundred.run()) == ["rows"]


def test_a_first_run_has_nothing_to_be_compared_with(workplace, emulator):
    """No word that needs a past stops it; neither does a stream under a new name."""
    limited(workplace, "{rows: {drop: 0, growth: 0}, columns: stop, changed: 0}")
    export(workplace, 10)
    first = workplace.run()
    export(workplace, 3)
    limited(workplace, "{rows: {drop: 0}}", streams=COMPANIES.replace("name: companies", "name: customers"))

    assert (stopped_by(first), stopped_by(workplace.run())) == ([], [])


@pytest.mark.parametrize("words", [(), ("--full",)])
@pytest.mark.parametrize("limits", ["", "{rejected: 100%}"])
def test_an_empty_source_beside_a_memory_stops_without_limits(hundred, emulator, words, limits):
    """A header alone is an export that failed; `--accept-changes` says that it is meant."""
    limited(hundred, limits)
    hundred.write("accounts.csv", "id,name,seats,at\n")
    before = emulator.state()["requests"]
    stopped = hundred.run(*words)

    assert stopped_by(stopped) == ["empty"]
    assert "its source is empty, and 100 records are remembered of it (last time 100, run 2" in stopped.stderr
    assert emulator.state()["requests"] == before
    assert stopped_by(hundred.run("--accept-changes", *words)) == []


def test_an_empty_source_stops_nothing_where_nothing_is_remembered_or_it_is_no_whole_one(workplace):
    """A first run; a stream that sends all each time; a query with a cursor; rows that `where:` leaves out."""
    workplace.write("accounts.csv", "id,name\n")
    limited(workplace, "")
    assert stopped_by(workplace.run()) == []
    export(workplace, 3)
    workplace.run()
    limited(workplace, "", streams=COMPANIES + "  where: id = 'nobody'\n")
    assert stopped_by(workplace.run()) == []
    workplace.write("accounts.csv", "id,name\n")
    limited(workplace, "", streams=COMPANIES + "  sync: full\n")
    assert stopped_by(workplace.run()) == []


def test_a_cursor_without_new_rows_is_no_empty_source(workplace):
    """What has not changed is not read: no gate takes it for gone, and it is the measure of nothing."""
    workplace.write("accounts.csv", "id,changed\na,2026-01-01T00:00:00Z\n")
    query = "select * from accounts where cast(changed as timestamptz) > :cursor"
    streams = f"""
- name: companies
  record: company
  source: {{type: query, sql: "{query}"}}
  cursor: {{column: changed, start: "2025-01-01"}}
  fields: {{companyId: id}}
"""
    head = "sources: {accounts: {type: csv, path: accounts.csv}}\n"
    limits = "limits: {rows: {drop: 0}, fresh: {column: changed, within: 1h}}\n"
    workplace.pipeline(streams, head=head)
    first, again = workplace.run(), None
    workplace.pipeline(streams, head=head + limits)
    again = workplace.run()

    assert (stopped_by(first), stopped_by(again), again.summary["streams"]["companies"]["read"]) == ([], [], 0)


def test_no_cursor_moves_and_no_file_counts_as_loaded_where_a_gate_stops(workplace):
    """Also where there was nothing to send: what was read is read once more."""
    streams = """
- name: companies
  record: company
  source: {type: query, sql: "select * from accounts where cast(changed as timestamptz) > :cursor"}
  cursor: {column: changed, start: "2025-01-01"}
  fields: {companyId: id}
- name: events
  record: event
  source: {type: csv, path: "events*.csv", new_files: true}
  key: [id]
  fields: {userId: user, event: {value: seen}, timestamp: {column: at, timezone: UTC}}
"""
    head = "sources: {accounts: {type: csv, path: accounts.csv}}\n"
    workplace.pipeline(streams, head=head)
    workplace.write("accounts.csv", "id,changed\na,2026-01-01T00:00:00Z\n")
    workplace.write("events1.csv", "id,user,at\n1,u,2026-01-01\n")
    workplace.run()
    workplace.write("accounts.csv", "id,changed\na,2026-01-02T00:00:00Z\n")
    workplace.write("events2.csv", "id,user,at\n1,u,2026-01-01\n\n")
    workplace.pipeline(streams + "  limits: {rows: {min: 5}}\n", head=head)
    stopped = workplace.run()
    workplace.pipeline(streams, head=head)
    again = workplace.run()

    assert stopped_by(stopped) == ["rows"]
    for result in (stopped, again):
        counts = result.summary["streams"].values()
        assert [(one["read"], one["unchanged"], one["pending"]) for one in counts] == [(1, 1, 0), (1, 1, 0)]


@pytest.mark.parametrize(
    ("column", "sound", "broken"),
    [
        ("at", "2026-01-30T01:00:00Z", "2026-01-30T00:59:59Z"),
        ("at", "2026-01-30 01:00:00", "2026-01-30 00:59:59"),
        ("at", "2026-01-31", "2026-01-29"),
        ("at", "2026-01-30T02:00:00+01:00", "2026-01-30T01:59:59+01:00"),
        ("at", "2026-01-30T01:00:00Z", "soon"),
        ("at", "2026-01-30T01:00:00Z", ""),
    ],
)
def test_a_source_must_be_fresh(workplace, emulator, column, sound, broken):
    """The latest of its times counts against the run's; what is no time, and what is long after today, counts not."""
    limited(workplace, "{fresh: {column: at, within: 26h}}", streams=COMPANIES + "  timezone: UTC\n")
    workplace.write("accounts.csv", f"id,{column}\na,2001-01-01\nb,{broken}\nc,2999-01-01\n")
    stopped, accepted = workplace.run(*AS_OF), workplace.run(*AS_OF, "--accept-changes")
    requests = emulator.state()["requests"]
    workplace.write("accounts.csv", f"id,{column}\na,2001-01-01\nb,{sound}\nc,2999-01-01\n")

    assert (stopped_by(stopped), stopped_by(accepted), requests) == (["fresh"], ["fresh"], 0)
    assert "`limits: {fresh: {column: at, within: 26h}}`" in stopped.stderr
    assert "2999" not in stopped.stderr
    assert stopped_by(workplace.run(*AS_OF)) == []


def test_a_time_is_read_as_the_field_reads_it(workplace):
    """The format and the zone of the field that sends the column hold for `fresh:` as well."""
    fields = '{companyId: id, attributes: {at: {column: at, type: timestamp, format: "%d.%m.%Y %H", timezone: UTC}}}'
    streams = COMPANIES[: COMPANIES.index("  fields:")] + f"  fields: {fields}\n"
    limited(workplace, "{fresh: {column: at, within: 26h}}", streams=streams)
    workplace.write("accounts.csv", "id,at\na,30.01.2026 00\n")
    stopped = workplace.run(*AS_OF)
    workplace.write("accounts.csv", "id,at\na,30.01.2026 01\n")

    assert (stopped_by(stopped), stopped_by(workplace.run(*AS_OF))) == (["fresh"], [])


def test_a_time_inside_of_json_and_one_that_is_not_sent(workplace):
    """`fresh:` names any column of the source, also one inside of another, and none of it is sent for that."""
    streams = COMPANIES.replace('"*"', "{name: name}").replace("csv, path: accounts.csv", "jsonl, path: a.jsonl")
    limited(workplace, "{fresh: {column: meta.at, within: 26h}}", streams=streams)
    workplace.write("a.jsonl", json.dumps({"id": "a", "name": "n", "meta": {"at": "2026-01-30T00:00:00Z"}}))
    stopped = workplace.run(*AS_OF)
    workplace.write("a.jsonl", json.dumps({"id": "a", "name": "n", "meta": {"at": "2026-01-30T02:00:00Z"}}))

    assert (stopped_by(stopped), stopped_by(workplace.run(*AS_OF))) == (["fresh"], [])


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("{fresh: {column: updated, within: 1h}}", "'updated', a column that the source does not have"),
        ("{fresh: {column: seats, within: 1h}}", "'seats' has no time up to a day after the run's"),
        ("{fresh: {column: local, within: 1h}}", "a column of times without a zone"),
    ],
)
def test_a_column_that_cannot_be_fresh_is_named(workplace, emulator, own, said):
    """A misspelt column, one without times, and times without a zone are told, and nothing is sent."""
    limited(workplace, "", own=own)
    export(workplace, 2, row="c{n},{n}x,2026-01-31 02:00", head="id,seats,local")
    result = workplace.run()

    assert said in result.stderr
    assert (result.exit_code in {2, 4}, emulator.state()["requests"]) == (True, 0)


def test_events_are_fresh_or_not_as_anything(workplace):
    """A whole source of events without rows is not fresh; yesterday's are. Of users, `empty` is the gate."""
    limited(workplace, "", own="{fresh: {column: at, within: 26h}}", streams=EVENTS)
    workplace.write("events.csv", "id,user,at\n")
    empty = workplace.run(*AS_OF)
    workplace.write("events.csv", "id,user,at\n1,u,2026-01-30T09:00:00Z\n")

    assert (stopped_by(empty), stopped_by(workplace.run(*AS_OF))) == (["fresh"], [])
    limited(workplace, "", own="{fresh: {column: at, within: 26h}}")
    workplace.write("accounts.csv", "id,at\n")
    first = workplace.run(*AS_OF)
    export(workplace, 3)
    workplace.run(*AS_OF)
    workplace.write("accounts.csv", "id,name,seats,at\n")
    assert (stopped_by(first), stopped_by(workplace.run(*AS_OF))) == ([], ["empty"])
    assert stopped_by(workplace.run(*AS_OF, "--accept-changes")) == []


@pytest.mark.parametrize(("limit", "sound", "broken"), [("20%", 20, 21), ("3", 3, 4), ("0", 0, 1)])
def test_a_field_may_be_missing_in_so_many_records(workplace, limit, sound, broken):
    """Absent and null are the same; known and superseded records count as any, filtered rows do not."""
    limited(workplace, "", own=f"{{null: {{seats: {limit}}}}}", streams=COMPANIES + "  where: name <> 'out'\n")

    def run(count):
        rows = [f"c{n},n,{'' if n < count else n}" for n in range(100)]
        workplace.write("accounts.csv", "\n".join(["id,name,seats", *rows, "x,out,"]) + "\n")
        return workplace.run()

    first, stopped = run(sound), run(broken)
    assert (stopped_by(first), stopped_by(stopped)) == ([], ["null"])
    assert f"{broken} of 100 records have no 'seats'" in stopped.stderr
    assert f"(last time {sound} of 100, run 2" in stopped.stderr
    assert stopped_by(workplace.run("--accept-changes")) == []


def test_fields_of_any_kind_may_be_missing(workplace):
    """A field of the record, an attribute by its path, one inside of JSON, and a column that the export lost."""
    streams = COMPANIES.replace("companyId: id", "companyId: id\n    userId: owner").replace(
        "csv, path: accounts.csv", "jsonl, path: a.jsonl"
    )
    own = "{null: {userId: 50%, attributes.plan: 50%, address.city: 50%, seats: 50%, address: 50%}}"
    limited(workplace, "", own=own, streams=streams)
    whole = {"id": "a", "owner": "u", "plan": "p", "address": {"city": "c", "zip": 1}, "seats": 1}

    def run(*rows):
        workplace.write("a.jsonl", "\n".join(map(json.dumps, rows)))
        return [gate["text"].split(" have no ")[1].split(",")[0] for gate in gates(workplace.run())]

    def gates(result):
        return result.summary.get("error", {}).get("gates", [])

    assert run(whole, {"id": "b"}) == []
    assert run(whole, {**whole, "id": "b", "owner": None}, {**whole, "id": "c", "owner": None}) == ["'userId'"]
    assert run({**whole, "plan": None}) == ["'attributes.plan'"]
    assert run({**whole, "address": {"city": None, "zip": 1}}) == ["'address.city'"]
    assert run({key: value for key, value in whole.items() if key != "seats"}) == ["'seats'"]


def test_a_field_at_the_top_is_asked_of_the_streams_that_send_it(workplace):
    """Not of another stream with a `*`; and still of the one that has sent it when the column is gone."""
    users = COMPANIES.replace("companies", "users").replace("company\n", "user\n").replace("companyId", "userId")
    users = users.replace("accounts.csv", "people.csv")
    limited(workplace, "{null: {seats: 0}}", streams=COMPANIES + users)
    workplace.write("people.csv", "id,name\nu,n\n")
    export(workplace, 2)
    both = workplace.run()
    export(workplace, 2, row="c{n},n{n},x", head="id,name,other")
    lost = workplace.run()

    assert stopped_by(both) == []
    assert [gate["stream"] for gate in lost.summary["error"]["gates"]] == ["companies"]


@pytest.mark.parametrize(("top", "own"), [("{null: {seets: 5%}}", ""), ("", "{null: {seets: 5%}}")])
def test_a_field_that_nobody_has_is_a_mistake(workplace, emulator, top, own):
    """A misspelt field would guard nothing; one that was sent and vanished stops the run each night."""
    limited(workplace, top, own=own)
    export(workplace, 3)
    misspelt = workplace.run()
    limited(workplace, top.replace("seets", "seats"), own=own.replace("seets", "seats"))
    first = workplace.run()
    export(workplace, 3, row="c{n},n{n}", head="id,name")

    assert (misspelt.exit_code, "did you mean 'seats'?" in misspelt.stderr) == (2, True)
    assert (stopped_by(first), stopped_by(workplace.run())) == ([], ["null"])
    assert (stopped_by(workplace.run("--accept-changes")), stopped_by(workplace.run())) == ([], ["null"])


def test_superseded_rows(workplace):
    """More rows than may be replaced by a later one of their key."""
    limited(workplace, "{superseded: 20%}")
    workplace.write("accounts.csv", "id,n\n" + "".join(f"c{n % 8},{n}\n" for n in range(10)))
    sound = workplace.run()
    workplace.write("accounts.csv", "id,n\n" + "".join(f"c{n % 7},{n}\n" for n in range(10)))
    stopped = workplace.run()

    assert (stopped_by(sound), stopped_by(stopped)) == ([], ["superseded"])
    assert "3 of 10 rows are superseded" in stopped.stderr
    assert "(last time 2 of 10" in stopped.stderr
    assert stopped_by(workplace.run("--accept-changes")) == []


def test_columns_that_are_new_or_gone(hundred):
    """Told by default; `columns: stop` stops. What the file itself changes is no change of the export."""
    export(hundred, 100, row="c{n},n{n},2026-01-30T02:00:00Z,x", head="id,name,at,plan")
    limited(hundred, "{columns: stop}")
    stopped = hundred.run()
    said = "`*` no longer sends 'seats', and newly sends 'plan' (last time 3 columns, run 2"
    limited(hundred, "")
    warned = hundred.command("plan")
    limited(hundred, "{columns: stop}")

    assert (stopped_by(stopped), said in stopped.stderr) == (["columns"], True)
    assert (warned.exit_code, f"warning: companies: {said}" in warned.stderr) == (0, True)
    assert stopped_by(hundred.run("--accept-changes")) == []
    excluded = COMPANIES.replace('"*"', '{"*": {exclude: [name]}, tier: plan}')
    limited(hundred, "{columns: stop}", streams=excluded)
    assert stopped_by(hundred.run()) == []
    limited(hundred, "{columns: stop}")
    assert stopped_by(hundred.run()) == []


def test_the_words_of_a_stream_win_one_by_one(hundred):
    """What a stream says of `rows: drop` leaves the other words of the top as they are; null lifts one."""
    limited(hundred, "{rows: {min: 20, drop: 10%}, changed: 0}", own="{rows: {drop: 90%}, changed: null}")
    export(hundred, 50, changed=9)
    sound = hundred.run()
    export(hundred, 19)
    assert (stopped_by(sound), stopped_by(hundred.run())) == ([], ["rows"])


def test_all_gates_are_told_at_once(hundred):
    """Whoever mends an export hears of everything; what cannot be accepted stays when the rest is."""
    limited(hundred, "{rows: {drop: 10%}, changed: 5%, fresh: {column: at, within: 26h}}")
    export(hundred, 50, changed=40)
    stopped = hundred.run("--as-of", "2026-02-10T00:00:00Z")
    still = hundred.run("--accept-changes", "--as-of", "2026-02-10T00:00:00Z")

    assert (stopped_by(stopped), stopped_by(still)) == (["fresh", "rows", "changed"], ["fresh"])
    assert "(last time 1 d 1 h, run 2" not in stopped.stderr  # nobody asked for it then
    assert "accept-changes" not in stopped.summary["error"]["hint"]  # it would lead nowhere


def test_a_reading_that_somebody_cut_is_no_measure(hundred):
    """A few rows say nothing of the source, and the next run is compared with the one before it."""
    limited(hundred, "{rows: {min: 50, drop: 50%}, fresh: {column: at, within: 26h}, null: {seats: 0}, superseded: 0}")
    first = hundred.run("--limit", "5", "--as-of", "2026-03-01T00:00:00Z")
    export(hundred, 49)

    assert (stopped_by(first), stopped_by(hundred.run(*AS_OF))) == ([], ["rows", "rows"])


def test_what_is_resumed_is_sent_before_gates_are_asked(hundred, emulator):
    """An unfinished run has passed its gates: its records arrive, and then the new plan is refused."""
    limited(hundred, "{rows: {drop: 50%}}")
    emulator.faults({"kind": "cut_before"})
    export(hundred, 100, changed=30)
    unfinished = hundred.run(*AS_OF)
    emulator.faults()
    export(hundred, 10)
    stopped = hundred.run(*AS_OF)

    assert (unfinished.exit_code, stopped_by(stopped)) == (75, ["rows"])
    (resumed,) = stopped.summary["resumed"]
    assert resumed["streams"]["companies"]["delivered"] == 30
    assert f"(last time 100, run {unfinished.summary['run']})" in stopped.stderr


def test_an_abandoned_run_is_no_measure(hundred, emulator):
    """A person who closes a run says that it was not right."""
    limited(hundred, "{rows: {growth: 10%}}")
    emulator.faults({"kind": "cut_before"})
    export(hundred, 300)
    unfinished = hundred.run("--accept-changes")
    emulator.faults()
    hundred.command("abandon", unfinished.summary["run"])

    assert (unfinished.exit_code, stopped_by(hundred.run())) == (75, ["rows"])


@pytest.mark.parametrize("remap", [(), ("--remap",)])
def test_a_replay_is_no_measure(hundred, emulator, remap):
    """It reads dead letters and no source: the night after is compared with the night before."""
    limited(hundred, "{rows: {growth: 50%}}")
    emulator.faults({"kind": "poison", "match": '"c100"', "status": 400})
    export(hundred, 101)
    refused = hundred.run()
    emulator.faults()
    replayed = hundred.command_of(
        "replay", refused.summary["dead_letters"], "--pipeline", str(hundred.folder / "pipeline.yaml"), *remap
    )
    export(hundred, 103)

    assert (refused.exit_code, replayed.exit_code) == (3, 0), replayed.stderr
    assert stopped_by(hundred.run()) == []


def test_a_plan_says_what_would_stop_it_and_is_held_against_the_limits_when_it_is_run(hundred, emulator):
    """`plan` ends with 0; `run --plan` refuses the very plan, also where the file says more than it did."""
    limited(hundred, "{rows: {drop: 50%}}")
    export(hundred, 10)
    plan = hundred.command("plan", "--json", *AS_OF)
    limited(hundred, "{rows: {drop: 50%}, fresh: {column: at, within: 26h}, null: {seats: 0}}")
    result = hundred.run("--plan", plan.summary["plan"])

    assert (plan.exit_code, [stop["gate"] for stop in plan.summary["would_stop"]]) == (0, ["rows"])
    assert "warning: a run would stop: stream 'companies': 10 rows were read" in plan.stderr
    assert stopped_by(result) == ["fresh", "rows", "null"]
    assert result.stderr.count("plan again") == 2


def test_a_rehearsal_holds_the_gates_that_need_no_past(workplace):
    """Its state is new, so that nothing is compared; a minimum and a null share are."""
    limited(workplace, "{rows: {min: 5, drop: 0}, null: {seats: 0}}")
    workplace.write("accounts.csv", "id,seats\na,\n")
    result = workplace.command("rehearse", "--json")
    assert stopped_by(result) == ["rows", "null"]
    assert result.stderr.count("(no earlier run to compare with)") == 2


def test_forgotten_streams_forget_their_last_reading(hundred):
    """After `forget` a stream is as new: nothing is compared, and an empty source is nobody's."""
    hundred.command("forget", "--stream", "companies", "--yes")
    limited(hundred, "{rows: {drop: 1%}}")
    export(hundred, 3)
    assert stopped_by(hundred.run()) == []


def test_a_window_is_named_in_what_to_do_next(workplace):
    """The command that goes on is for the same interval; a backfill stops at a window that a gate refuses."""
    streams = EVENTS.replace("events.csv", "'{interval_start:%Y-%m}.csv'")
    limited(workplace, "", own="{rows: {min: 2}}", streams=streams)
    workplace.write("2026-01.csv", "id,user,at\n1,u,2026-01-01\n2,u,2026-01-02\n")
    workplace.write("2026-02.csv", "id,user,at\n3,u,2026-02-01\n")
    window = ("--from", "2026-01-01", "--to", "2026-03-01", "--every", "month")
    stopped = workplace.command("backfill", *window, "--json")
    words = ["--interval-start", "2026-02-01T00:00:00.000Z", "--interval-end", "2026-03-01T00:00:00.000Z"]
    accepted = workplace.run(*words, "--accept-changes")

    assert (stopped.exit_code, [one["exit_code"] for one in stopped.summary["windows"]]) == (4, [0, 4])
    assert f"pipeline.yaml {' '.join(words)} --accept-changes" in stopped.stderr
    assert accepted.exit_code == 0
    assert workplace.command("backfill", *window, "--json").summary["skipped"] == 2


def test_several_streams_of_one_source_have_each_their_own(workplace):
    """A stream that is left out keeps its last reading, and each is told by its name."""
    users = COMPANIES.replace("companies", "users").replace("company\n", "user\n").replace("companyId", "userId")
    limited(workplace, "{rows: {drop: 50%}}", streams=COMPANIES + users)
    export(workplace, 100)
    workplace.run()
    export(workplace, 60)
    workplace.run("--stream", "users")
    export(workplace, 35)
    result = workplace.run()

    assert [gate["stream"] for gate in result.summary["error"]["gates"]] == ["companies"]


def test_a_table_of_a_program_has_limits_too(tmp_path, emulator):
    """`load(limits=...)`: the same words, and the error names the gates."""
    words = {"record": "company", "fields": {"companyId": "id", "attributes": "*"}, "name": "accounts",
             "destination": {"base_url": emulator.url, "key": "sec_test_0123456789abcdef0123"},
             "state": tmp_path, "limits": {"rows": {"drop": "50%"}, "null": {"seats": "10%"}}}  # fmt: skip
    frame = pd.DataFrame({"id": ["a", "b", "c", "d"], "seats": [1, 2, 3, 4]})
    first, second = load(frame, **words), load(frame[:1].assign(seats=None), **words)

    assert (first.exit_code, second.exit_code) == (0, 4)
    assert [stop.gate for stop in second.error.stops] == ["rows", "null"]


def test_no_value_of_a_row_is_in_what_a_gate_says_or_keeps(hundred):
    """Figures and names of columns alone: neither the message nor the ledger's note has what a row holds."""
    limited(
        hundred, "{rows: {max: 1}, null: {seats: 0}, fresh: {column: at, within: 1h}, superseded: 0, columns: stop}"
    )
    export(hundred, 100, row="c{n},PLANTED{n},,2026-01-30T02:00:00Z,PLANTED", head="id,name,seats,at,plan")
    result = hundred.run(*AS_OF)
    assert stopped_by(result) == ["fresh", "rows", "null", "columns"]
    assert "PLANTED" not in result.stderr + result.stdout
