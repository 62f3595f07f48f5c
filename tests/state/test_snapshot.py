import hashlib
import pickle

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bucket_loader.model.syncs import SYNCS
from bucket_loader.planning.engine import compare as engine_compare
from bucket_loader.planning.engine.compare import compare
from bucket_loader.planning.engine.engine import OneProcess
from bucket_loader.planning.mapping import subject_of_ids
from bucket_loader.state import Records, duck, snapshots as snapshot
from bucket_loader.state.snapshots import comparing, merging, pages
from bucket_loader.state.snapshots.parts import KeyRange

STAGED = pa.schema([("ordinal", pa.int64()), ("key", pa.binary(16)), ("content", pa.binary(16))])


def hashed(value):
    """Return a hash as rows have them."""
    return hashlib.md5(str(value).encode()).digest()  # noqa: S324  # what the loader uses to compare


def numbered(key, occurrence):
    """Return the key of the n-th of equal rows."""
    return key if occurrence == 1 else hashlib.md5(f"{key.hex().upper()}:{occurrence}".encode()).digest()  # noqa: S324


def staged_file(path, rows, row_group_size=16_384):
    """Write staged rows, pairs of key and content, in two files, and return them as one."""
    columns = [range(1, len(rows) + 1), [key for key, _ in rows], [content for _, content in rows]]
    table, files, first = pa.table(columns, schema=STAGED), (path, path.with_suffix(".more")), len(rows) // 3
    for file, some in zip(files, (table.slice(0, first), table.slice(first)), strict=True):
        pq.write_table(some, file, row_group_size=row_group_size)
    return Records.of(*files)


def part_file(path, rows):
    """Write a part of the memory: content None is a claim."""
    columns = [list(rows.keys()), list(rows.values())]
    batch = pa.RecordBatch.from_arrays([pa.array(column, pa.binary(16)) for column in columns], ["key", "content"])
    return snapshot.opened(path, snapshot.write_part(path, [batch]))


def parts_of(folder, memory):
    """Write parts, oldest first, as settling does: each knows what was known before."""
    parts = []
    for number, part in enumerate(memory):
        path = folder / f"part-{number}.pages"
        columns = [pa.array(column, pa.binary(16)) for column in (list(part.keys()), list(part.values()))]
        batch = pa.RecordBatch.from_arrays(columns, ["key", "content"])
        parts.append(snapshot.opened(path, snapshot.write_part(path, [batch], before=snapshot.Memory(list(parts)))))
    return parts


class Elsewhere:
    """An engine that does everything elsewhere, as far as pickling goes; the items in any order."""

    def run(self, function, items):
        """Yield what is made of items."""
        for item in pickle.loads(pickle.dumps(items[::-1]))[::-1]:  # noqa: S301  # our own
            yield from pickle.loads(pickle.dumps(function))([item])  # noqa: S301


def compared(folder, staged, parts, how, engine=None):
    """Compare staged rows with parts of a memory; `how` is the mode, the identity, and the file of what was refused."""
    comparison = snapshot.Comparison(SYNCS[how[0]], *how[1:])
    return compare(engine or OneProcess(), staged, snapshot.Memory(parts), comparison, folder)


def chosen_of(result, rows):
    """Return which rows are sent, and with which keys: all as they are where nothing is written."""
    if result.chosen is None:
        return [(position, key) for position, (key, _) in enumerate(rows)]
    found = pa.concat_tables([result.chosen.between(0, 7), result.chosen.between(7, len(rows))])
    assert result.chosen.counts([0, 7, len(rows)]).sum() == len(found) == len(result.chosen)
    return list(zip(found["position"].to_pylist(), found["key"].to_pylist(), strict=True))


