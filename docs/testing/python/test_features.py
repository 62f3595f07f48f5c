"""What the shop shows to whom."""

from shop import Shop

from bucket_loader.integrations.pytest import Bucket


def test_a_feature_is_shown_when_it_is_on(bucket: Bucket, shop: Shop) -> None:
    """A flag is switched in the middle of a test, too."""
    bucket.flag("huddle", on=True)
    assert shop.shows("huddle", "c1")

    bucket.flag("huddle", on=False)
    assert not shop.shows("huddle", "c1")


def test_only_who_pays_sees_the_feature(bucket: Bucket, shop: Shop) -> None:
    """The rule asks for what the shop itself has told of the company."""
    bucket.define({"huddle": {"type": "context", "field": "company.plan", "operator": "IS", "values": ["pro"]}})

    shop.sign_up("u1", "c1", plan="pro", roles=[])
    shop.sign_up("u2", "c2", plan="free", roles=[])
    bucket.expect(event="signed up", user="u2", within=2)

    assert shop.shows("huddle", "c1")
    assert not shop.shows("huddle", "c2")


def test_the_greeting_is_the_one_of_the_variant(bucket: Bucket, shop: Shop) -> None:
    """A config has a key and a payload."""
    bucket.flag("greeting", on=True, config="loud", payload={"text": "HELLO"})

    assert shop.greeting("c1") == "HELLO"


def test_feedback_is_passed_on_unless_it_is_wrong(bucket: Bucket, shop: Shop) -> None:
    """A score has a most."""
    assert shop.rate("u1", "huddle", 5)
    assert not shop.rate("u1", "huddle", 11)

    bucket.expect(feedback="huddle", user="u1", score=5)
    assert "score" in bucket.refused[0].error
