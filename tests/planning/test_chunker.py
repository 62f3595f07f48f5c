import itertools

import pytest
from hypothesis import given, strategies as st

from bucket_loader.model.chunks import Chunk, read_ranges, spell_ranges
from bucket_loader.planning import chunker

LENGTHS = st.lists(st.integers(min_value=0, max_value=200), max_size=300)
RECORDS_MAX = st.integers(min_value=1, max_value=50)
BYTES_MAX = st.integers(min_value=2, max_value=1000)


def pack(lengths, **words):
    """Pack records of some lengths."""
    return chunker.pack(list(itertools.accumulate(length + 1 for length in lengths)), **words)


def body(lengths):
    """Return the bytes that a request of such records has."""
    return Chunk(0, tuple(range(len(lengths))), tuple(b"x" * length for length in lengths)).body


@given(LENGTHS, RECORDS_MAX, BYTES_MAX)
def test_chunks_cover_every_record_once_and_in_order(lengths, records_max, bytes_max):
    """Every sequence is in exactly one chunk, chunks follow each other, and none is empty."""
    chunks = list(pack(lengths, records_max=records_max, bytes_max=bytes_max))

    assert [sequence for chunk in chunks for sequence in chunk] == list(range(len(lengths)))
    assert all(chunks)


@given(LENGTHS, RECORDS_MAX, BYTES_MAX)
def test_no_chunk_is_larger_than_its_limits(lengths, records_max, bytes_max):
    """A chunk keeps to its records and, its very body, to its bytes, unless one record alone is more."""
    for chunk in pack(lengths, records_max=records_max, bytes_max=bytes_max):
        assert len(chunk) <= records_max
        assert len(body([lengths[sequence] for sequence in chunk])) <= bytes_max or len(chunk) == 1


@given(LENGTHS, RECORDS_MAX, BYTES_MAX)
def test_chunks_are_as_full_as_may_be(lengths, records_max, bytes_max):
    """No chunk had room for the first record of the next."""
    chunks = list(pack(lengths, records_max=records_max, bytes_max=bytes_max))
    for chunk, following in itertools.pairwise(chunks):
        with_next = [lengths[sequence] for sequence in (*chunk, following[0])]

        assert len(with_next) > records_max or len(body(with_next)) > bytes_max


@given(LENGTHS, RECORDS_MAX, BYTES_MAX, st.integers(min_value=0, max_value=300))
def test_chunks_do_not_depend_on_what_comes_after(lengths, records_max, bytes_max, cut):
    """What is given while more is to come is chunks of the whole; only the last of these is held back."""
    whole = list(pack(lengths, records_max=records_max, bytes_max=bytes_max))
    part = list(pack(lengths[:cut], records_max=records_max, bytes_max=bytes_max, more=True))

    assert part == whole[: len(part)]
    assert len(list(pack(lengths[:cut], records_max=records_max, bytes_max=bytes_max))) <= len(part) + 1


@pytest.mark.parametrize(
    ("lengths", "bytes_max", "sizes"),
    [
        ([], 10, []), ([8], 10, [1]), ([9], 10, [1]), ([3, 4], 10, [2]), ([4, 4], 10, [1, 1]), ([100], 10, [1]),
        ([1, 100, 1], 10, [1, 1, 1]), ([0, 0, 0], 4, [3]), ([0, 0, 0], 3, [2, 1]),
    ],
)  # fmt: skip
def test_brackets_and_commas_count(lengths, bytes_max, sizes):
    """`[`, `]` and each comma are bytes of the body as well."""
    assert [len(chunk) for chunk in pack(lengths, records_max=100, bytes_max=bytes_max)] == sizes


@given(st.sets(st.integers(min_value=0, max_value=500), min_size=1))
def test_a_chunks_name_is_its_members(sequences):
    """What is spelt as ranges is read back as the same sequences, and no two sets share a name."""
    ordered = tuple(sorted(sequences))

    assert read_ranges(spell_ranges(ordered)) == ordered
    assert spell_ranges(read_ranges(spell_ranges(ordered))) == spell_ranges(ordered)


@given(st.sets(st.integers(min_value=0, max_value=60), min_size=2), st.data())
def test_parts_of_a_chunk_keep_its_bytes(sequences, data):
    """A part carries the same records under the same sequences as the chunk it was cut from."""
    ordered = tuple(sorted(sequences))
    chunk = Chunk(
        3,
        ordered,
        tuple(b'{"n":%d}' % sequence for sequence in ordered),
        lambda _record: frozenset({"userId 1"}),
        shares_ids=True,
    )
    positions = sorted(data.draw(st.sets(st.integers(0, len(ordered) - 1), min_size=1)))
    part = chunk.part(positions)

    assert (
        dict(zip(part.sequences, part.records, strict=True)).items()
        <= dict(zip(chunk.sequences, chunk.records, strict=True)).items()
    )
    assert part.sequences == tuple(ordered[position] for position in positions)
    assert (part.stream, part.ids) == (chunk.stream, chunk.ids)
