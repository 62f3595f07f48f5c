"""Moments: UTC with milliseconds on the wire, and no time is guessed."""

import json
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from mapping_helpers import AS_OF, AS_OF_TEXT, attribute, codes, flat, mapped, records
from pydantic import ValidationError

from bucket_loader.model.errors import UsageError
from bucket_loader.planning.mapping.nested import spelling
from bucket_loader.planning.mapping.nested.local_times import LocalTimes

TIME = {"type": "timestamp"}
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # local times are the subject
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/St_Johns",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Europe/London",
    "UTC",
]


def micros(local):
    """Return a local time as microseconds since 1970, as a column without a zone holds it."""
    return (local - EPOCH) // timedelta(microseconds=1)


def stamp(moment):
    """Spell a moment."""
    return f'"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"'


def oracle(local, zone, dst):
    """Move a local time to UTC by looking from UTC alone, where nothing is ambiguous; `!local_time` where it is."""
    place = ZoneInfo(zone)
    around = [(local + timedelta(hours=hours)).replace(tzinfo=UTC) for hours in (-38, -26, 26, 38)]
    offsets = [moment.astimezone(place).utcoffset() for moment in around]
    candidates = {(local - offset).replace(tzinfo=UTC) for offset in offsets}
    right = {moment for moment in candidates if moment.astimezone(place).replace(tzinfo=None) == local}
    if len(right) == 1:
        return stamp(right.pop())
    if dst is None:
        return "!local_time"
    return stamp(min(candidates) if dst == "earliest" else max(candidates))


@cache
def transitions(zone):
    """Find the clock changes of a zone from 1980 to 2025, to the minute."""
    place, found = ZoneInfo(zone), []
    day = datetime(1980, 1, 1, tzinfo=UTC)
    while day.year < 2025:
        low, high = day, day + timedelta(days=1)
        if low.astimezone(place).utcoffset() != high.astimezone(place).utcoffset():
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high)
        day += timedelta(days=1)
    return found or [datetime(2000, 1, 1, tzinfo=UTC)]


@pytest.mark.long
@pytest.mark.parametrize("zone", ZONES)
@given(data=st.data())
@settings(max_examples=3, deadline=None)
def test_local_times_agree_with_an_independent_oracle(zone, data):
    """Around every clock change a local time is the one moment it can be, or `dst:` decides, or the row is rejected."""
    near = st.tuples(st.sampled_from(transitions(zone)), st.integers(-5 * 3600, 5 * 3600))
    anywhere = st.tuples(st.just(datetime(1980, 1, 1, tzinfo=UTC)), st.integers(0, 45 * 365 * 86400))
    picked = data.draw(st.lists(near | anywhere, min_size=40, max_size=80))
    moments = [moment + timedelta(seconds=seconds) for moment, seconds in picked]
    locals_ = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0) for moment in moments]
    # Wall clocks that were never shown: the moment's UTC reading taken for a local time.
    locals_ += [moment.replace(tzinfo=None, microsecond=0) for moment in moments]
    column = pa.array([micros(local) for local in locals_], pa.timestamp("us"))

    for dst in (None, "earliest", "latest"):
        words = {"timezone": zone} | ({"dst": dst} if dst else {})
        expected = [oracle(local, zone, dst) for local in locals_]
        assert expected == attribute(column, words)
        local_times(zone, dst).learn([locals_])
        assert expected == [nested_form(local, zone, dst) for local in locals_]
    dst, form = data.draw(
        st.sampled_from([("earliest", None), ("latest", "%d.%m.%Y %H:%M:%S"), (None, "%Y%m%d%H%M%S")])
    )
    texts = [f"{local:{form or '%Y-%m-%dT%H:%M:%S'}}" for local in locals_]
    words = {"timezone": zone} | ({"dst": dst} if dst else {}) | ({"format": form} if form else {})
    assert attribute(texts, {**TIME, **words}) == [oracle(local, zone, dst) for local in locals_]


local_times = cache(LocalTimes)  # each has a database


