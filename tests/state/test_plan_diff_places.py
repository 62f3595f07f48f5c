"""`plan --diff` is exact wherever the state lies: the ledger on a server, the files in a folder or in a store."""

from uuid import uuid4

import pytest
import servers
from known_companies import Companies, assert_same, diff_of
from pods import new_pod
from workplace import Workplace

pytestmark = pytest.mark.postgres


class OnServer(Workplace):
    """A workplace whose ledger lies on a server, and its files on this disk."""

    def command_of(self, *words, **variables):
        """Run a command with that state."""
        return super().command_of(
            *words, **{"BUCKET_LOADER_STATE": f"{self.database} {self.folder / 'state'}"} | variables
        )


def on_server(folder, emulator, _):
    """Make such a workplace."""
    it = OnServer(folder, emulator.url)
    it.database, it.prefix = servers.postgres_url(), uuid4().hex
    return it


@pytest.mark.parametrize("make", [on_server, new_pod])
def test_the_cells_that_changed_are_named(tmp_path, emulator, s3, make):
    """Over several runs whose memory is merged, and one that is abandoned, on a new disk for each command."""
    place = make(tmp_path, emulator, s3)
    companies = Companies(place, 7)
    companies.begin(2_000, name=f"test-{place.prefix}")
    assert place.run().exit_code == 0
    for _ in range(3):
        expected = companies.change(cells=1_000, of=700, new=50, gone=20)
        assert_same(diff_of(place), expected)
        assert place.run().exit_code == 0
    emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
    companies.change(cells=90, of=90, new=0, gone=0)
    lost = place.run("--patience", "0s")
    emulator.faults()
    assert place.command("abandon", lost.summary["run"]).exit_code == 0
    found = diff_of(place)
    assert (found["changed"], [one["fields"] for one in found["records"]].count(None)) == (90, found["unknown"])
    assert place.run().exit_code == 0
    expected = companies.change(cells=1_000, of=700, new=50, gone=20)
    assert_same(diff_of(place), expected)
