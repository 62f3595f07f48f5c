"""The shape of a column's JSON text, as far as it was seen: which names it has, at which depth, and what stands there.

A shape is turned into SQL that spells a whole batch as `Fragment` would, and says of each row whether it is sure of it.
It is sure only of what it knows: every name of the row, each once, and values of the kinds that were seen there, whose
form is certain.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bucket_loader.model import literal
from bucket_loader.planning.mapping.forms.numbers import DIGITS_MAX, INTEGER_MAX, PLAIN_NUMBER
from bucket_loader.planning.mapping.nested.leaves import Leaf, Statement, opening_of, statement
from bucket_loader.planning.mapping.nested.lists import CHARACTERS_MAX, ITEMS_MAX

NODES_MAX: Final = 256  # a column with more names has most often only some in each row: Python is as quick there
DEPTH_MAX: Final = 8
_NAME: Final = re.compile(r"[\w -]+")  # what a path of DuckDB takes in quotation marks as it is
_NUL: Final = "\\u0000"

# A number that a double may not keep, or that is spelt with an exponent: the text alone says what it was.
_POINTED: Final = "|".join(
    f"[0-9]{{{whole}}}[.][0-9]{{{DIGITS_MAX + 1 - whole},}}" for whole in range(1, DIGITS_MAX + 1)
)
_UNCERTAIN: Final = rf"(?:^|[:,\[])\s*-?(?:[0-9]{{{DIGITS_MAX + 1},}}[.]|{_POINTED}|[0-9.]+[eE])"
_ITEM: Final = r'(?:"(?:[^"\\]|\\.)*"|-?[0-9]{1,15}|true|false|null)'
_LIST: Final = rf"\[(?:{_ITEM}(?:,{_ITEM})*)?\]"
_NO_NUMBER: Final = "(?i)nan|inf"  # what DuckDB takes for numbers, and JSON does not
_BRACE: Final = ord("{")
_QUOTE: Final = ord('"')
_CHARACTERS: Final = 39  # of a number that a HUGEINT holds
_NUMBER: Final = f"-?(?:[0-9]+|[0-9]{{1,{DIGITS_MAX}}}[.][0-9]+)"

Kind = Literal["text", "number", "boolean", "list", "object"]

# What a value `x` is, its first character tells.
_STARTS: Final[dict[Kind, str]] = {
    "text": f"ascii({{x}}) = {_QUOTE}",
    "number": f"ascii({{x}}) BETWEEN {ord('-')} AND {ord('9')}",
    "boolean": "{x} IN ('true', 'false')",
    "list": f"ascii({{x}}) = {ord('[')}",
    "object": f"ascii({{x}}) = {_BRACE}",
}


def _each(pattern: str) -> str:
    """Return a literal pattern for several texts with commas between them, or none."""
    return literal(f"(?:(?:{pattern})(?:,(?:{pattern}))*)?")


# All of a row at once: a pattern takes memory wherever it stands in a statement, up to megabytes.
_LISTS: Final = f"regexp_full_match(lists, {_each(_LIST)}) AS are_lists"
_PLAIN: Final = f"regexp_full_match(numbers, {_each(PLAIN_NUMBER)}) AS are_plain"
_NUMBERS: Final = f"CASE WHEN are_plain THEN true ELSE regexp_full_match(numbers, {_each(_NUMBER)}) END AS are_numbers"


def _whole(x: str) -> str:
    within = f"strlen({x}) <= {DIGITS_MAX} OR abs(TRY_CAST({x} AS HUGEINT)) <= {INTEGER_MAX}"
    return f"CASE WHEN {within} THEN {x} ELSE '\"' || {x} || '\"' END"


_SHORTENED: Final = "CAST(CAST(left({x}, strlen({x}) - 2) AS HUGEINT) AS VARCHAR)"  # also of -0.0, which is 0
_SPELT: Final = (
    f"CASE WHEN NOT contains({{x}}, '.') THEN {_whole('{x}')} "
    f"WHEN ends_with({{x}}, '.0') THEN {_whole(_SHORTENED)} ELSE CAST(TRY_CAST({{x}} AS DOUBLE) AS VARCHAR) END"
)
_IS_KEPT: Final = f"NOT contains({{x}}, '.') OR strlen(ltrim({{x}}, '-')) <= {DIGITS_MAX + 1}"
_IS_STORED: Final = f"{{n}} <= {ITEMS_MAX} AND strlen({{x}}) + 2 * {{n}} <= {CHARACTERS_MAX}"
_FORMS: Final[dict[Kind, list[tuple[str, str]]]] = {
    "text": [("true", "{x}")],
    "boolean": [("true", "{x}")],
    "list": [(f"are_lists AND {_IS_STORED}", "{x}")],
    "number": [
        (f"are_plain AND strlen({{x}}) <= {DIGITS_MAX + 1}", "{x}"),
        (f"are_numbers AND strlen({{x}}) <= {_CHARACTERS} AND ({_IS_KEPT})", _SPELT),
    ],
    "object": [],
}
"""When it is certain how a value `x` is spelt, by what it is, and how it is; `n` is the length of a list."""

# JSON as DuckDB writes it: no blanks, or one after each comma and colon, as Python and PostgreSQL have them.
_UNSPACED: Final = """replace(replace(j, '": ', '":'), ', "', ',"')"""
_IS_READ: Final = f"CASE WHEN x0 = j THEN true ELSE {_UNSPACED} = x0 END"


@dataclass
class Node:
    """A name, and what was seen there.

    Attributes:
        path: the names from the column to here; none for the column itself.
        kinds: what stood there.
        children: what is in the objects.
        is_left_out: whether nothing of it is spelt, whatever stands there.
    """

    path: tuple[str, ...] = ()
    kinds: set[Kind] = field(default_factory=set)
    children: dict[str, "Node"] = field(default_factory=dict)
    is_left_out: bool = False

    def walk(self) -> Iterator["Node"]:
        """Return this node and all below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    @property
    def place(self) -> str:
        """Where it is, as a path of DuckDB."""
        return "$" + "".join(f'."{name}"' for name in self.path)

    @property
    def around(self) -> int:
        """How many bytes JSON has for its name, with the colon and a comma."""
        return len(opening_of(self.path[-1]).encode()) + 1 if self.path else 0