def nested_form(local, zone, dst):
    """Spell a local time as inside a nested value."""
    try:
        return spelling.spell(local, local_times(zone, dst))
    except spelling.NoFormError:
        return "!local_time"


@pytest.mark.parametrize(
    ("zone", "local", "earliest", "latest"),
    [
        ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T00:30:00.000Z", "2024-03-31T01:30:00.000Z"),
        ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00.000Z", "2024-10-27T01:30:00.000Z"),
        ("America/New_York", "2024-03-10T02:30:00", "2024-03-10T06:30:00.000Z", "2024-03-10T07:30:00.000Z"),
        ("America/New_York", "2024-11-03T01:30:00", "2024-11-03T05:30:00.000Z", "2024-11-03T06:30:00.000Z"),
        ("Australia/Lord_Howe", "2024-10-06T02:15:00", "2024-10-05T15:15:00.000Z", "2024-10-05T15:45:00.000Z"),
        ("Australia/Lord_Howe", "2024-04-07T01:45:00", "2024-04-06T14:45:00.000Z", "2024-04-06T15:15:00.000Z"),
    ],
)
def test_clock_changes_by_hand(zone, local, earliest, latest):
    """A time that does not exist or exists twice rejects its row alone, unless `dst:` decides."""
    words = {**TIME, "timezone": zone}

    assert attribute([local, "2024-07-01T12:00:00Z"], words) == ["!local_time", '"2024-07-01T12:00:00.000Z"']
    assert attribute([local], {**words, "dst": "earliest"}) == [f'"{earliest}"']
    assert attribute([local], {**words, "dst": "latest"}) == [f'"{latest}"']
    assert attribute([local], TIME, timezone=zone, dst="latest") == [f'"{latest}"']


def test_the_field_s_zone_wins_over_the_stream_s():
    """`timezone:` and `dst:` on a field are nearer than those on the stream."""
    words = {**TIME, "timezone": "Asia/Kolkata"}

    assert attribute(["2024-01-01T00:00:00"], words, timezone="UTC") == ['"2023-12-31T18:30:00.000Z"']


# --- without a zone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")], ids=str)
def test_a_column_without_a_zone_needs_one(kind):
    """A naive timestamp is no moment, which is said before any row."""
    with pytest.raises(UsageError, match=r"attributes\.a: a timestamp without a time zone"):
        attribute(pa.array([1], kind))


def test_texts_without_a_zone_need_one_and_the_columns_are_named():
    """All columns whose texts have no zone are named at once."""
    columns = {"id": ["u"], "from": ["2024-01-01"], "to": ["2024-01-01 10:00"]}
    spec = {name: {"column": name, **TIME} for name in ("from", "to")}

    with pytest.raises(UsageError, match="times without a zone in column 'from', 'to'"):
        mapped(columns, {"userId": "id", "attributes": spec})


def test_a_format_without_a_zone_needs_one():
    """`format:` without %z reads local times."""
    with pytest.raises(UsageError, match="a text without a time zone"):
        attribute(["01.02.2024"], {**TIME, "format": "%d.%m.%Y"})


def test_nested_times_without_a_zone_need_one():
    """A naive timestamp inside a struct is a mistake too, not a rejection of every row."""
    column = pa.array([{"at": 0}], pa.struct({"at": pa.timestamp("us")}))

    with pytest.raises(UsageError, match="column 'a' holds times without a time zone"):
        attribute(column)
    result = mapped({"id": ["u"], "a": column}, {"userId": "id", "attributes": {"a": "a"}}, timezone="Asia/Kolkata")
    assert '"a.at":"1969-12-31T18:30:00.000Z"' in result.records["record"][0].as_py()


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "", "../etc/passwd", "utc+1", "Europe/Berlin'; DROP TABLE x; --"])
def test_a_zone_that_is_none_is_refused(zone):
    """A zone must exist where it is read."""
    with pytest.raises(ValidationError, match="no time zone is named"):
        attribute(pa.array([0], pa.timestamp("s")), {"timezone": zone})


# --- texts ---------------------------------------------------------------------------------------------------------


