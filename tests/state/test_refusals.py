"""What is remembered as refused: how a run moves it, and how a plan's rows are told by it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from test_snapshot import (
    AT_ONCE,
    CONTENTS,
    KEYS,
    MEMORY,
    ROWS,
    chosen_of,
    compared,
    expected,
    part_file,
    staged_file,
)

from bucket_loader.state import refusals
from bucket_loader.state.snapshots import comparing

IDENTITIES = st.lists(st.tuples(KEYS, CONTENTS), max_size=12)


def table_of(identities):
    """Return keys and contents as a table."""
    keys, contents = zip(*identities, strict=True) if identities else ((), ())
    return pa.table([list(keys), list(contents)], schema=refusals.IDENTITY)


def remembered(identities, day="2026-01-01"):
    """Return what one run has left behind."""
    words = [["first"] * len(identities), *([day] * len(identities) for _ in range(3))]
    return pa.table([*table_of(identities).columns, *words], schema=refusals.SCHEMA)


@pytest.mark.parametrize(("mode", "identity"), [("changes", "key"), ("append", "content"), ("full", "row")])
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.tuples(ROWS, MEMORY, AT_ONCE, st.sets(st.tuples(KEYS, CONTENTS), max_size=8)))
def test_a_plan_is_told_as_plain_python_would(tmp_path_factory, mode, identity, case):
    """What is known as refused by key and content is set apart, in order; the rest, and its counts, are as before."""
    folder = tmp_path_factory.mktemp("refused")
    rows, memory, at_once, refused = case
    refusals.write(folder / "known.parquet", remembered(sorted(refused)))
    parts = [part_file(folder / f"part-{number}.parquet", part) for number, part in enumerate(memory)]
    staged = staged_file(folder / "staged.parquet", rows, row_group_size=7)
    known, parts = folder / "known.parquet", parts if mode != "full" else ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "_ROWS_AT_ONCE", at_once)
        result = compared(folder / "compared", staged, parts, (mode, identity, known))
    new = chosen_of(result, rows)
    found = [row for path in result.refused for row in pq.read_table(path).to_pylist()]
    again = sorted((row["position"], row["key"]) for row in found)

    if identity == "row":
        sent = [(position, key) for position, (key, _) in enumerate(rows)]
    else:
        told = expected(rows, memory, mode, identity)
        sent = told["sent"]
        delivered = {key: content for part in memory for key, content in part.items()}
        assert result.sums["changed"] == len({key for _, key in new if key in delivered})
        assert (result.counts.superseded, result.counts.unchanged) == (told["superseded"], told["unchanged"])
    assert again == [(place, key) for place, key in sent if (key, rows[place][1]) in refused]
    assert new == [one for one in sent if one not in again]
    assert result.counts.pending == len(sent)


@settings(deadline=None, max_examples=25)
@given(case=st.tuples(IDENTITIES, IDENTITIES, IDENTITIES), delivered=st.sets(KEYS), is_try=st.booleans())
def test_a_run_moves_it_as_plain_python_would(tmp_path_factory, case, delivered, is_try):
    """What is refused is there, what was met stays, of the rest what was delivered is gone; first runs are kept."""
    before, refused, waiting = case
    met = refusals.Met("now", "2026-02-01", table_of(refused), table_of(waiting), pa.array(delivered, pa.binary(16)),
                       is_try)  # fmt: skip
    found = refusals.updated(remembered(sorted(set(before))), met, tmp_path_factory.mktemp("refused")).to_pylist()

    wanted = {}
    for one in {*before, *refused}:
        is_known, is_met = one in before, one in refused or one in waiting
        if is_met or one[0] not in delivered:
            tried = "2026-02-01" if one in refused and is_try else "2026-01-01" if is_known else refusals.NEVER
            first = ("first", "2026-01-01") if is_known else ("now", "2026-02-01")
            wanted[one] = (*first, tried, "2026-02-01" if is_met else "2026-01-01")
    told = {(row["key"], row["content"]): (row["run"], row["day"], row["tried"], row["met"]) for row in found}
    assert told == wanted
    assert list(told) == sorted(told)
    assert len(found) == len(told)


def test_the_end_of_an_older_plan_sets_no_day_back(tmp_path):
    """A run of yesterday's plan that ends today does not let a row be tried twice today, nor be forgotten earlier."""
    one = (b"k" * 16, b"c" * 16)
    met = refusals.Met("older", "2025-12-31", table_of([one]), table_of([]), pa.array([], pa.binary(16)))
    (found,) = refusals.updated(remembered([one]), met, tmp_path).to_pylist()

    assert (found["tried"], found["met"]) == ("2026-01-01", "2026-01-01")