class Shape:
    """What a column's values look like.

    Args:
        name: of the attribute, before the dots.
        is_free: whether a dotted name can be learned: no other member has it, and Bucket keeps it.
        is_left_out: whether nothing of a dotted name is spelt.
        keeps_lists: whether a list is a value of its own.
    """

    def __init__(
        self, name: str, is_free: Callable[[str], bool], is_left_out: Callable[[str], bool], *, keeps_lists: bool
    ) -> None:
        self._name = name
        self._is_free = is_free
        self._is_left_out = is_left_out
        self._keeps_lists = keeps_lists
        self._root = Node()
        self._nodes = 1

    def learn(self, value: object) -> bool:
        """Take over what is new in a value; return whether anything was."""
        return self._learn(self._root, value)

    def _learn(self, node: Node, value: object) -> bool:
        kind = _kind(value)
        if node.is_left_out or kind is None or (kind == "list" and not self._keeps_lists):
            return False
        is_new = kind not in node.kinds
        node.kinds.add(kind)
        if isinstance(value, Mapping):
            found = [self._learn_member(node, name, child) for name, child in value.items()]
            return is_new or any(found)
        return is_new

    def _learn_member(self, node: Node, name: object, value: object) -> bool:
        if not isinstance(name, str):
            return False
        if (child := node.children.get(name)) is not None:
            return self._learn(child, value)
        child = Node((*node.path, name))
        dotted = self._dotted(child)
        child.is_left_out = self._is_left_out(dotted)
        fits = self._nodes < NODES_MAX and len(child.path) <= DEPTH_MAX and _NAME.fullmatch(name)
        if not fits or not (child.is_left_out or self._is_free(dotted)):
            return False
        self._nodes += 1
        node.children[name] = child
        self._learn(child, value)
        return True

    def _dotted(self, node: Node) -> str:
        """Return a node's name on the wire."""
        return ".".join([self._name, *node.path])

    def statement(self, text: str, *, send_nulls: bool) -> Statement:
        """Return the statement that spells a batch; `is_strict` says of which rows it is certain that they are JSON.

        Args:
            text: SQL for the JSON text of a row `c`; NULL where it has none.
            send_nulls: whether null values are spelt.
        """
        nodes = list(self._root.walk())
        lists = [place for place, node in enumerate(nodes) if "list" in node.kinds]
        accounted = " + ".join(_accounted(node, place) for place, node in enumerate(nodes))
        levels = [
            [f"{text} AS j"],
            # One call for all values: each call keeps memory of its own.
            [f"CAST(TRY(json_extract(j, {_paths(nodes)})) AS VARCHAR[]) AS e"]
            + [f"TRY(json_array_length(j, {_paths([nodes[place] for place in lists])})) AS l" for _ in lists[:1]],
            [f"e[{place + 1}] AS x{place}" for place in range(len(nodes))]
            + [f"l[{number + 1}] AS l{place}" for number, place in enumerate(lists)],
            [_joined(nodes, "number"), _joined(nodes, "list"), f"coalesce({_IS_READ}, false) AS is_strict"],
            [_PLAIN, _LISTS],
            [_NUMBERS],
            [f"{_form(node, place, send_nulls)} AS v{place}" for place, node in enumerate(nodes)],
        ]
        # As many bytes as all that is known has: every name is known, stands there once, and has a certain value.
        sure = [f"{accounted} = strlen(x0)", f"NOT contains(j, {literal(_NUL)})",
                f"CASE WHEN is_strict THEN true ELSE NOT regexp_matches(j, {literal(_UNCERTAIN)}) END"]  # fmt: skip
        leaves = [self._leaf(node, place) for place, node in enumerate(nodes) if not node.is_left_out]
        return statement(leaves, levels, sure, ["is_strict"])

    def _leaf(self, node: Node, place: int) -> Leaf:
        dotted = self._dotted(node)
        length = f"CASE WHEN {_STARTS['list']} THEN l{place} END".replace("{x}", f"x{place}")
        return Leaf(
            name=dotted,
            value=f"v{place}",
            there=f"v{place} IS NOT NULL",
            opening=opening_of(dotted),
            length=length if "list" in node.kinds else None,
        )


