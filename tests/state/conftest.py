"""What tests of a state share."""

import pytest
import stores
from ledgers import InFile, OnServer


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request, tmp_path):
    """Where the ledger lies."""
    return InFile(tmp_path / "state" / "ledger.db") if request.param == "sqlite" else OnServer()


@pytest.fixture(scope="module")
def s3():
    """A store for the whole module; each test has a place of its own in it."""
    with pytest.MonkeyPatch.context() as patch, stores.s3(patch) as store:
        patch.setenv("AWS_ENDPOINT_URL", store.endpoint)
        patch.setenv("AWS_REGION", "us-east-1")
        yield store
