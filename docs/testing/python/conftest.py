"""The shop, told where its Bucket is: nothing else is needed."""

from collections.abc import Iterator

import pytest
from shop import Shop

from bucket_loader.integrations.pytest import Bucket


@pytest.fixture
def shop(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop that tells the test's own Bucket."""
    monkeypatch.setenv("BUCKET_BASE_URL", bucket.url)
    monkeypatch.setenv("BUCKET_SECRET_KEY", bucket.secret_key)
    shop = Shop()
    yield shop
    shop.close()
