"""Exports that look odd and are right: no gate refuses them. And what is wrong, and no gate can see."""

import pytest
from sound import SOUND, UNCAUGHT

pytestmark = pytest.mark.breadth


def named(case):
    """Name a test by its sentence."""
    return f"{case.stream}: {case.says}"


@pytest.mark.parametrize("case", SOUND, ids=named)
def test_a_sound_export_is_not_refused(case, night):
    """The limits that refuse every broken export let this one through."""
    ended = night.live(case)

    assert ended.exit_code == (3 if case.rejects else 0), ended.said


@pytest.mark.parametrize("case", UNCAUGHT, ids=named)
def test_what_no_gate_catches_is_known(case, night, recorder):
    """These are sent; docs/gates.md says so, and what helps instead."""
    ended = night.live(case)

    assert (ended.exit_code, bool(recorder.requests)) == (0, True), ended.said
