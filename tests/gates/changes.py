"""What happens to exports: functions that make other rows of rows, or another file of a file."""


def each(column, change):
    """Change one column of every row."""
    return lambda rows: [row | {column: change(row[column])} for row in rows]


def emptied(column):
    """Every value of a column is null."""
    return each(column, lambda _: None)


def always(column, value):
    """Every value of a column is the same."""
    return each(column, lambda _: value)


def without(column):
    """The column is gone."""
    return lambda rows: [{name: value for name, value in row.items() if name != column} for row in rows]


def renamed(column, name):
    """The column has another name."""
    return lambda rows: [{name if key == column else key: value for key, value in row.items()} for row in rows]


def with_column(column, value):
    """There is one more column; the value is counted from the row's number."""
    return lambda rows: [row | {column: value(number)} for number, row in enumerate(rows)]


def swapped(one, other):
    """Two columns hold each other's values."""
    return lambda rows: [row | {one: row[other], other: row[one]} for row in rows]


def shifted(column):
    """Every row has the value of the row above, as after a sort of one column in a spreadsheet."""
    return lambda rows: [row | {column: rows[number - 1][column]} for number, row in enumerate(rows)]


def only(holds):
    """There are only the rows that it holds for."""
    return lambda rows: [row for row in rows if holds(row)]


def first(share):
    """There is only the beginning."""
    return lambda rows: rows[: int(len(rows) * share)]


def every(step):
    """There is only every second, third ... row."""
    return lambda rows: rows[step - 1 :: step]


def all_but_every(step):
    """Every second, third ... row is lost."""
    return lambda rows: [row for number, row in enumerate(rows) if number % step]


def times(count):
    """Every row is there several times, as after a join with a table that has several rows for each."""
    return lambda rows: [row for row in rows for _ in range(count)]


def some(step, **values):
    """Every second, third ... row has these values."""
    return lambda rows: [row | values if number % step == 0 else row for number, row in enumerate(rows)]


def where(holds, **values):
    """The rows that it holds for have these values."""
    return lambda rows: [row | values if holds(row) else row for row in rows]


def more(share, column, form):
    """There are more rows, by a share, with new values of one column."""

    def add(rows):
        added = range(int(len(rows) * share))
        return rows + [rows[number % len(rows)] | {column: form(number)} for number in added]

    return add


def cut(share):
    """Cut the file somewhere within a row."""

    def cut_file(content):
        end = content.index(b"\n", int(len(content) * share))
        return content[: end - 3]

    return cut_file


def cut_at_row(share):
    """Cut the file at the end of a row."""
    return lambda content: content[: content.index(b"\n", int(len(content) * share)) + 1]


def second_half(change):
    """Change the second half of the file's lines."""

    def change_half(content):
        lines = content.splitlines(keepends=True)
        half = len(lines) // 2
        return b"".join([*lines[:half], *map(change, lines[half:])])

    return change_half


def recoded(encoding):
    """Write text in another encoding than UTF-8."""
    return lambda content: content.decode().encode(encoding)