ISO_TEXTS = [
    ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.000Z"),
    ("2024-01-02t03:04:05z", None),
    ("2024-01-02 03:04:05Z", "2024-01-02T03:04:05.000Z"),
    ("2024-01-02 03:04:05 Z", "2024-01-02T03:04:05.000Z"),
    ("2024-01-02T03:04Z", "2024-01-02T03:04:00.000Z"),
    ("2024-01-02T03:04:05+05:30", "2024-01-01T21:34:05.000Z"),
    ("2024-01-02T03:04:05+0530", "2024-01-01T21:34:05.000Z"),
    ("2024-01-02T03:04:05-08", "2024-01-02T11:04:05.000Z"),
    ("2024-01-02 03:04:05 +01:00", "2024-01-02T02:04:05.000Z"),
    ("2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.100Z"),
    ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123Z"),
    ("2024-01-02T03:04:05,9Z", "2024-01-02T03:04:05.900Z"),
    ("2024-01-02T23:59:59.9999999Z", "2024-01-02T23:59:59.999Z"),
    ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999Z"),
    (" 2024-01-02T03:04:05Z ", "2024-01-02T03:04:05.000Z"),
    ("2024-01-02T03:04:05-00:00", "2024-01-02T03:04:05.000Z"),
    ("2024-02-29T00:00Z", "2024-02-29T00:00:00.000Z"),
]


@pytest.mark.parametrize("words", [{}, {"timezone": "Europe/Berlin"}])
def test_iso_texts_with_a_zone_need_nothing_else(words):
    """ISO 8601 is read without a format, its offset kept, its nanoseconds cut."""
    expected = [f'"{spelt}"' if spelt else "!timestamp" for _, spelt in ISO_TEXTS]

    assert attribute([text for text, _ in ISO_TEXTS], {**TIME, **words}) == expected


NO_MOMENTS = [
    "",
    "x",
    "2024-01-01T24:00:00Z",
    "2024-01-01T23:59:60Z",
    "2024-W01-1",
    "2024-001",
    "2023-02-29T00:00Z",
    "2024-13-01T00:00Z",
    "24-01-01T00:00Z",
    "20000-01-01T00:00Z",
    "01/02/2024",
    "2024-1-2T00:00Z",
    "1700000000",
    "2024-01-01T00:00+99:99",
    "2024-01-01T00:00+15",
    "2024-01-01T00:00:00.Z",
    "2024-01-01T00:00 Europe/Berlin",
    "0000-00-00 00:00:00",
    "٢٠٢٤-01-01T00:00Z",
    "now",
    "today",
    "infinity",
    "epoch",
    "2024-01-01T00:00Z\0",
    "2024-01-01T00:00:00+05:3",
]


@pytest.mark.parametrize("words", [{}, {"timezone": "UTC"}, {"timezone": "Europe/Berlin"}])
def test_a_text_that_is_no_moment_rejects_its_row(words):
    """No time is rounded, rolled over, guessed or made now."""
    found = attribute([*NO_MOMENTS, "2024-01-01T00:00:00Z"], {**TIME, **words})

    assert found == ["!timestamp"] * len(NO_MOMENTS) + ['"2024-01-01T00:00:00.000Z"']


@pytest.mark.parametrize("text", ["0999-01-01T00:00Z", "0001-01-01T00:00Z", "0000-01-01T00:00Z", "9999-12-31T12:00Z"])
def test_a_year_beyond_belief_rejects_its_row(text):
    """Sentinels of other systems are no times."""
    assert attribute([text], TIME)[0] in {"!year", "!timestamp"}


