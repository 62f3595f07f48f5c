"""Several senders, none of which knows of another, against one hidden limit that moves: minutes of virtual time.

The limit says when to come again. Where it does not, each sender takes refusals that others bring about for
chance, and there are many (docs/how-to/many-senders.md).

`BUCKET_LOADER_PACING=all` plays one to eight; by default four. With `pytest -s` it prints what was used.
"""

import os
import sys

import pytest
from pacing_model import Server, run_several

from bucket_loader.model.outcomes import Verdict

pytestmark = pytest.mark.long

ALL = os.environ.get("BUCKET_LOADER_PACING") == "all"
STEPS_S = 60.0
LIMITS = (200.0, 150.0, 220.0, 180.0)  # requests a second, one after another
FINDS_S = 20.0  # after a step


def limit(now):
    """Return how many requests a second are admitted."""
    return LIMITS[int(now // STEPS_S) % len(LIMITS)]


@pytest.mark.parametrize("senders", [1, 2, 4, 8] if ALL else [4])
def test_a_limit_that_moves_is_used_by_all_together(senders):
    """At least 95 % of what is admitted is used once a step was found, and under 1.5 % of requests meet a 429."""
    end = STEPS_S * len(LIMITS)
    found = run_several(Server(lambda: 0.08, limit=limit, burst=5, asks=0.0), end, senders)
    used = [
        sum(one.per_s(STEPS_S * step + FINDS_S, STEPS_S * (step + 1)) for one in found) / admitted
        for step, admitted in enumerate(LIMITS)
    ]
    refused = sum(one._count(FINDS_S, end, Verdict.THROTTLED) for one in found)
    share = refused / sum(one._count(FINDS_S, end, *Verdict) for one in found)
    sys.stdout.write(f"\n{senders} senders: {min(used):.3f} of the limit at the least, {share:.4f} refused\n")

    assert min(used) >= 0.95, used
    assert share < 0.015