def expected(rows, memory, mode, identity):
    """Decide in plain Python which rows are sent, with which keys; gives the counts as well."""
    known = {}
    for part in memory:
        known.update(part)
    if identity == "key":
        last = {key: position for position, (key, _) in enumerate(rows)}
        kept = [(position, key, rows[position][1], False) for key, position in last.items()]
    else:
        seen, kept = {}, []
        for position, (key, content) in enumerate(rows):
            seen[key] = seen.get(key, 0) + 1
            kept.append((position, numbered(key, seen[key]), content, seen[key] > 1))
    sent = []
    for position, key, content, again in sorted(kept):
        same = {
            "changes": key in known and known[key] == content,
            "append": key in known,
            "full": False,
        }[mode]
        if not same:
            sent.append((position, key, again))
    return {
        "sent": [(position, key) for position, key, _ in sent],
        "superseded": len(rows) - len(kept),
        "unchanged": len(kept) - len(sent),
        "known": sum(content != snapshot.REMOVED for content in known.values()),
        "changed": sum(key in known for _, key, _ in sent),
        "renumbered": sum(again for _, _, _, again in kept),
    }


def found(folder, rows, memory, how, engine=None):
    """Let the loader decide the same."""
    parts = parts_of(folder, memory)
    staged = staged_file(folder / "staged.parquet", rows, row_group_size=7)
    result = compared(folder / "compared", staged, parts, how, engine)
    sent = chosen_of(result, rows)
    assert result.counts.pending == len(sent)
    return {
        "sent": sent,
        "superseded": result.counts.superseded,
        "unchanged": result.counts.unchanged,
        "known": snapshot.Memory(parts).known,
        "changed": result.sums["changed"],
        "renumbered": result.sums["renumbered"],
    }


KEYS = st.integers(0, 6).map(hashed)
CONTENTS = st.integers(0, 3).map(hashed)
ROWS = st.lists(st.tuples(KEYS, CONTENTS), max_size=40)
# Keys of equal rows after the first are remembered as well.
REMEMBERED = st.one_of(KEYS, st.tuples(KEYS, st.integers(2, 4)).map(lambda pair: numbered(*pair)))
MEMORY = st.lists(st.dictionaries(REMEMBERED, CONTENTS | st.none(), max_size=8), max_size=4)


AT_ONCE = st.sampled_from([1_000, 1_000, 11, 4])  # rows


@pytest.mark.parametrize("mode", SYNCS)
@pytest.mark.parametrize("identity", ["key", "content"])
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(case=st.tuples(ROWS, MEMORY, AT_ONCE, st.sampled_from([None, Elsewhere()])), looks_up=st.booleans())
def test_comparing_is_what_plain_python_would_do(tmp_path_factory, mode, identity, case, looks_up):
    """Rows, keys and counts are those of a loop over dictionaries, for any rows and any memory of several parts.

    Also where they are compared range by range, since they would not fit into memory at once, here and elsewhere; and
    where only pages with wanted keys are read.
    """
    folder = tmp_path_factory.mktemp("compare")
    rows, memory, at_once, engine = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "_ROWS_AT_ONCE", at_once)
        patch.setattr(comparing, "_FEW", 0 if looks_up else 100)
        patch.setattr(merging, "_SORTED_BYTES", 3 * 32)
        patch.setattr(merging, "_MERGED_ROWS", 3)
        patch.setattr(pages, "PAGE_ROWS", 2)
        patch.setattr(engine_compare, "_CUT_ROWS", 3)

        assert found(folder, rows, memory, (mode, identity), engine) == expected(rows, memory, mode, identity)


