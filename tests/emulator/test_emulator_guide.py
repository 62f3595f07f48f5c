"""docs/emulator.md against what it describes."""

import json
import re
from pathlib import Path

import pytest
from emulator_api import Api

from bucket_loader.emulator.faults.faults import Fault
from bucket_loader.emulator.faults.order import Faults
from bucket_loader.emulator.http.control import ALL, CONTROL
from bucket_loader.emulator.http.management import MANAGEMENT

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "emulator.md").read_text("utf-8")
FAULTS = [json.loads(found) for found in re.findall(r"^\| `(\{\"kind\".*?\})` \|", GUIDE, re.MULTILINE)]


def test_every_kind_of_fault_has_its_example():
    """No kind is missing, and none is made up."""
    kinds = {str(kind.__struct_config__.tag) for kind in Fault.__subclasses__()}

    assert {fault["kind"] for fault in FAULTS} == kinds


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["kind"])
def test_every_example_of_a_fault_can_be_ordered(fault):
    """What the guide shows is accepted as it stands."""
    assert Faults.read({"faults": [fault]}).shown().faults[0]["kind"] == fault["kind"]


def test_every_call_of_the_control_api_is_named():
    """The guide's table is whole."""
    named = set(re.findall(r"`([A-Z]+) /_emulator(/[a-z.]+)", GUIDE))
    served = {
        (method, path.partition("/{")[0])
        for path, methods in (ALL | CONTROL).items()
        for method in methods
        if path[:5] != "/page"
    }

    assert named == served


def test_every_call_of_the_management_api_is_named():
    """The guide names each path, with capitals for what stands in it."""
    names = {"appId": "APP", "envId": "ENV", "flagId": "FLAG", "userId": "ID", "companyId": "ID"}
    named = set(re.findall(r"`([A-Z]+) (/api/\S+)`", GUIDE))
    served = {
        (method, re.sub(r"{(\w+)}", lambda found: names[found[1]], path))
        for path, methods in MANAGEMENT.items()
        for method in methods
    }

    assert named == served


def test_an_empty_order_ends_all_faults(api: Api):
    """`{}` is an order too, as the guide says."""
    api.fault({"kind": "html"})

    assert api.put("/_emulator/faults", {}).status_code == 200
    assert api.get("/_emulator/faults").json()["faults"] == []


def test_the_picture_is_small():
    """The screenshot is there, and no burden on whoever clones the project."""
    assert 20_000 < (DOCS / "emulator.png").stat().st_size < 200_000
