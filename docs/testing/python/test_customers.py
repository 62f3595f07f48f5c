"""What the shop tells of its customers."""

from shop import Shop

from bucket_loader.integrations.pytest import Bucket


def test_a_customer_arrives_with_plan_and_roles(bucket: Bucket, shop: Shop) -> None:
    """Lists stay lists."""
    shop.sign_up("u1", "c1", plan="pro", roles=["admin", "buyer"])

    bucket.expect(user="u1", attributes={"plan": "pro"}, within=2)

    assert bucket.user("u1").attributes == {"plan": "pro", "roles": ["admin", "buyer"]}


def test_a_customer_belongs_to_a_company(bucket: Bucket, shop: Shop) -> None:
    """So the features of the company are the customer's."""
    shop.sign_up("u1", "c1", plan="pro", roles=[])

    bucket.expect(company="c1", user="u1", within=2)

    assert bucket.company("c1").users == ["u1"]


def test_signing_up_is_an_event(bucket: Bucket, shop: Shop) -> None:
    """It is told after the customer is, and once."""
    shop.sign_up("u1", "c1", plan="free", roles=[])

    bucket.expect(event="signed up", user="u1", company="c1", within=2)

    assert len(bucket.records(event="signed up")) == 1
    assert bucket.refused == []


def test_an_order_is_told_with_its_amount(bucket: Bucket, shop: Shop) -> None:
    """Attributes that are not named may be anything."""
    shop.order("u1", "tea", 4.5)

    bucket.expect(event="ordered", user="u1", attributes={"amount": 4.5}, within=2)


def test_a_guests_order_is_nobodys_business(bucket: Bucket, shop: Shop) -> None:
    """The later order has arrived, so the earlier one would have."""
    shop.order(None, "gin", 20)
    shop.order("u1", "tea", 4.5)

    bucket.expect(event="ordered", attributes={"article": "tea"}, within=2)

    bucket.expect_none(event="ordered", attributes={"article": "gin"})


def test_an_order_outlives_an_outage(bucket: Bucket, shop: Shop) -> None:
    """Bucket answers 503 twice; the shop tries again, and tells it once."""
    bucket.fault({"kind": "status", "status": 503, "times": 2})

    shop.order("u1", "tea", 4.5)

    bucket.expect(event="ordered", user="u1", within=2)
    assert [refused.status for refused in bucket.refused] == [503, 503]