def _paths(nodes: Sequence[Node]) -> str:
    return f"[{', '.join(literal(node.place) for node in nodes)}]"


def _joined(nodes: Sequence[Node], kind: Kind) -> str:
    """Return SQL for all values of a kind in a row, commas between them."""
    found = [f"x{place}" for place, node in enumerate(nodes) if kind in node.kinds]
    values = [f"CASE WHEN {_STARTS[kind].replace('{x}', x)} THEN {x} END" for x in found]
    joined = f"concat_ws(',', {', '.join(values)})" if values else "''"
    return f"{joined} AS {kind}s"


def _form(node: Node, place: int, send_nulls: bool) -> str:  # noqa: FBT001  # no word is clearer here
    """Return SQL for how a value is spelt; NULL where only Python can say."""
    forms = [(f"{_STARTS[kind]} AND {when}", then) for kind in sorted(node.kinds) for when, then in _FORMS[kind]]
    forms += [("{x} = 'null'", "{x}")] if send_nulls else []
    cases = " ".join(f"WHEN {when} THEN {then}" for when, then in forms)
    return (
        f"CASE {cases} END".replace("{x}", f"x{place}").replace("{n}", f"l{place}")
        if cases
        else "CAST(NULL AS VARCHAR)"
    )


def _accounted(node: Node, place: int) -> str:
    """Return SQL for how many bytes of a row are a node's: 0 where it is not known what stands there."""
    x = f"x{place}"
    if node.is_left_out:
        is_json = f"{_STARTS['text']} OR NOT regexp_matches({{x}}, {literal(_NO_NUMBER)})".replace("{x}", x)
        return f"CASE WHEN {x} IS NOT NULL AND ({is_json}) THEN {node.around} + strlen({x}) ELSE 0 END"
    is_object = f"WHEN {_STARTS['object'].replace('{x}', x)} THEN {node.around + 1} + CAST({x} = '{{}}' AS INTEGER) "
    return (
        f"CASE {is_object if 'object' in node.kinds else ''}"
        f"WHEN v{place} IS NOT NULL OR {x} = 'null' THEN {node.around} + strlen({x}) ELSE 0 END"
    )


def _kind(value: object) -> Kind | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (list, tuple)):
        return "list"
    if isinstance(value, Mapping):
        return "object"
    return "text" if isinstance(value, str) else "number"
