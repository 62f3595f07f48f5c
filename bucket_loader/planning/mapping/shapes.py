"""The shape of a column's JSON, as far as it was seen: which names it has, at which depth.

A shape is turned into SQL that spells a whole batch as `Fragment` would, and says of each row whether it is sure of it.
It is sure only of what it knows: every name of the row, each once, and values whose form is certain. A row's values
stand in one list, which lambdas go through, so that hundreds of names make the statement hardly longer than one.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bucket_loader.model import literal
from bucket_loader.planning.mapping.forms.numbers import DIGITS_MAX, INTEGER_MAX
from bucket_loader.planning.mapping.lists import CHARACTERS_MAX, ITEMS_MAX

NODES_MAX: Final = 256  # a column with more names has most often only some in each row: Python is as quick there
DEPTH_MAX: Final = 8
_NAME: Final = re.compile(r"[\w -]+")  # what a path of DuckDB takes in quotation marks as it is

# A number that a double may not keep, or that is spelt with an exponent: the text alone says what it was.
_POINTED: Final = "|".join(
    f"[0-9]{{{whole}}}[.][0-9]{{{DIGITS_MAX + 1 - whole},}}" for whole in range(1, DIGITS_MAX + 1)
)
_UNCERTAIN: Final = rf"(?:^|[:,\[])\s*-?(?:[0-9]{{{DIGITS_MAX + 1},}}[.]|{_POINTED}|[0-9.]+[eE])"
_ITEM: Final = r'(?:"(?:[^"\\]|\\.)*"|-?[0-9]{1,15}|true|false|null)'
_LIST: Final = rf"\[(?:{_ITEM}(?:,{_ITEM})*)?\]"
_CHARACTERS: Final = 39  # of a number that a HUGEINT holds
# Not a large double: its shortest digits are followed by zeros, and it is spelt with all that it has.
_NUMBER: Final = f"-?(?:[0-9]+|[0-9]{{1,{DIGITS_MAX}}}[.][0-9]+)"

# What DuckDB may spell of a value `x`, told by the code of its first character.
_QUOTE, _BRACKET, _BRACE, _N, _NINE = map(ord, '"[{n9')
_IS_CERTAIN: Final = (
    f"CASE ascii(x) WHEN {_QUOTE} THEN true WHEN {_BRACE} THEN {{objects}}[i] "
    f"WHEN {_BRACKET} THEN {{lists}}[i] AND {{is_list}} WHEN {_N} THEN x = 'null' WHEN {ord('t')} THEN true "
    f"WHEN {ord('f')} THEN true "
    f"ELSE strlen(x) <= {_CHARACTERS} AND regexp_full_match(x, {{number}}) END"
)
_IS_LIST: Final = (
    f"regexp_full_match(x, {literal(_LIST)}) AND json_array_length(x) <= {ITEMS_MAX} "
    f"AND strlen(x) + 2 * json_array_length(x) <= {CHARACTERS_MAX}"
)


def _whole(x: str) -> str:
    within = f"strlen({x}) <= {DIGITS_MAX} OR abs(TRY_CAST({x} AS HUGEINT)) <= {INTEGER_MAX}"
    return f"CASE WHEN {within} THEN {x} ELSE '\"' || {x} || '\"' END"


_SHORTENED: Final = "CAST(CAST(left(x, strlen(x) - 2) AS HUGEINT) AS VARCHAR)"  # also of -0.0, which is 0
_FORM: Final = (
    f"CASE WHEN ascii(x) = {_BRACE} THEN NULL WHEN ascii(x) > {_NINE} OR ascii(x) = {_QUOTE} THEN "
    "CASE WHEN x = 'null' THEN {null} ELSE x END "
    f"WHEN NOT contains(x, '.') THEN {_whole('x')} "
    f"WHEN ends_with(x, '.0') THEN {_whole(_SHORTENED)} ELSE CAST(TRY_CAST(x AS DOUBLE) AS VARCHAR) END"
)


@dataclass
class Node:
    """A name, and what was seen there.

    Attributes:
        path: the names from the column to here; none for the column itself.
        is_value: whether something was there that is no object.
        is_list: whether a list was.
        children: what is in the objects.
    """

    path: tuple[str, ...] = ()
    is_value: bool = False
    is_list: bool = False
    children: dict[str, "Node"] = field(default_factory=dict)

    def walk(self) -> Iterator["Node"]:
        """Return this node and all below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    @property
    def place(self) -> str:
        """Where it is, as a path of DuckDB."""
        return "$" + "".join(f'."{name}"' for name in self.path)


