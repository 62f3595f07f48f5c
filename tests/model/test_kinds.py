"""The rows of the kinds and of the sync modes: they agree with the contract, and nobody asks for a name instead."""

import ast
from pathlib import Path

import pytest

from bucket_loader.model import contract
from bucket_loader.model.kinds import KINDS
from bucket_loader.model.syncs import SYNCS

PACKAGE = Path(__file__).parents[2] / "bucket_loader"
NAMES = {*KINDS, *SYNCS, *(kind.wire for kind in KINDS.values())}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_has_its_structs(kind):
    """What is sent and what is accepted carry the row's name on the wire."""
    assert contract.STRICT[kind.name].__struct_config__.tag == kind.wire
    assert contract.LENIENT[kind.name].__struct_config__.tag == kind.wire


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_ids_of_a_kind_are_fields_of_it(kind):
    """A record cannot be known by what it does not have; the subject is in every record."""
    rules = contract.rules(kind.name)

    assert [name for name in kind.ids if name not in rules] == []
    assert not kind.ordered or rules[kind.subject].required


@pytest.mark.parametrize("fact", ["name", "wire", "path", "plural"])
def test_no_two_kinds_share_a_name(fact):
    """Each word stands for one kind."""
    found = [getattr(kind, fact) for kind in KINDS.values()]

    assert len(set(found)) == len(found)


def test_a_mode_is_what_its_row_says():
    """`changes` asks for the content, `append` for the key alone, `full` for nothing."""
    asked = {name: (sync.remembers, sync.compares, sync.once) for name, sync in SYNCS.items()}

    assert asked == {
        "changes": (True, True, False),
        "append": (True, False, True),
        "full": (False, False, False),
    }


def compared(node):
    """Return the texts that a comparison names, also those in a set or a tuple; not what is looked for in a text."""
    sides = [*node.comparators, *([node.left] if isinstance(node.ops[0], ast.Eq | ast.NotEq) else [])]
    inner = [one for side in sides if isinstance(side, ast.Set | ast.Tuple | ast.List) for one in side.elts]
    return {one.value for one in (*sides, *inner) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_nobody_compares_the_name_of_a_kind_or_a_mode():
    """Whoever needs to know asks the row, so that a new row needs no other change."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare) and compared(node) & NAMES
    ]

    assert found == []
