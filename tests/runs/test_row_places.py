"""A rejected row is named as a person finds it: the line of a text file, the row of a sheet, beside its number."""

import gzip
import random

import openpyxl
import pytest

from bucket_loader.sources.files import csv_lines

STREAM = "- {name: users, record: user, source: %s, fields: {userId: id, attributes: {n: {column: n, type: integer}}}}"


def rejected(workplace, source):
    """Run; return where each rejected row is, and on which line it says that it is."""
    workplace.pipeline(STREAM % source)
    result = workplace.run()
    assert result.exit_code == 3, result.stderr
    return [(letter["origin"], letter["row"]) for letter in workplace.dead_letters(result)], result


def a_file(draw, end, before=""):
    """Draw the text of a CSV file each of whose rows holds the line that it begins on; a few rows are wrong."""
    text, lines = before + "n,id,line,free" + end, [*range(before.count(end) + 2)]
    line = len(lines)
    for number in range(400):
        free = draw.choice(["x", "", '5" pipe', '"a, b"', f'"two{end}lines"', f'"{end}{end}"', '"say ""hi"""'])
        wrong = draw.random() < 0.2
        row = f"{'x' if wrong else number},u{number},{line},{free}{',more' if wrong and number % 3 == 0 else ''}{end}"
        blank = end if draw.random() < 0.1 else ""
        text += row + blank
        line += (row + blank).count(end)
    return text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["plain", "separator", "utf-16", "gzip"])
def test_rows_of_csv_are_found_by_their_line(workplace, emulator, end, form):
    """With values over several lines, blank lines, a `sep=` line, another encoding, compressed, rows too wide."""
    draw = random.Random(form + end)  # noqa: S311  # repeatable, not secret
    text = a_file(draw, end, f"sep=,{end}" if form == "separator" else "")
    data = text.encode("utf-16" if form == "utf-16" else "utf-8")
    workplace.write("x.csv", gzip.compress(data) if form == "gzip" else data)
    words = {"utf-16": ", encoding: utf-16", "gzip": ", compression: gzip"}.get(form, "")
    found, _ = rejected(workplace, f"{{type: csv, path: x.csv{words}}}")
    told = [(origin["line"], row["line"].split(",")[2] if "id" not in row else row["line"]) for origin, row in found]

    assert len(found) > 40
    assert [line for line, _ in told] == [int(said) for _, said in told]


def test_a_row_is_told_with_its_line(workplace, emulator):
    """Beside its number, in the summary; several files each have their own lines."""
    workplace.write("a.csv", 'n,id\n1,"u\n1"\nx,u2\n')
    workplace.write("b.csv", "n,id\n\nx,u3\n")
    found, result = rejected(workplace, "{type: csv, path: '?.csv'}")

    assert [origin for origin, _ in found] == [
        {"source": "a.csv", "row": 2, "line": 4}, {"source": "b.csv", "row": 1, "line": 3}]  # fmt: skip
    assert "(row 2; line 4)" in result.stderr


def test_rows_of_json_lines_are_found_by_their_line(workplace, emulator):
    """Blank lines count."""
    workplace.write("x.jsonl", '{"id": "u1", "n": "1"}\n\n{"id": "u2", "n": "x"}\nno json\n')
    found, _ = rejected(workplace, "{type: jsonl, path: x.jsonl}")

    assert [origin["line"] for origin, _ in found] == [3, 4]


def test_rows_of_a_sheet_are_found_by_their_row(workplace, emulator):
    """Whatever stands above the header."""
    book = openpyxl.Workbook()
    for row in (["a title"], [], ["id", "n"], ["u1", "1"], [], ["u2", "x"]):
        book.active.append(row)
    book.save(workplace.folder / "x.xlsx")
    found, result = rejected(workplace, "{type: excel, path: x.xlsx, header_row: 3}")

    assert [origin["sheet_row"] for origin, _ in found] == [6]
    assert "sheet row 6" in result.stderr


def test_only_the_part_of_a_file_that_is_asked_for_is_read_again():
    """A second look goes as far as the last row that is asked for, in pieces."""
    taken = []

    def chunks():
        for number in range(1000):
            taken.append(number)
            yield b'a,"b\nc"\r\n'

    lines = csv_lines.first_lines(chunks(), quote='"', delimiter=",")

    assert [next(lines) for _ in range(3)] == [1, 3, 5]
    assert len(taken) < 10
