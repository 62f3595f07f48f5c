"""The host and the key, tried with a read."""

import json
from typing import Final

from bucket_loader.config import Destination
from bucket_loader.model import Api, Verdict
from bucket_loader.runs import features

# A read that only the right key may do. S4 documents none for the tracking API: that one is of its SDK (TRK).
_PROOF: Final[dict[Api, str]] = {
    "front": "/features",
    "front-legacy": "/flags/evaluate",
    "tracking-legacy": "/features/enabled",
}
_NOT_THERE: Final = 404


def try_key(destination: Destination) -> str:
    """Prove host and key with a read.

    Raises:
        KeyRefusedError, MisroutedError, PatienceError: what a run would end with.
    """
    endpoint = _PROOF[destination.api]
    outcome, answer = features.get(destination, endpoint)
    if outcome.verdict is Verdict.DELIVERED:
        defined = f"; {len(json.loads(answer).get('features', []))} features are defined"
        return f"answers, and takes the key{defined if destination.api == 'front' else ''}"
    if destination.api == "tracking-legacy" and outcome.status == _NOT_THERE and _is_refusal(answer):
        return "answers as Bucket does; it has no read, so only the first record can prove the key"
    raise features.refused(outcome, destination, endpoint)


def _is_refusal(answer: bytes) -> bool:
    try:
        found = json.loads(answer)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("success") is False