@pytest.mark.parametrize(
    ("text", "formats", "spelt"),
    [
        ("31-12-2023 10:15", ["%d-%m-%Y %H:%M", "%d-%m-%Y"], "2023-12-31T10:15:00.000Z"),
        ("31-12-2023", ["%d-%m-%Y %H:%M", "%d-%m-%Y"], "2023-12-31T00:00:00.000Z"),
        ("12/31/2023 10:15 PM", "%m/%d/%Y %I:%M %p", "2023-12-31T22:15:00.000Z"),
        ("2023-12-31 10:15:00 +0530", "%Y-%m-%d %H:%M:%S %z", "2023-12-31T04:45:00.000Z"),
        ("2023-12-31 10:15:00 +05:30", ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S %z"], "2023-12-31T04:45:00.000Z"),
        (
            "2023-12-31 10:15:00 Europe/Berlin",
            ["%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S %z"],
            "2023-12-31T09:15:00.000Z",
        ),
        ("2023-12-31 10:15:00 +01", ["%Y-%m-%d %H:%M:%S %Z", "%Y-%m-%d %H:%M:%S %z"], "2023-12-31T09:15:00.000Z"),
        ("2023-12-31 10:15:00.123456789", "%Y-%m-%d %H:%M:%S.%n", "2023-12-31T10:15:00.123Z"),
        ("%y 2023-12-31", "%%y %Y-%m-%d", "2023-12-31T00:00:00.000Z"),
        ("it's 2023-12-31", "it's %Y-%m-%d", "2023-12-31T00:00:00.000Z"),
        ("2023-12-31 24:00", "%Y-%m-%d %H:%M", None),
        ("2023-12-31 23:59:60", "%Y-%m-%d %H:%M:%S", None),
        ("31-12-23", "%d-%m-%Y", "!year"),
        ("31-02-2023", "%d-%m-%Y", None),
        ("x", "%d-%m-%Y", None),
        ("31-12-2023 ", "%d-%m-%Y", "?"),
    ],
)
def test_formats(text, formats, spelt):
    """Formats are tried in order, with and without zones; what fits none rejects its row."""
    (found,) = attribute([text], {**TIME, "format": formats, "timezone": "UTC"})

    if spelt != "?":
        assert found == (f'"{spelt}"' if spelt and not spelt.startswith("!") else spelt or "!timestamp")


@pytest.mark.parametrize("form", ["%y", "%d-%m-%y", "%-y", "%d.%-m.%-y %H"])
def test_a_two_digit_year_is_refused(form):
    """68 is 1968 or 2068."""
    with pytest.raises(ValidationError, match="two-digit year"):
        attribute(["x"], {**TIME, "format": form, "timezone": "UTC"})


@pytest.mark.parametrize("form", ["%Q", "%d-%m-%Y %", "%d %K"])
def test_a_format_that_is_none_is_refused_before_any_row(form):
    """A mistake in a format is told with its place."""
    with pytest.raises(UsageError, match=r"attributes\.a: .* is not a time format"):
        attribute(["x"], {**TIME, "format": form, "timezone": "UTC"})


# --- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "number", "spelt"),
    [
        ("s", 1_700_000_000, "2023-11-14T22:13:20.000Z"),
        ("ms", 1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        ("us", 1_700_000_000_123_999, "2023-11-14T22:13:20.123Z"),
        ("ns", 1_700_000_000_123_999_999, "2023-11-14T22:13:20.123Z"),
        ("s", 0, "1970-01-01T00:00:00.000Z"),
        ("s", -1, "1969-12-31T23:59:59.000Z"),
        ("ms", -1, "1969-12-31T23:59:59.999Z"),
        ("us", -1, "1969-12-31T23:59:59.999Z"),
        ("ns", -1, "1969-12-31T23:59:59.999Z"),
        ("s", 253_000_000_000, "9987-04-02T17:46:40.000Z"),
        ("s", 253_000_000_001, None),
        ("s", 1_700_000_000_123, None),
        ("s", -30_000_000_001, None),
        ("ms", 2**62, None),
    ],
)
def test_epochs(unit, number, spelt):
    """A number is a moment only with its unit, and only in a believable year; text and numbers agree."""
    expected = [f'"{spelt}"' if spelt else "!timestamp"]
    words = {**TIME, "unit": unit}

    assert attribute(pa.array([number], pa.int64()), words) == expected
    assert attribute([str(number)], words) == expected
    if abs(number) < 2**53:
        assert attribute(pa.array([float(number)]), words) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_epoch_that_overflows_rejects_its_row_alone(unit):
    """One absurd number does not stop the batch."""
    texts = ["9" * 31, "1e31", "1e400", "-" + "9" * 60, "", "x", "nan", "\uff11\uff17", "0x10", "1_000"]
    found = attribute([*texts, "0"], {**TIME, "unit": unit})

    assert found == ["!timestamp"] * len(texts) + ['"1970-01-01T00:00:00.000Z"']


def test_a_number_without_a_unit_is_refused():
    """Seconds and milliseconds look alike."""
    with pytest.raises(UsageError, match="a number is no moment without its unit"):
        attribute(pa.array([1_700_000_000]), TIME)


def test_a_fraction_of_a_second_and_nan():
    """Fractions are kept to the millisecond, NaN is null."""
    column = pa.array([1700000000.1239, float("nan"), None, float("inf")])

    assert attribute(column, {**TIME, "unit": "s"}) == ['"2023-11-14T22:13:20.123Z"', None, None, "!timestamp"]


# --- typed columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [{}, TIME, {"type": "string"}])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "+05:30"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_column_with_a_zone_is_a_moment(unit, zone, spec):
    """The zone of a column changes how it is shown, not which moment it is."""
    number = 1_700_000_000 * {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    column = pa.array([number, None], pa.timestamp(unit, zone))

    assert attribute(column, spec) == ['"2023-11-14T22:13:20.000Z"', None]


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_nanoseconds_before_1970_are_cut_downwards(zone):
    """A nanosecond before 1970 is still 1969."""
    column = pa.array([-1, -1_000_001, 999_999], pa.timestamp("ns", zone))
    expected = ["1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.998Z", "1970-01-01T00:00:00.000Z"]

    assert attribute(column, timezone="UTC") == [f'"{text}"' for text in expected]
    assert attribute(column, {"type": "date"}, timezone="UTC") == ['"1969-12-31"', '"1969-12-31"', '"1970-01-01"']


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_moment_beyond_belief_rejects_its_row_alone(unit, zone):
    """The year 20,000, or the end of the type, sinks no batch; the dead letter can be written."""
    a_second = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    far = 9_000_000_000 if unit == "ns" else 568_971_820_800
    column = pa.array([2**63 - 1, -(2**63) + 1, 0, min(far * a_second, 2**63 - 1)], pa.timestamp(unit, zone))

    assert attribute(column, timezone="Europe/Berlin")[2] in {
        '"1970-01-01T00:00:00.000Z"',
        '"1969-12-31T23:00:00.000Z"',
    }
    assert attribute(column, timezone="Europe/Berlin")[:2] == ["!year", "!year"]
    assert attribute(column, timezone="UTC")[:2] == ["!year", "!year"]
    if unit != "ns":
        assert attribute(column, timezone="UTC")[3] == "!year"


@pytest.mark.parametrize("zone", ["utc", "+0530", "Z", "Made/Up"])
def test_a_rejected_row_is_shown_whatever_the_name_of_its_zone(zone):
    """Neither Python nor Arrow knows these names; the row is a rejection, and no traceback."""
    column = pa.array([0, 2**50], pa.timestamp("s", zone))
    result = mapped({"id": ["", "b"], "a": column}, {"userId": "id", "attributes": "*"})

    assert codes(result) == {1: ["blank"], 2: ["year"]}
    assert result.rejections[0].row == {"id": "", "a": "1970-01-01 00:00:00Z"}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "America/New_York"])
