"""`scale:` brings the scores of any survey to 1 to 5: linear, halves rounded up, exact."""

import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from mapping_helpers import codes, mapped, stream_of

from bucket_loader.config.fingerprints import mapping_fingerprint

FIELDS = {"userId": {"value": "u"}, "key": {"value": "k"}}


def scores(values, scale, **spec):
    """Map scores; give for each row the score as text, or `!codes`."""
    score = {"column": "nps", "scale": scale, **spec}
    comment = {"value": "there is always one"}
    result = mapped({"nps": values}, {**FIELDS, "score": score, "comment": comment}, record="feedback", sync="full")
    found = {row: "!" + ",".join(names) for row, names in codes(result).items()}
    for row, text in zip(result.records["ordinal"].to_pylist(), result.records["record"].to_pylist(), strict=True):
        found[row] = re.search(r'"score":([^,}]*)', text)[1] if '"score"' in text else None
    return [found[row + 1] for row in range(len(found))]


def exact(value, scale):
    """The oracle: the rule in fractions."""
    least, greatest = (Fraction(str(bound)) for bound in scale)
    return str(math.floor(1 + 4 * (Fraction(value) - least) / (greatest - least) + Fraction(1, 2)))


def test_the_table_of_the_docs_is_what_comes_out():
    """0 to 10 as docs/pipeline-file.md shows it."""
    docs = Path(__file__, "../../../../docs/pipeline-file.md").resolve().read_text()
    asked, sent = re.search(r"\| asked \|([^\n]*)\|\n\|[-|]*\|\n\| sent \|([^\n]*)\|\n", docs).groups()
    values = [cell.strip() for cell in asked.split("|")]

    assert values == [str(value) for value in range(11)]
    assert scores(values, [0, 10]) == [cell.strip() for cell in sent.split("|")]


@pytest.mark.parametrize("scale", [[0, 10], [1, 10], [1, 7], [0, 100], [-5, 5], [0.1, 0.7], [1, 5], [0, 3]])
def test_every_kind_of_number_means_the_same(scale):
    """Text, whole numbers, floats, decimals: one score, the exact one."""
    least, greatest = (Decimal(str(bound)) for bound in scale)
    values = [least + (greatest - least) * step / 16 for step in range(17)]
    values = [value for value in values if value == round(value, 10)]
    wanted = [exact(value, scale) for value in values]

    assert scores([str(value) for value in values], scale) == wanted
    assert scores(pa.array(values, pa.decimal128(20, 10)), scale) == wanted
    assert scores([float(value) for value in values], scale) == wanted
    whole = [value for value in values if value == int(value)]
    assert scores([int(value) for value in whole], scale) == [exact(value, scale) for value in whole]


@given(st.decimals(min_value=0, max_value=10, places=17))
@settings(max_examples=50, deadline=None)
def test_no_float_decides_what_is_half(value):
    """Texts with more digits than a double has."""
    near = [value, Decimal("6.25"), Decimal("6.24999999999999999"), Decimal("1.24999999999999999")]

    assert scores([f"{one:f}" for one in near], [0, 10]) == [exact(one, [0, 10]) for one in near]


def test_every_text_of_a_number_is_read():
    """Blanks around it, signs, zeros, a point at either end, an exponent."""
    assert scores([" 9 ", "+9", "009", "9.", "9.0", "90e-1", ".0", "-0"], [0, 10]) == ["5"] * 6 + ["1"] * 2


def test_a_value_outside_of_the_scale_rejects_its_row():
    """Just outside, far outside, too large for any type, infinite; and one reason is enough."""
    outside = ["-0.000000001", "10.000000001", "11", "1e40", "9" * 60, "-1e300"]
    floats = [-1.0, 10.5, 1e300, math.inf]
    result = mapped({"nps": ["11"]}, {**FIELDS, "score": {"column": "nps", "scale": [0, 10]}}, record="feedback",
                    sync="full")  # fmt: skip

    assert scores(outside, [0, 10]) == ["!range"] * 6
    assert scores(floats, [0, 10]) == ["!range"] * 4
    assert [reason.message for reason in result.rejections[0].reasons] == [
        "column 'nps' is outside of its `scale:`, 0 to 10"]  # fmt: skip


def test_what_is_no_number_rejects_its_row():
    """A word, a blank, a number with a comma."""
    assert scores(["good", " ", "7,5", "0x5", "nan"], [0, 10]) == ["!number"] * 5


def test_null_is_as_for_every_score():
    """Null and `null_values:` are no score; `default:` is one on the same scale."""
    assert scores([None, "-", "9"], [0, 10], null_values=["-"]) == [None, None, "5"]
    assert scores([None, "0"], [0, 10], default=10) == ["5", "1"]
    assert scores([math.nan, 0.0], [0, 10]) == [None, "1"]
    assert scores([True, False, None], [0, 1]) == ["5", "1", None]


def test_an_expression_has_a_scale_as_well():
    """What `sql:` makes of a row is on the scale."""
    score = {"sql": "CAST(nps AS INTEGER) / 10", "scale": [0, 10]}
    result = mapped({"nps": ["90", "x"]}, {**FIELDS, "score": score}, record="feedback", sync="full")

    assert [json.loads(text)["score"] for text in result.records["record"].to_pylist()] == [5]
    assert "expression" in codes(result)[2]


def test_a_mapping_without_a_scale_is_known_as_before():
    """A new word leaves the fingerprints of those who do not use it, or all keyless history would go out again."""
    plain, with_scale = (stream_of({**FIELDS, "score": {"column": "a", **spec}}, record="feedback", key=["a"])
                         for spec in ({}, {"scale": [0, 10]}))  # fmt: skip

    assert "scale" not in plain.model_dump_json()
    assert mapping_fingerprint(plain) != mapping_fingerprint(with_scale)
