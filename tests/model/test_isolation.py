"""Which parts a refused chunk is cut into: pure, so the laws are tested on anything."""

import pytest
from hypothesis import given, strategies as st

from bucket_loader.model.isolation import NAMED_SHARE_MAX, cut, named_in

COUNTS = st.integers(min_value=2, max_value=500)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.from_regex(r"\[[0-9]{1,3}\]\.userId: bad"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def refusing(*places):
    """Return details that name places, as the emulator does."""
    mistakes = [{"message": f"[{place}].userId: bad"} for place in places]
    return {"success": False, "error": {"validationErrors": mistakes}}


@given(COUNTS, st.dictionaries(st.text(), JSON) | st.none(), st.booleans())
def test_two_parts_are_the_whole_without_overlap(count, details, in_order):
    """Whatever the server says, the two parts hold every position once, each in order, and neither is empty."""
    found = cut(count, named_in(details, count), in_order=in_order)

    assert sorted(found.first + found.second) == list(range(count))
    assert all(part and part == sorted(part) for part in (found.first, found.second))
    assert not in_order or found.first + found.second == list(range(count))


@given(COUNTS, st.data(), st.booleans(), st.booleans())
def test_what_is_still_named_is_named_in_the_second_part(count, data, in_order, proven):
    """No name is lost by a cut: those of the second part, and of the first when it stands alone, are all of them."""
    named = named_in(refusing(*data.draw(st.sets(st.integers(0, count - 1), max_size=20))), count)
    found = cut(count, named, in_order=in_order, proven=proven)

    again = [found.second[place] for place in found.named]
    assert found.first * found.alone + again == list(named)
    assert not found.alone or len(found.first) == 1


@given(COUNTS, st.sets(st.integers(0, 499), min_size=1))
def test_too_many_names_are_none(count, places):
    """When more are named than it would take to halve, or none of this chunk, nobody is."""
    named = sorted(place for place in places if place < count)

    assert named_in(refusing(*places), count) == (tuple(named) if len(named) <= count * NAMED_SHARE_MAX else ())


@pytest.mark.parametrize(
    "text",
    ["[17].userId: Expected `str`", "17.userId is bad", "/17/userId", "/17", "body[0]: [17].x", "at '[17].x'",
     'bad "/17/x"', "items: (17.x)"],
)  # fmt: skip
def test_an_index_is_found_as_it_may_be_spelt(text):
    """`[17].x`, `17.x` and `/17/x` name the same record."""
    assert named_in({"error": {"message": text}}, 100) == (17,)


@pytest.mark.parametrize(
    "text",
    ["", "Bad Request", "17", "status 400", "[100].x", "[999999].x", "[9999999].x", "x[17", "17 records", "1.5 s",
     "v2.0", "/v1/bulk", "at 12:30:17", "-17.x", "[-17].x", "[17.x]"],
)  # fmt: skip
def test_what_names_no_record_is_no_hint(text):
    """Other numbers, and places beyond the chunk, name nobody: the chunk is halved."""
    assert named_in({"error": {"message": text}}, 100) == ()


@pytest.mark.parametrize("details", [None, {}, {"a": None}, {"a": [1, 2]}, {"17": "x"}])
def test_without_words_the_chunk_is_halved(details):
    """Only texts are looked at."""
    found = cut(7, named_in(details, 7))

    assert (found.first, found.second, found.alone) == ([0, 1, 2], [3, 4, 5, 6], False)
