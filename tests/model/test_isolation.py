"""Which parts a refused chunk is cut into: pure, so the laws are tested on anything."""

import pytest
from hypothesis import given, strategies as st

from bucket_loader.model.isolation import NAMED_SHARE_MAX, halves, parts_of

COUNTS = st.integers(min_value=2, max_value=500)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.from_regex(r"\[[0-9]{1,3}\]\.userId: bad"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def named(*places):
    """Return details that name places, as the emulator does."""
    return {"success": False, "error": {"validationErrors": [{"message": place} for place in places]}}


@given(COUNTS, st.dictionaries(st.text(), JSON) | st.none(), st.booleans())
def test_parts_are_the_whole_without_overlap(count, details, in_order):
    """Whatever the server says, the parts hold every position once, none is empty, and none is the whole."""
    found = parts_of(count, details, in_order=in_order)

    assert sorted(position for part in found for position in part) == list(range(count))
    assert all(part == sorted(part) and 0 < len(part) < count for part in found)


@given(COUNTS, st.data())
def test_parts_in_order_are_in_order(count, data):
    """Where order matters the parts follow each other as the records do, whatever is named."""
    places = data.draw(st.lists(st.integers(0, count - 1), max_size=20))
    found = parts_of(count, named(*(f"[{place}].x" for place in places)), in_order=True)

    assert [position for part in found for position in part] == list(range(count))


@given(COUNTS, st.data())
def test_the_named_are_tried_alone_and_the_rest_together(count, data):
    """Each named record is a part of its own; when too many are named the chunk is halved instead."""
    places = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    found = parts_of(count, named(*(f"[{place}].userId: bad" for place in places)))

    if len(places) > count * NAMED_SHARE_MAX:
        assert found == halves(count)
    else:
        assert found[1:] == [[place] for place in sorted(places)]


@pytest.mark.parametrize(
    "text",
    ["[17].userId: Expected `str`", "17.userId is bad", "/17/userId", "/17", "body[0]: [17].x", "at '[17].x'",
     'bad "/17/x"', "items: (17.x)"],
)  # fmt: skip
def test_an_index_is_found_as_it_may_be_spelt(text):
    """`[17].x`, `17.x` and `/17/x` name the same record."""
    assert parts_of(100, {"error": {"message": text}})[1:] == [[17]]


@pytest.mark.parametrize(
    "text",
    ["", "Bad Request", "17", "status 400", "[100].x", "[999999].x", "[9999999].x", "x[17", "17 records", "1.5 s",
     "v2.0", "/v1/bulk", "at 12:30:17", "-17.x", "[-17].x", "[17.x]"],
)  # fmt: skip
def test_what_names_no_record_is_no_hint(text):
    """Other numbers, and places beyond the chunk, name nobody: the chunk is halved."""
    assert parts_of(100, {"error": {"message": text}}) == halves(100)


@pytest.mark.parametrize("details", [None, {}, {"a": None}, {"a": [1, 2]}, {"17": "x"}])
def test_without_words_the_chunk_is_halved(details):
    """Only texts are looked at."""
    assert parts_of(7, details) == [[0, 1, 2], [3, 4, 5, 6]]