class Shape:
    """What a column's values look like.

    Args:
        name: of the attribute, before the dots.
        is_free: whether a dotted name can be learned: no other member has it, and Bucket keeps it.
        keeps_lists: whether a list is a value of its own.
        is_text: whether fractions come as they were written, and not as doubles: then each digit counts.
    """

    def __init__(self, name: str, is_free: Callable[[str], bool], *, keeps_lists: bool, is_text: bool) -> None:
        self._name = name
        self._is_free = is_free
        self._keeps_lists = keeps_lists
        self._is_text = is_text
        self._root = Node()
        self._nodes = 1

    @property
    def names(self) -> int:
        """How many names it has."""
        return self._nodes

    def dotted(self, node: Node) -> str:
        """Return a node's name on the wire."""
        return ".".join([self._name, *node.path])

    def lists(self) -> list[Node]:
        """Return where lists were seen."""
        return [node for node in self._root.walk() if node.is_list]

    def learn(self, value: object) -> bool:
        """Take over what is new in a value; return whether anything was."""
        return self._learn(self._root, value)

    def _learn(self, node: Node, value: object) -> bool:
        if isinstance(value, Mapping):
            found = [self._learn_member(node, name, child) for name, child in value.items()]
            return any(found)
        is_list = isinstance(value, (list, tuple))
        is_new = not node.is_value or (is_list and not node.is_list)
        if is_list and not self._keeps_lists:
            return False
        node.is_value, node.is_list = True, node.is_list or is_list
        return is_new

    def _learn_member(self, node: Node, name: object, value: object) -> bool:
        if not isinstance(name, str):
            return False
        if (child := node.children.get(name)) is not None:
            return self._learn(child, value)
        child = Node((*node.path, name))
        fits = self._nodes < NODES_MAX and len(child.path) <= DEPTH_MAX and _NAME.fullmatch(name)
        if not fits or not self._is_free(self.dotted(child)):
            return False
        self._nodes += 1
        node.children[name] = child
        self._learn(child, value)
        return True

    def sql(self, table: str, text: str, *, send_nulls: bool) -> str:
        """Return a SELECT over a table that spells each row: `text`, `sure`, and `n<k>`, the lengths of the lists.

        Args:
            table: its name.
            text: the JSON text of a row, in terms of its columns; NULL where it has none.
            send_nulls: whether null values are spelt.
        """
        nodes = sorted(self._root.walk(), key=self.dotted)
        values = [node for node in nodes if node.is_value]
        objects = [node for node in nodes if node.children or not node.is_value]
        names = _listed([json.dumps(self.dotted(node), ensure_ascii=False) + ":" for node in values])
        form = _FORM.format(null="'null'" if send_nulls else "NULL")
        members = f"list_transform(e, lambda x, i: {names}[i] || {form})"
        lengths = [
            f", CASE WHEN starts_with(e[{place}], '[') THEN json_array_length(e[{place}]) END AS n{number}"
            for number, place in enumerate(values.index(node) + 1 for node in self.lists())
        ]
        return (
            f"SELECT nullif(array_to_string({members}, ','), '') AS text, "
            f"coalesce({' AND '.join(self._certainties(values, objects))}, false) AS sure{''.join(lengths)} FROM "
            f"(SELECT j, CAST(TRY(json_extract(j, {_paths(values)})) AS VARCHAR[]) AS e, "
            f"TRY(json_keys(j, {_paths(objects)})) AS k, TRY(json_type(j, {_paths(objects)})) AS t "
            f"FROM (SELECT {text} AS j FROM {table}))"
        )

    def _certainties(self, values: Sequence[Node], objects: Sequence[Node]) -> Iterator[str]:
        """Return what must be true of a row, as SQL over `j`, its text, and `e`, `k` and `t`, its parts."""
        yield f"NOT contains(j, {literal(chr(92) + 'u0000')})"
        if self._is_text:
            yield f"NOT regexp_matches(j, {literal(_UNCERTAIN)})"
        of_objects = str([bool(node.children) for node in values]).lower()
        of_lists = str([node.is_list for node in values]).lower()
        certain = _IS_CERTAIN.format(objects=of_objects, lists=of_lists, is_list=_IS_LIST, number=literal(_NUMBER))
        yield f"coalesce(list_bool_and(list_transform(e, lambda x, i: x IS NULL OR {certain})), true)"
        also_values = str([node.is_value for node in objects]).lower()
        known = f"x IS NULL OR x = 'OBJECT' OR {also_values}[i]"
        yield f"coalesce(list_bool_and(list_transform(t, lambda x, i: {known})), true)"
        # Every name is known, and stands there once: as many names as there are values and objects with known ones.
        only_objects = str([not node.is_value for node in objects]).lower()
        names = "coalesce(list_sum(list_transform(k, lambda x: len(x))), 0)"
        there = "coalesce(list_count(e), 0)"
        inner = f"len(list_filter(t, lambda x, i: x IS NOT NULL AND {only_objects}[i]))"
        yield f"{names} + 1 = {there} + {inner}"


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]"


def _paths(nodes: Sequence[Node]) -> str:
    return f"CAST({_listed([node.place for node in nodes])} AS VARCHAR[])"