def test_the_last_day_of_9999_is_no_time_alone_or_inside_a_value(zone):
    """It stands for "for ever"; and a local time that is in the year 10000 in UTC is no traceback."""
    last = datetime(9999, 12, 31, 23, 30, 0, 999_999)  # noqa: DTZ001
    lists = pa.array([None, [last], [datetime(9999, 12, 30)]], pa.list_(pa.timestamp("us")))  # noqa: DTZ001
    columns = {"id": ["a", "b", "c"], "a": pa.array([last, None, None]), "l": lists}
    result = mapped(columns, {"userId": "id", "attributes": "*"}, timezone=zone)

    assert codes(result) == {1: ["year"], 2: ["nested"]}


def test_a_nested_moment_beyond_belief_rejects_its_row_alone():
    """Python's calendar ends in 9999, and a struct that goes on past it is a rejection."""
    column = pa.array([[0], [2**60], [-(2**55)]], pa.list_(pa.timestamp("us", "UTC")))
    result = mapped({"id": ["a", "b", "c"], "a": column}, {"userId": "id", "attributes": "*"})

    assert codes(result) == {2: ["nested"], 3: ["nested"]}


@pytest.mark.parametrize(
    ("values", "spec", "spelt"),
    [
        (pa.array([0, 19723], pa.date32()), {}, ['"1970-01-01"', '"2024-01-01"']),
        (pa.array([0], pa.date64()), {}, ['"1970-01-01"']),
        (pa.array([3_000_000, -800_000], pa.date32()), {}, ["!year", "!year"]),
        (pa.array([19723], pa.date32()), {**TIME, "timezone": "Europe/Berlin"}, ['"2023-12-31T23:00:00.000Z"']),
        (
            ["2024-01-01", "2024-1-1", "01.01.2024", "2024-01-01T00:00", ""],
            {"type": "date"},
            ['"2024-01-01"', "!date", "!date", "!date", "!date"],
        ),
        (
            ["2024-02-30", "0000-00-00", "0999-01-01", " 2024-02-29 "],
            {"type": "date"},
            ["!date", "!date", "!year", '"2024-02-29"'],
        ),
        (
            ["31.12.2023", "2023-12-31"],
            {"type": "date", "format": ["%d.%m.%Y", "%Y-%m-%d"]},
            ['"2023-12-31"', '"2023-12-31"'],
        ),
        (pa.array([1_704_063_600], pa.timestamp("s", "UTC")), {"type": "date"}, ['"2023-12-31"']),
        (
            pa.array([1_704_063_600], pa.timestamp("s", "UTC")),
            {"type": "date", "timezone": "Europe/Berlin"},
            ['"2024-01-01"'],
        ),
        (pa.array([None], pa.date32()), {}, [None]),
        (pa.array([3_661_000_000, 1], pa.time64("us")), {}, ['"01:01:01"', '"00:00:00.000001"']),
        (pa.array([1], pa.time32("ms")), {}, ['"00:00:00.001"']),
        (pa.array([1500], pa.time64("ns")), {}, ['"00:00:00.0000015"']),
    ],
    ids=str,
)
def test_dates_and_times_of_day(values, spec, spelt):
    """Dates are YYYY-MM-DD, and are moments only where a zone is named."""
    assert attribute(values, spec) == spelt


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("INTERVAL 0 DAY", "PT0S"),
        ("INTERVAL '-14 months'", "P-1Y-2M"),
        ("INTERVAL '1 year 2 days 3.5 seconds'", "P1Y2DT3.5S"),
        ("INTERVAL '-36 hours -5 minutes'", "PT-36H-5M"),
        ("INTERVAL '3 days -0.000001 seconds'", "P3DT-0.000001S"),
        ("TIMESTAMP '2026-01-03 12:00:00' - TIMESTAMP '2026-01-01'", "P2DT12H"),
        ("CAST(NULL AS INTERVAL)", None),
    ],
)
def test_a_span_of_time_is_iso_text(expression, text):
    """Each part has its own sign, as PostgreSQL spells it; nothing is no text."""
    result = mapped({"id": ["u"]}, {"userId": "id", "attributes": {"x": {"sql": expression}}})

    assert json.loads(result.records["record"][0].as_py()).get("attributes", {}).get("x") == text


