"""DataFrames that are remembered are told apart by their names, and a name has one mapping."""

import pandas as pd
import pyarrow as pa
import pytest
from workplace import KEY

from bucket_loader import BucketLoaderError, load

EVENT = {"userId": "user", "event": {"value": "click"}, "timestamp": {"column": "at", "type": "timestamp"}}
ORDER = EVENT | {"event": {"value": "order"}}


def frame(*users):
    """Return a frame of events."""
    ids = [str(number) for number in range(len(users))]
    return pd.DataFrame({"id": ids, "user": users, "at": ["2026-01-01T00:00:00Z"] * len(users)})


@pytest.fixture
def loading(emulator, tmp_path, monkeypatch):
    """Return what loads a frame into the emulator, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def loaded(what, **words):
        given = {"record": "event", "fields": EVENT, "destination": {"base_url": emulator.url, "key": KEY}}
        return load(what, **(given | words))

    return loaded


@pytest.mark.parametrize(
    "words",
    [
        {"sync": "append", "key": ["id"]},
        {},  # the kind's own mode is append
        {"record": "user", "fields": {"userId": "user"}},  # and changes
    ],
)
@pytest.mark.parametrize("kind", [pd.DataFrame, pa.Table])
def test_a_second_frame_that_is_remembered_needs_a_name(loading, emulator, words, kind):
    """It could match what the first one left: exit 2, the hint says `name=`; the first may come again."""

    def of(*users):
        return frame(*users) if kind is pd.DataFrame else pa.Table.from_pandas(frame(*users))

    def refused(what, **more):
        with pytest.raises(BucketLoaderError) as caught:
            loading(what, **(words | more))
        return caught.value.exit_code == 2 and "name=" in caught.value.hint

    assert loading(of("a", "b"), **words).streams["dataframe"].delivered == 2
    assert loading(of("a", "b"), **words).streams["dataframe"].unchanged == 2
    assert refused(of("a", "c"))
    assert refused(of("a"))
    assert refused(of("a", "b"), where="id = '0'")
    assert emulator.state()["requests"] == 1
    assert loading(of("a", "c"), **words, name="dataframe").streams["dataframe"].read == 2
    assert (
        loading(of("x", "y"), sync="full", **{key: words[key] for key in words.keys() - {"sync", "key"}}).exit_code == 0
    )


def test_frames_without_a_name_all_arrive_and_those_with_names_are_apart(loading, emulator):
    """`full` remembers nothing; two names share nothing, also with the same keys."""
    sent = [loading(frame(user), sync="full").streams["dataframe"].delivered for user in "aba"]
    named = [
        loading(frame("x", "y"), sync="append", key=["id"], name=name).streams[name].delivered
        for name in ("my clicks", "my_clicks", "my clicks")
    ]

    assert (sent, named, emulator.state()["events"]) == ([1, 1, 1], [2, 2, 0], 7)


def test_another_mapping_under_the_same_name_is_noticed_with_a_key(loading, emulator):
    """The keys look known and the records are others: exit 2 until it is accepted; new keys alone are no matter."""
    words = {"sync": "append", "key": ["id"], "name": "clicks"}
    loading(frame("a", "b"), **words)
    with pytest.raises(BucketLoaderError) as caught:
        loading(frame("x", "y", "z"), **words, fields=ORDER)

    assert caught.value.exit_code == 2
    assert "2 rows" in caught.value.message
    assert "--accept-mapping" in caught.value.hint
    assert loading(frame("x", "y", "z")[2:], **words, fields=ORDER).streams["clicks"].delivered == 1
    assert loading(frame("x", "y", "z"), **words, fields=ORDER).streams["clicks"].unchanged == 3
    for accepted in ({"accept_mapping": True}, {}):
        assert loading(frame("x", "y", "z"), **words, **accepted).streams["clicks"].unchanged == 3
    assert emulator.state()["events"] == 3


@pytest.mark.parametrize(
    ("words", "stored"),
    [
        ({"arrays": "keep"}, {"tags": ["a", "b"]}),
        ({"arrays": "flatten"}, {"tags.0": "a", "tags.1": "b"}),
        ({}, {"tags": ["a", "b"]}),
    ],
)
def test_a_frame_says_how_its_lists_are_sent(loading, emulator, words, stored):
    """The words of a pipeline file's top are words of a frame, too; a misspelt one is refused."""
    rows = pd.DataFrame({"id": ["u1"], "tags": [["a", "b"]]})
    user = {"record": "user", "fields": {"userId": "id", "attributes": {"tags": "tags"}}, "sync": "full"}

    assert loading(rows, **user, **words).exit_code == 0
    assert emulator.journal()[0]["item"]["attributes"] == stored
    with pytest.raises(BucketLoaderError, match="arrays"):
        loading(rows, **user, arrays="kept")
