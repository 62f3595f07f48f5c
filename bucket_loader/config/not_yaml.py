"""What a YAML parser objects to, said to a person who is looking at the file."""

import re
from typing import Final

from ruamel.yaml.error import MarkedYAMLError

from bucket_loader.model import Mistake

# How the parser's sentence begins: ours, and what to do. No text of the file is in them: it may be a key.
_OBJECTIONS: Final = (
    ("found unexpected end of stream", "the quote that begins here is not closed", "write the same quote at its end"),
    ("expected ',' or", "the bracket that begins here is not closed", "write `]` or `}` at its end, `,` inside"),
    ("expected <block end>", "the line is not indented as those it belongs to",
     "names of one mapping begin in the same column"),
    ("mapping values are not allowed", "a second `:` stands on the line, or the line is indented too far",
     "put quotes around a text that holds `: `"),
    ("could not find expected ':'", "the line has no `:` after its name", "write `name: value`"),
    *((beginning, "a text begins with `*` or `&`, which refer to something in YAML", "put quotes around it")
      for beginning in ("found undefined alias", "expected alphabetic")),
    ("found unknown escape", "a backslash in double quotes begins an escape that there is not",
     "put single quotes around the text"),
)  # fmt: skip
_OF_A_BEGINNING: Final = ("found unexpected end of stream", "expected ',' or")
_NO_BEGINNING: Final = re.compile(r"found character '(?P<character>.)' that cannot start any token")


def not_yaml(error: MarkedYAMLError, text: str) -> Mistake:
    """Return what the parser objects to, and where."""
    problem = str(error.problem)
    mark = error.context_mark if problem.startswith(_OF_A_BEGINNING) else error.problem_mark
    mark = mark or error.problem_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    if (tab := _tab_of_indentation(text, line)) is not None:
        return _mistake("a tab stands in the indentation", "YAML takes no tabs; use two spaces", line, tab)
    for beginning, words, hint in _OBJECTIONS:
        if problem.startswith(beginning):
            return _mistake(words, hint, line, column)
    if (found := _NO_BEGINNING.match(problem)) is not None:
        return _mistake(f"no text begins with `{found['character']}`", "put quotes around it", line, column)
    return _mistake(re.sub(r" '[^']{2,}'", "", problem), "", line, column)


def _tab_of_indentation(text: str, line: int) -> int | None:
    """Return the column of the first tab that a line is indented with; None where there is none."""
    lines = text.splitlines()
    indentation = re.match(r"\s*", lines[line - 1])[0] if line <= len(lines) else ""  # type: ignore[index]  # it matches
    return indentation.index("\t") + 1 if "\t" in indentation else None


def _mistake(words: str, hint: str, line: int, column: int) -> Mistake:
    return Mistake("", f"is not YAML: {words}", hint, line, column)