# --- the timestamp of a record -------------------------------------------------------------------------------------


def record_timestamps(values, record="user", **words):
    """Return each row's timestamp, or its codes."""
    fields = {"userId": "id", "timestamp": {"column": "at", **words}}
    fields |= {"event": {"value": "e"}} if record == "event" else {}
    result = mapped({"id": ["u"] * len(values), "at": values}, fields, record=record)
    found = dict(zip(result.records["ordinal"].to_pylist(), result.records["record"].to_pylist(), strict=True))
    refused = codes(result)
    return [
        found[row + 1].partition('"timestamp":"')[2][:24] if row + 1 in found else refused[row + 1]
        for row in range(len(values))
    ]


def test_a_null_timestamp_is_the_as_of_time_of_a_user():
    """A user without a time is as of now; the same now at every retry."""
    assert record_timestamps(pa.array([None], pa.string())) == [AS_OF_TEXT]


def test_a_null_timestamp_rejects_an_event():
    """An event without its time would be put at the wrong one."""
    assert record_timestamps(pa.array([None], pa.string()), record="event") == [["missing"]]


def test_an_unmapped_timestamp_is_the_as_of_time():
    """Every record has a time, and the same at every retry."""
    assert records({"id": ["u"]}, {"userId": "id", "event": {"value": "e"}}, record="event", sync="full") == [
        {"type": "event", "userId": "u", "event": "e", "timestamp": AS_OF_TEXT}
    ]


