"""What DuckDB objects to in an expression or a query, said to a person who wrote it."""

import re
from collections.abc import Iterable
from typing import Final

from bucket_loader.model.nearness import nearest

# Its sentences, and ours for each; what stands in braces is what the sentence names.
_SENTENCES: Final = {
    r'Binder Error: Referenced column "(.+)" (?:was )?not found .*': "there is no column {}",
    r'Binder Error: Table ".*" does not have a column named "(.+)".*': "there is no column {}",
    r"Catalog Error: (?:Scalar|Aggregate|Table)? ?Function with name (\S+) does not exist.*": "there is no function {}",
    r"Catalog Error: Table with name (.+) does not exist.*": "there is no table or source {}",
    r"Binder Error: No function matches the given name and argument types '(.+)'.*":
        "{} does not take values of these types; bring them to another with CAST(... AS ...)",
    r"Parser Error: (.*)": "{}",
}  # fmt: skip
# Its own catalog's tables are among what it finds near, and nobody means those.
_MEANT: Final = re.compile(r'(?:Did you mean|Candidate bindings:?) "(?!pg_|duckdb_|sqlite_|information_schema)([^"]+)"')


def sql_mistake(error: Exception, columns: Iterable[str] = ()) -> str:
    """Return what an error of the parser or the binder says: its first line, and what may have been meant.

    `columns` are those that there are, where DuckDB was not shown them.
    """
    text = str(error)
    line = text.splitlines()[0]
    said = _MEANT.search(text.replace(": :", ":"))
    meant = None if said is None else said[1]
    for pattern, words in _SENTENCES.items():
        if (found := re.fullmatch(pattern, line)) is not None:
            line, meant = words.format(found[1]), meant or nearest(found[1], columns)
            break
    return line if meant is None else f"{line}; did you mean `{meant}`?"
