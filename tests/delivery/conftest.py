"""What tests of delivery share."""

import pytest
from bench import Bench


@pytest.fixture
def bench(tmp_path, emulator, quick):
    """A bench that delivers to the emulator."""
    return Bench(tmp_path, emulator.url)
