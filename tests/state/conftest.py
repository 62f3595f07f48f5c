"""What tests of a state share."""

import pytest
from ledgers import InFile, OnServer


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request, tmp_path):
    """Where the ledger lies."""
    return InFile(tmp_path / "state" / "ledger.db") if request.param == "sqlite" else OnServer()
