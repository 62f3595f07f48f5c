"""The published evaluation packages, unmodified, against the rules that the emulator follows."""

import json

import pytest
from evaluation_cases import NOW_MS, STORED, by_the_packages, cases
from tiers import CLIENTS

from bucket_loader.model.evaluation.rules import evaluate, flatten

pytestmark = pytest.mark.clients


@pytest.mark.parametrize("package", ["@bucketco/flag-evaluation", "@reflag/flag-evaluation"])
def test_evaluation_agrees_with_the_published_packages(package):
    """Rule by rule, on the stored cases (whose results are still the packages') and on as many fresh ones."""
    stored = json.loads(STORED.read_text("utf-8"))
    some = [*stored, *cases(seed=2)]

    published = by_the_packages(CLIENTS, some)[package]

    assert len(some) > 1000
    assert [case["expected"] for case in stored] == published[: len(stored)]
    for case, result in zip(some, published, strict=True):
        ours = evaluate(case["rules"], flatten(case["context"], "2025"), NOW_MS, "2025")
        assert {"matched": ours.matched, "results": ours.results, "missing": ours.missing} == result, case
