"""What is right to be sent of an export: the kinds, the ids of each row as they are spelt, and nothing of any person.

`mistakes` says what is wrong with the records that were made of one. It knows the rows from the kept files alone.
"""

import re
from dataclasses import dataclass
from itertools import product

from export_files import texts_of

EMAIL = re.compile(r"[\w.+'-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
DAY_FIRST = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})")
NEEDED = {"user": ["userId"], "event": ["userId"], "company": ["companyId"], "feedback": []}
PERSONAL_LENGTH_MIN = 4  # shorter texts occur by chance
ALONE_LENGTH_MIN = 8  # and from here on also inside of words they do not


@dataclass(frozen=True)
class Reading:
    """A right way to read an export.

    Attributes:
        record: which kind is made of its rows.
        users: the columns that hold `userId`.
        companies: the columns that hold `companyId`.
        needs: the ids that a record must have.
    """

    record: str
    users: list
    companies: list
    needs: list

    def pairs(self, export):
        """Return what may stand together as `userId` and `companyId`, either of them also alone."""
        return {
            pair
            for row in export.rows
            for pair in product([None, *ids_in(export, row, self.users)], [None, *ids_in(export, row, self.companies)])
        }


def mistakes(export, records):
    """Return what is wrong with the records that were made of an export, each in words."""
    if export.known.get("nobody"):
        return sorted({*wrong_kinds(export, records), *ids_of_nobody(export, records), *personal(export, records)})
    return sorted({
        *wrong_kinds(export, records),
        *wrong_ids(export, records),
        *missing(export, records),
        *personal(export, records),
    })  # fmt: skip


# --- kinds and ids -------------------------------------------------------------------------------------------------


def readings(export):
    """Return the right ways to read an export; who is a member of a company may also travel as a company's record."""
    found = []
    for right in export.known["right"]:
        users, companies = (_listed(right.get(name, [])) for name in ("userId", "companyId"))
        found.append(Reading(right["record"], users, companies, NEEDED[right["record"]]))
        if right["record"] == "user" and companies:
            found.append(Reading("company", users, companies, ["userId", "companyId"]))
    return found


def _listed(columns):
    return columns if isinstance(columns, list) else [columns]


def ids_in(export, row, columns):
    """Return the ids in some columns of a row; what a tool made up for visitors without a name is none."""
    known = export.known
    if not _holds(row, known.get("only_where", {})):
        return []
    texts = [part for column in columns for text in row.get(column, []) for part in _parts(known, text)]
    return [text for text in texts if not ("not_ids" in known and re.match(known["not_ids"], text))]


def _parts(known, text):
    return text.split(known["split"]) if "split" in known else [text]


def _holds(row, where):
    return all(row.get(column) == [text] for column, text in where.items())


def wrong_kinds(export, records):
    """Yield the kinds of record that an export has none of."""
    right = {reading.record for reading in readings(export)}
    return (f"no {record['type']} is made of its rows" for record in records if record["type"] not in right)


def wrong_ids(export, records):
    """Yield ids that are not of one row and of the right columns; all records of a kind are read the same way."""
    for kind in {record["type"] for record in records}:
        ways = [reading for reading in readings(export) if reading.record == kind]
        mine = [record for record in records if record["type"] == kind]
        yield from min((list(_wrong(export, way, mine)) for way in ways), key=len, default=[])


def _wrong(export, reading, records):
    pairs = reading.pairs(export)
    for record in records:
        pair = record.get("userId"), record.get("companyId")
        if pair not in pairs:
            yield f"a {reading.record} has ids that are no row's: {pair[0]!r} and {pair[1]!r}"
        if not all(record.get(name) for name in reading.needs) or pair == (None, None):
            yield f"a {reading.record} lacks an id"


def ids_of_nobody(export, records):
    """Yield ids that stand in an export where no column says whose a row is."""
    texts = {text for row in export.rows for found in row.values() for text in found}
    for record in records:
        for name in ("userId", "companyId"):
            if record.get(name) in texts:
                yield f"{name} is {record[name]!r}, and no column says who that is"


def missing(export, records):
    """Yield what does not arrive: an id of the export, or all companies where each row has one."""
    kinds = {record["type"] for record in records}
    first = readings(export)[0]
    sent = [way for way in readings(export) if way.record in kinds]
    main = [way for way in sent if way.record == first.record] or sent
    yield from min((list(_never(export, way, records)) for way in main), key=len, default=["nothing arrives"])
    if first.companies and not export.known.get("company_optional") and not any("companyId" in r for r in records):
        yield "no record names a company"


def _never(export, reading, records):
    name, columns = ("companyId", reading.companies) if reading.record == "company" else ("userId", reading.users)
    rows = [row for row in export.rows if not is_no_record(export, row)]
    there = {one for row in rows for one in ids_in(export, row, columns)}
    return (f"the {name} {one!r} never arrives" for one in there - {record.get(name) for record in records})


def is_no_record(export, row):
    """Whether nothing can be made of a row, such as of a survey that was offered and not answered."""
    return any(set(row.get(column, [])) & set(texts) for column, texts in export.known.get("no_record", {}).items())


# --- persons -------------------------------------------------------------------------------------------------------


def personal(export, records):
    """Yield what records tell of persons; a comment is what somebody wanted to say."""
    secrets, others = secrets_of(export)
    for record in records:
        for path, text in texts_of({name: value for name, value in record.items() if name != "comment"}):
            plain = text.strip().lower()
            if EMAIL.search(text):
                yield f"{path} holds an e-mail address"
            elif plain not in others and any(_tells(plain, secret) for secret in secrets):
                yield f"{path} holds {text!r}, which is personal"


def secrets_of(export):
    """Return the texts of an export that are about persons, and those that are not; one that is both is no secret."""
    secrets, others = set(), set()
    for row in export.rows:
        for path, texts in row.items():
            plain = {text.strip().lower() for text in texts}
            if is_personal(export, row, path):
                secrets |= {text for text in plain if len(text) >= PERSONAL_LENGTH_MIN}
            else:
                others |= plain
    blob = "\n".join(others)
    secrets = {text for text in secrets if not _is_word_in(text, blob)}
    return secrets | {DAY_FIRST.sub(r"\3-\2-\1", text) for text in secrets}, others


def is_personal(export, row, path):
    """Whether what stands at a path in a row is about a person."""
    columns = [*export.known["personal"]]
    columns += [one["column"] for one in export.known.get("personal_where", []) if _holds(row, one["where"])]
    return any(path == column or path.startswith(f"{column}.") for column in columns)


def _tells(text, secret):
    return secret in text and (len(secret) >= ALONE_LENGTH_MIN or _is_word_in(secret, text))


def _is_word_in(word, text):
    return word in text and re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text) is not None
