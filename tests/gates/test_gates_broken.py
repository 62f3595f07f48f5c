"""Exports that went wrong: no request is made, and the refusal says which gate it was."""

import pytest
from broken import BROKEN
from gate_nights import READING
from gate_shop import MARK

pytestmark = pytest.mark.breadth


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case.stream}: {case.says}")
def test_a_broken_export_is_refused_by_name_before_any_request(case, night, recorder):
    """Exit 4 names the gate and what to do, exit 2 is for what cannot be read; neither shows a value."""
    ended = night.live(case)

    assert (recorder.requests, ended.exit_code) == ([], 2 if case.gate == READING else 4), ended.said
    assert case.gate == READING or ended.names(case.gate), ended.message
    assert ended.hint or case.gate == READING
    assert MARK not in ended.said
