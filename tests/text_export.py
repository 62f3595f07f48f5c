"""An export of text files as warehouses unload them, with all that may go wrong in one."""

import gzip
import json

AS_OF = "2026-03-01T00:00:00Z"
PIPELINE = """
name: texts
destination: {base_url: "${BUCKET_BASE_URL}", key: "${BUCKET_SECRET_KEY}", patience: 5s}
streams:
  - name: companies
    record: company
    source: {type: csv, path: "accounts/*"}
    fields: {companyId: id, attributes: {name: name, seats: seats}}
    on_removed: {attributes: {gone: true}}
  - name: usage
    record: event
    source: {type: jsonl, path: "usage/*"}
    sync: append
    key: [number]
    fields: {userId: user, event: {value: used}, attributes: {"*": {exclude: [pad]}}}
"""
# The command line of a process that cannot read text files; those that it starts can.
BLIND = """
from bucket_loader.cli.commands import main
from bucket_loader.sources.files import csv_rows, jsonl
csv_rows.CsvRows.__call__ = jsonl.JsonLinesRows.__call__ = jsonl.Look.__call__ = None
main()
"""
PAD = "x" * 1_000  # so that few rows are many bytes
MANY = 105_000  # rows: more than a slice has
WIDE = 17_000  # rows of a file that is large enough by itself


def write_texts(folder):
    """Write the export; its files become three items of accounts, and three of usage."""
    for name in ("accounts", "usage"):
        (folder / name).mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    _write_accounts(folder / "accounts")
    _write_usage(folder / "usage")


def _write_accounts(folder):
    header, many, wide = "id,name,seats,pad\n", _accounts(0, MANY), _accounts(MANY, WIDE, PAD)
    (folder / "0.csv").write_text(header + many)
    (folder / "1.csv").write_text(header + wide)
    (folder / "2.csv").write_text(header)
    (folder / "3.csv.gz").write_bytes(gzip.compress((header + _accounts(50, 3_000)).encode()))
    (folder / "4.csv").write_text("seats,pad,name,id\n" + "7,,no last line end,c7")
    (folder / "5.csv").write_text(header + _accounts(MANY + WIDE, WIDE, PAD))
    (folder / "6.csv").write_text(header + _accounts(9, 400))


def _accounts(first, count, pad=""):
    """Return rows: one in twenty is of an account that others are of, some are no rows, and texts have line ends."""
    return "".join(
        f"c{number - number % 20},two\n"  # the wrong width
        if number % 997 == 0
        else f'c{number - (number % 20 == 7) * 7},"Né ""{number}""\n",{number % 40},{pad}\n'
        for number in range(first, first + count)
    )


def _write_usage(folder):
    (folder / "0.jsonl").write_text(_usage(0, MANY))
    (folder / "1.jsonl").write_text(_usage(MANY, WIDE, PAD, late=1.5))
    (folder / "2.jsonl").write_text("")
    (folder / "3.jsonl.gz").write_bytes(gzip.compress(_usage(50, 3_000, amount="many").encode()))
    (folder / "4.jsonl").write_text('{"number": 7, "user": "u7", "first": {"in": [1, 2]}}')
    (folder / "5.jsonl").write_text(_usage(MANY + 9_000, WIDE, PAD, last=True, first={"in": []}))
    (folder / "6.jsonl").write_text(_usage(9, 400))


def _usage(start, count, pad="", **more):
    """Return lines: keys repeat, some are no JSON, some name a member twice, and files differ in members and kinds."""
    spelt = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    return "".join(
        '{"number": 1, "number": 2}\n'
        if number % 1013 == 0
        else f'{{"number": {number}, "user"\n'
        if number % 997 == 0
        else f'{{"number": {number - number % 20 // 19}, "user": "u{number % 500}", "pad": "{pad}", '
        f'"at": {number % 3}{spelt}}}\n'
        for number in range(start, start + count)
    )