@settings(deadline=None, max_examples=10)
@given(
    rows=ROWS, memory=st.lists(st.dictionaries(REMEMBERED, CONTENTS | st.none(), max_size=8), min_size=1, max_size=5)
)
def test_merging_keeps_the_meaning(tmp_path_factory, rows, memory):
    """One part in the place of several says the same of every key, claims included, and comparing cannot tell."""
    folder = tmp_path_factory.mktemp("merge")
    parts = parts_of(folder, memory)
    said = {}
    for part in memory:
        said.update(part)

    path = folder / "merged.pages"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_SORTED_BYTES", 4 * 32)
        patch.setattr(merging, "_MERGED_ROWS", 4)
        patch.setattr(pages, "PAGE_ROWS", 3)
        written = snapshot.merge(snapshot.Memory(parts), path)
    merged = snapshot.opened(path, written)
    assert (written.rows, merged.index.rows) == (len(said), len(said))
    table = snapshot.Memory([merged]).of(KeyRange())
    assert table["key"].to_pylist() == sorted(said)
    assert dict(zip(table["key"].to_pylist(), table["content"].to_pylist(), strict=True)) == said
    for mode in ("changes", "append"):
        (folder / mode).mkdir()
        staged = staged_file(folder / mode / "staged.parquet", rows)
        several, one = (
            compared(folder / mode / name, staged, memory, (mode, "key"))
            for name, memory in {"a": parts, "b": [merged]}.items()
        )
        assert chosen_of(several, rows) == chosen_of(one, rows)
        assert several.sums == one.sums


@pytest.mark.parametrize("parts", [1, 2])
def test_a_claimed_user_is_changed_and_a_claimed_event_is_never_sent(tmp_path, parts):
    """A claim has no content: it differs from every content, and its key is known."""
    key, content = hashed("k"), hashed("c")
    memory = [{key: content}, {key: None}][-parts:]
    for mode, sent in (("changes", 1), ("append", 0)):
        (tmp_path / mode).mkdir()
        result = found(tmp_path / mode, [(key, content)], memory, (mode, "key"))

        assert len(result["sent"]) == sent


def test_the_newest_part_speaks_for_a_key(tmp_path):
    """A delivery after a claim, and a claim after a delivery, both count."""
    key, content = hashed("k"), hashed("c")
    for number, (memory, unchanged) in enumerate([
        ([{key: None}, {key: content}], 1), ([{key: content}, {key: None}], 0),
        ([{key: hashed("x")}, {key: content}], 1),
    ]):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()

        assert found(folder, [(key, content)], memory, ("changes", "key"))["unchanged"] == unchanged


def test_equal_rows_are_counted_from_the_plans_start(tmp_path):
    """The same export loaded twice sends nothing; with one more equal row it sends that one."""
    key, other = hashed("k"), hashed("o")
    rows = [(key, key), (other, other), (key, key), (key, key)]
    keys = [numbered(key, 1), other, numbered(key, 2), numbered(key, 3)]
    memory = [dict.fromkeys(keys, key)]
    for name, more, sent in (("same", [], []), ("more", [(key, key)], [(4, numbered(key, 4))])):
        (tmp_path / name).mkdir()

        assert found(tmp_path / name, rows + more, memory, ("append", "content"))["sent"] == sent


def test_many_rows_in_odd_groups(tmp_path):
    """Positions are places in all files, however they are cut into groups, and selected ones ascend."""
    rows = [(hashed(number % 20_000), hashed(number)) for number in range(50_001)]
    staged = staged_file(tmp_path / "staged.parquet", rows, row_group_size=1_237)
    result = compared(tmp_path / "compared", staged, [], ("changes", "key"))

    assert [position for position, _ in chosen_of(result, rows)] == list(range(30_001, 50_001))
    assert result.counts.superseded == 30_001


def test_what_was_told_to_be_gone_is_not_known_and_differs_from_every_content(tmp_path):
    """Back in the source it is sent, and counts neither as known nor as changed."""
    gone, kept = (hashed("g"), hashed("c")), (hashed("k"), hashed("c"))
    result = found(tmp_path, [gone, kept], [dict([gone, kept]), {gone[0]: snapshot.REMOVED}], ("changes", "key"))

    assert [key for _, key in result["sent"]] == [gone[0]]
    assert (result["known"], result["changed"], result["unchanged"]) == (1, 0, 1)


def company(number, user):
    """Return a company's key, ids and subject, as the mapping makes them."""
    ids = f'{{"companyId":"{number}","userId":"{user}"}}' if user else f'{{"companyId":"{number}"}}'
    spelt = f'"{number}",' + (f'"{user}"' if user else "null")
    return hashed(f"1:company:{spelt}"), ids, hashed(f'1:company:"{number}"')


