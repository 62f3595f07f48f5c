"""What is wrong with JSON, in words that need no knowledge of the library that reads it."""

import msgspec
import pytest

from bucket_loader.model import LENIENT, json_mistake

USER, FEEDBACK, FEATURE_EVENT = LENIENT["user"], LENIENT["feedback"], LENIENT["feature_event"]
SAID = [
    (USER, '{"type":"user","userId":""}', "userId: must not be empty"),
    (USER, '{"type":"user"}', "userId: is missing"),
    (USER, '{"type":"usr","userId":"u"}', "type: 'usr' is none of those that may stand here"),
    (USER, '{"type":"user","userId":[]}', "userId: must be a number or text, not a list"),
    (USER, '{"type":"user","userId":"u","attributes":5}', "attributes: must be an object or null, not a whole number"),
    (USER, '{"type":"user","userId":"u","context":{"active":3}}',
     "context.active: must be true, false or null, not a whole number"),
    (USER, "5", "body: must be an object, not a whole number"),
    (USER, "{", "body: is not JSON: it ends too early"),
    (USER, '{"a":}', "body: is not JSON: invalid character (byte 5)"),
    (FEEDBACK, '{"type":"feedback","userId":"u","score":9}', "score: must be at most 5"),
    (FEEDBACK, '{"type":"feedback","userId":"u","score":-1}', "score: must be at least 0"),
    (FEEDBACK, '{"type":"feedback","userId":"u","score":"x"}', "score: must be a number or null, not text"),
    (FEEDBACK, '{"type":"feedback","userId":"u","featureId":"123456789012345"}',
     "featureId: must have at most 14 characters"),
    (FEEDBACK, '{"type":"feedback","userId":"u","promptId":"x"}', "promptId: must have 10 to 40 characters"),
    (FEATURE_EVENT, '{"type":"feature-flag-event","action":"check","key":"k","evalRuleResults":[1]}',
     "evalRuleResults[0]: must be true or false, not a whole number"),
    (list[str], "[[]]", "[0]: must be text, not a list"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "text", "said"), SAID, ids=[said for _, _, said in SAID])
def test_what_is_wrong_with_json(shape, text, said):
    """The place comes first, then what must be there and what is."""
    with pytest.raises(msgspec.DecodeError) as refused:
        msgspec.json.decode(text, type=shape)

    assert json_mistake(refused.value, "body") == said


def test_a_sentence_that_is_not_known_stays_as_it_is():
    """A newer library may have others."""
    assert json_mistake("Something new - at `$.a.b`") == "a.b: Something new"
