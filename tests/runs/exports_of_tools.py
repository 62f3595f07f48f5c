"""The exports of `exports_of_tools.txt`, made: the bytes of each file, and the ids that are right to be sent."""

import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

ROWS = 40
GIVEN = ["Jane", "Tom", "Aisha", "Lars", "Chloé", "Wei", "Sofia", "Omar", "Greta", "Raj"]
FAMILY = ["Miller", "O'Neill", "Khan", "Lindqvist", "Dupont", "Zhang", "Rossi", "Haddad", "Vogel", "Iyer"]
COMPANIES = ["Acme Inc", "Beta GmbH", "Gamma & Sons", "Delta ApS", "Epsilon Ltd", "Zeta SA", "Eta Labs"]
SAID = ["I cannot find it", "Works well for all of us", "Too slow on Mondays", "Good", "Love the new editor a lot"]
# What a row of a template knows of the person and the company that it is about.
_OF_PERSONS = ("name", "email", "phone", "street", "ip", "born")
# Marks of what is about somebody, wherever they stand.
_MARKS = ("Mozilla/5.0", "gravatar", "device-of-", "$device:", "pbkdf2", "$2a$")


def row(n):
    """Return what stands for the words in braces in row n."""
    first, last = GIVEN[n % 10], FAMILY[n * 7 % 10]
    return {
        "n": n,
        "n3": n % 3,
        "n7": n % 7,
        "nps": n % 11,
        "first": first,
        "last": last,
        "name": f"{first} {last}",
        "name3": f"{GIVEN[n % 3]} {FAMILY[n % 3]}",
        "email": f"{first}.{n}@mail{n}.example".lower(),
        "phone": f"+45 20 {n:02} 33 {n + 44:02}",
        "street": f"{n + 1} Elm Street",
        "zip": f"{99_000 + n}",
        "ip": f"203.0.113.{n}",
        "born": f"19{50 + n % 40}-03-{n % 28 + 1:02}",
        "agent": f"Mozilla/5.0 (X11; {n}) AppleWebKit/537.36",
        "company": f"{COMPANIES[n % 7]} {n}",
        "said": SAID[n % 5],
        "day": f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}",
        "uuid": f"0190{n:04x}-aaaa-4bbb-8ccc-0123456789{n:02x}",
        "uuid7": f"0190{n:04x}-aaaa-7bbb-8ccc-0123456789{n:02x}",
    }


SECRETS = {row(n)[name] for n in range(ROWS) for name in _OF_PERSONS} | set(_MARKS)
_CHOICE = re.compile(r"\{\?((?:[^{}|]|\{[^{}]*\})*)(?:\|((?:[^{}|]|\{[^{}]*\})*))?\}")
_WORD = re.compile(r"\{(\w+)(:\w+)?\}")


def filled(template, n):
    """Fill in a template for row n; `{?a|b}` is a where the row's user is known, else b."""
    chosen = _CHOICE.sub(lambda found: (found[1] if is_known(n) else found[2]) or "", template)
    known = row(n)
    return _WORD.sub(
        lambda found: format(known[found[1]], (found[2] or ":")[1:]) if found[1] in known else found[0], chosen
    )


def is_known(n):
    """Whether the export knows who the user of row n is."""
    return n % 4 != 0


@dataclass
class Made:
    """An export: its name, the template of what is sent of a row, and the templates of its columns."""

    name: str
    sent: str
    columns: dict

    def ids(self):
        """Return the ids that are right, by kind: of a company with its user, or None."""
        return {sent.split()[0]: _ids(sent) for sent in self.sent.split(" & ") if sent != "none"}

    def rows(self):
        """Return the rows as dictionaries."""
        return [{name: value_of(template, n) for name, template in self.columns.items()} for n in range(ROWS)]

    def data(self):
        """Return the bytes of the file."""
        if self.name.endswith(".jsonl"):
            return "".join(json.dumps(nested(row)) + "\n" for row in self.rows()).encode()
        out = io.StringIO()
        writer = csv.DictWriter(
            out, list(self.columns), delimiter=";" if "Kunden" in self.name else ",", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(
            {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()} for row in self.rows()
        )
        return out.getvalue().encode()


def _ids(sent):
    kind, *templates = sent.removesuffix(" if known").split()
    numbers = [n for n in range(ROWS) if is_known(n) or not sent.endswith(" if known")]
    found = [[_hashed(filled(template, n)) for template in templates] for n in numbers]
    return {(ids[0], ids[1] if len(ids) > 1 else None) if kind == "company" else ids[0] for ids in found}


def value_of(template, n):
    """Return a value of row n: a text, or JSON; a text that is filled in with nothing is null in JSON Lines."""
    is_json, text = template
    return json.loads(filled(text, n)) if is_json else filled(text, n) or None


def nested(flat):
    """Return a row whose dotted names are objects."""
    found = {}
    for name, value in flat.items():
        *outer, last = name.split(".")
        inside = found
        for part in outer:
            inside = inside.setdefault(part, {})
        inside[last] = value
    return found


def _hashed(text):
    inside = re.fullmatch(r"sha256\((.*)\)", text)
    return hashlib.sha256(inside[1].encode()).hexdigest() if inside else text


def all_made():
    """Return all exports of the text file."""
    blocks = Path(__file__).with_suffix(".txt").read_text("utf-8").split("\n\n")[1:]
    return [_made(block.strip().splitlines()) for block in blocks]


def _made(lines):
    name, sent, *rest = lines
    columns = {}
    for part in " | ".join(rest).split(" | "):
        column, mark, template = re.fullmatch(r"(.*?)(:?=)(.*)", part).groups()
        columns[column] = (mark == ":=", template)
    return Made(name, sent, columns)