ROW = st.tuples(st.integers(0, 5), st.integers(0, 2))
PART = st.dictionaries(ROW, st.tuples(CONTENTS | st.none() | st.just(snapshot.REMOVED), st.booleans()), max_size=8)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    present=st.lists(ROW, max_size=8), memory=st.lists(st.tuples(st.booleans(), PART), max_size=4), merged=st.booleans()
)
def test_what_vanished_is_what_plain_python_would_find(tmp_path_factory, present, memory, merged):
    """For any rows and any memory, with ids here and there, in several parts or merged into one."""
    folder = tmp_path_factory.mktemp("vanished")
    parts, known = [], {}
    for number, (with_ids, part) in enumerate(memory):
        schema = snapshot.part_schema(ids=with_ids)
        rows = [(company(*row)[0], content, company(*row)[1] if has else None) for row, (content, has) in part.items()]
        known |= {row: (content, has and with_ids) for row, (content, has) in part.items()}
        columns = [pa.array([one[index] for one in rows], kind) for index, kind in enumerate(schema.types)]
        path = folder / f"{number}.pages"
        written = snapshot.write_part(path, [pa.RecordBatch.from_arrays(columns, schema=schema)], schema)
        parts.append(snapshot.opened(path, written))
    if merged and parts:
        path = folder / "merged.pages"
        parts = [snapshot.opened(path, snapshot.merge(snapshot.Memory(parts), path))]
    staged = staged_file(folder / "staged.parquet", [(company(*row)[0], hashed("c")) for row in present])
    subjects = pa.table(
        [pa.array([company(*row)[2] for row in present], pa.binary(16))], schema=snapshot.PRESENT_SCHEMA
    )
    pq.write_table(subjects, folder / "present.parquet")
    gone = snapshot.find_removed(staged, [folder / "present.parquet"], snapshot.Memory(parts), folder / "gone.parquet",
                             subject=subject_of_ids("company"))  # fmt: skip
    there = {number for number, _ in present}
    living = {row: has for row, (content, has) in known.items() if content != snapshot.REMOVED}
    wanted = sorted(company(*row)[:2] for row, has in living.items() if has and row[0] not in there)
    table = pq.read_table(folder / "gone.parquet")

    assert list(zip(table["key"].to_pylist(), table["ids"].to_pylist(), strict=True)) == wanted
    with_ids = sum(living.values())
    assert (gone.counts.removed, gone.known_ids, gone.without_ids) == (len(wanted), with_ids, len(living) - with_ids)


def test_a_disk_without_room_for_what_does_not_fit_into_memory_is_the_disks_error(tmp_path, monkeypatch):
    """Also where rows are handed on while they are sorted: whoever plans says which disk it is."""
    small = {"memory_limit": "24MB", "temp_directory": str(tmp_path), "max_temp_directory_size": "1MB"}
    monkeypatch.setattr(duck, "new_database", lambda _: duckdb.connect(config=small))

    def sorts():
        with duck.own_database(tmp_path) as connection:
            many = connection.sql("SELECT range AS position FROM range(3000000) ORDER BY hash(range)")
            return sum(batch.num_rows for batch in many.to_arrow_reader(65_536))

    with pytest.raises(OSError, match="Out of Memory Error: failed to"):
        sorts()


def test_an_unfinished_part_is_not_there(tmp_path):
    """A part that broke off in the middle has no name of its own, and a later one takes its place."""

    def breaking():
        yield pa.RecordBatch.from_arrays([pa.array([hashed(1)], pa.binary(16))] * 2, ["key", "content"])
        raise RuntimeError("power cut")

    path = tmp_path / "it's a part.pages"
    with pytest.raises(RuntimeError, match="power cut"):
        snapshot.write_part(path, breaking())

    assert not path.exists()
    part = part_file(path, {hashed(2): None})
    assert snapshot.merge(snapshot.Memory([part]), tmp_path / "merged's.pages").rows == 1
