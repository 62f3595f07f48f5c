"""Errors that come from another process: every kind arrives as it left."""

import pickle

import pytest

from bucket_loader.model import errors


def kinds(kind=errors.BucketLoaderError):
    """Return a kind of error and all below it."""
    return [kind, *(one for below in kind.__subclasses__() for one in kinds(below))]


def made(kind):
    """Return an error, made with whatever its kind takes."""
    stop = errors.Stop("s", "rejected", "too many", "h", lifted=False)
    for words in (
        {"message": "m", "hint": "h"},
        {"file": "f", "mistakes": []},
        {"stops": [stop]},
        {"signal_number": 15},
        {"name": "n", "known": []},
    ):
        try:
            return kind(**words)
        except TypeError:
            continue
    return kind()


@pytest.mark.parametrize("kind", kinds())
def test_an_error_arrives_as_it_left(kind):
    """Its words, its hint, its notes and its exit code."""
    left = made(kind)
    left.add_note("a note")
    arrived = pickle.loads(pickle.dumps(left))  # noqa: S301  # it was made here

    assert type(arrived) is kind
    assert str(arrived) == str(left)
    assert vars(arrived) == vars(left)
    assert arrived.exit_code == left.exit_code