def test_a_record_s_time_must_be_believable():
    """From 1980 to a day after the run, to the microsecond; everything else is a unit or a format mistaken."""
    latest = AS_OF + timedelta(days=1)
    moments = [
        datetime(1980, 1, 1, tzinfo=UTC),
        datetime(1979, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        latest,
        latest + timedelta(microseconds=1),
    ]
    found = record_timestamps(pa.array(moments, pa.timestamp("us", "UTC")))

    assert found == ["1980-01-01T00:00:00.000Z", ["range"], "2024-06-02T12:00:00.123Z", ["range"]]


def test_milliseconds_taken_for_seconds_are_seen():
    """1,700,000,000 milliseconds is January 1970."""
    assert record_timestamps(pa.array([1_700_000_000]), unit="ms") == [["range"]]


def test_an_expression_may_make_the_time():
    """A moment computed by an expression is one, and what it read is not an attribute as well."""
    columns = {"id": ["u"], "day": ["2024-01-02"], "n": [1]}
    fields = {"userId": "id", "attributes": "*", "timestamp": {"sql": "CAST(day AS DATE)", "timezone": "UTC"}}
    (record,) = records(columns, fields)

    assert record["timestamp"] == "2024-01-02T00:00:00.000Z"
    assert record["attributes"] == {"n": 1}


@pytest.mark.parametrize(
    ("word", "spelt"),
    [
        ("UTC", "13:45"),
        ("utc", "13:45"),
        ("Z", "13:45"),
        ("GMT", "13:45"),
        ("CEST", "11:45"),
        ("cet", "12:45"),
        ("PST", "21:45"),
        ("PDT", "20:45"),
        ("Europe/Berlin", "11:45"),
        ("Asia/Kolkata", "08:15"),
    ],
)
def test_an_abbreviation_of_a_zone_is_one_offset(word, spelt):
    """PST in July is not PDT; a place has the offset of its day."""
    spec = {**TIME, "format": ["%d.%m.%Y %I:%M %p (%Z)", "%Z %Y-%m-%d %H:%M", "%Y-%m-%d %H:%M %Z"]}
    texts = [f"05.07.2024 01:45 PM ({word})", f"{word} 2024-07-05 13:45", f"2024-07-05 13:45 {word}"]

    assert attribute(texts, spec) == [f'"2024-07-05T{spelt}:00.000Z"'] * 3


@pytest.mark.parametrize("word", ["BST", "bst", "IST", "CST", "SST", "NET", "UTC+02:00", "", "X"])
@pytest.mark.parametrize("kind", ["timestamp", "date"])
def test_an_abbreviation_with_several_meanings_rejects_its_row(word, kind):
    """BST is no Bangladesh, and IST may be in Ireland, Israel or India: nobody guesses."""
    spec = {"type": kind, "format": "%Y-%m-%d %H:%M %Z", "timezone": "UTC"}

    assert attribute([f"2024-07-05 13:45 {word}"], spec) == [f"!{kind}"]


def test_an_offset_decides_over_the_word_beside_it():
    """`+0100 (BST)`, as browsers write it, is one moment."""
    spec = {**TIME, "format": "%Y-%m-%d %H:%M %z (%Z)"}

    assert attribute(["2024-07-05 13:45 +0100 (BST)"], spec) == ['"2024-07-05T12:45:00.000Z"']


@pytest.mark.parametrize("zone", ["America/Vancouver", "Europe/Oslo", "Asia/Kathmandu"])
def test_one_local_time_is_one_moment_nested_or_not(zone):
    """Both are read by one table of zones, whatever the machine's own says."""
    times = [EPOCH.replace(year=year, month=12, day=20, hour=10) for year in (1995, 2026, 2040)]
    at = pa.array(times, pa.timestamp("us"))
    flat_, nested_ = (
        attribute(at, {"timezone": zone}),
        [flat(pa.array([[one]], pa.list_(pa.timestamp("us"))), {"timezone": zone})["a.0"] for one in at.to_pylist()],
    )

    assert flat_ == [f'"{text}"' for text in nested_]


JANUARY, OSLO = datetime(2024, 1, 1, tzinfo=UTC), "Europe/Oslo"


@pytest.mark.parametrize(
    ("kind", "listed", "is_null"),
    [
        (pa.timestamp("us"), "2024-01-01 00:00:00", True),
        (pa.timestamp("ns"), "2024-01-01T00:00:00.000", True),
        (pa.timestamp("s"), "2024-01-01", True),
        (pa.timestamp("ms"), "2024-01-01T00:00Z", False),  # a local time names no moment
        (pa.timestamp("us", "UTC"), "2024-01-01T00:00:00Z", True),
        (pa.timestamp("us", "UTC"), "2024-01-01 00:00:00+00:00", True),
        (pa.timestamp("us", "UTC"), "2024-01-01 00:00:00+00", True),
        (pa.timestamp("ns", "UTC"), "2024-01-01 00:00:00", True),
        (pa.timestamp("us", "UTC"), "2024-01-01T02:00:00+0200", True),
        (pa.timestamp("us", OSLO), "2024-01-01 01:00:00+01:00", True),
        (pa.timestamp("us", OSLO), "2024-01-01T01:00:00", True),
        (pa.timestamp("us", OSLO), "2024-01-01", False),
        (pa.timestamp("us", "+05:30"), "2024-01-01 05:30:00", True),
        (pa.timestamp("us", "+05:30"), "2024-01-01 00:00:00", False),
        (pa.date32(), "2024-01-01", True),
        (pa.date32(), "2024-01-01 00:00:00", True),
        (pa.date32(), "2024-01-01T08:00", False),
    ],
)
@pytest.mark.parametrize("words", [{}, {"type": "string"}, {"default": "2000-01-01"}])
def test_null_values_name_a_time_as_the_source_shows_it(kind, listed, is_null, words):
    """`T` or a blank, fractions or none, `Z` or an offset, in the zone that the column has: the same time."""
    value = JANUARY.date() if pa.types.is_date(kind) else JANUARY if kind.tz else JANUARY.replace(tzinfo=None)
    spec = {"null_values": ["-", listed], "timezone": "UTC", **words}
    (spelt,) = attribute(pa.array([value], kind), spec)

    assert is_null == (spelt is None or "2000" in spelt)


def test_null_values_of_times_of_day_and_of_nanoseconds():
    """Seconds and zeros at the end need not be written; every digit that there is counts."""
    clock = pa.array([time(8, 30), time(8, 30, 1)])
    moments = pa.array([1, 1000, 2**62], pa.timestamp("ns", "UTC"))
    listed = ["1970-01-01T00:00:00.000001000Z", "1970-01-01 01:00:00.000000001+01"]

    assert attribute(clock, {"null_values": ["08:30"]}) == [None, '"08:30:01"']
    assert [one is None for one in attribute(moments, {"null_values": listed})] == [True, True, False]
