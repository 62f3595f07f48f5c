"""What the nights share: a server that takes everything, and a shop after its first night."""

import shutil

import pytest
from gate_nights import PIPELINE, Night, Recorder
from workplace import served_by


@pytest.fixture(scope="session")
def first_night(tmp_path_factory):
    """A shop whose first night was delivered, and what its server heard; each test takes a copy."""
    recorder = Recorder()
    with served_by(recorder.handler) as url:
        night = Night(tmp_path_factory.mktemp("shop"), url)
        night.write("pipeline.yaml", PIPELINE.read_bytes())
        night.export()
        for stream in (None, "scores"):
            ended = night.load(stream=stream)
            assert ended.exit_code == 0, ended.said
        yield night, recorder


@pytest.fixture
def recorder(first_night):
    """What the server has heard since the test began."""
    recorder = first_night[1]
    recorder.requests, recorder.status = [], 200
    return recorder


def copy_of(night, folder):
    """Return a copy of a shop on its second night: nothing is exported yet."""
    shutil.copytree(night.folder, folder)
    copy = Night(folder, night.url)
    copy.day = 2
    return copy


@pytest.fixture
def night(first_night, tmp_path):
    """A shop on its second night."""
    return copy_of(first_night[0], tmp_path / "shop")


@pytest.fixture
def other_night(first_night, tmp_path):
    """The same shop once more."""
    return copy_of(first_night[0], tmp_path / "other")
