"""What tests of `explain` ask of it, and a pipeline that has every kind of rule and of end."""

import json

STREAMS = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  where: plan <> 'trial'
  fields:
    companyId: id
    attributes:
      "*": {exclude: [owner]}
      seats: {column: seats, type: integer, default: 0}
      tier: {sql: upper(plan)}
      owner: {column: owner, hash: sha256}
      from: {value: crm}
- name: usage
  record: event
  key: [n]
  source: {type: csv, path: usage.csv}
  fields: {userId: user, companyId: company, event: what, timestamp: at}
"""
HEADER = "id,name,seats,plan,owner\n"
USAGE = "n,user,company,what,at\n"
AT = "2026-01-01T00:00:00Z"


def explained(workplace, *words):
    """Return what `explain --json` prints; it sends nothing and ends well."""
    result = workplace.command("explain", *words, "--json")
    assert (result.exit_code, result.exception) == (0, None), (result.stderr, result.exception)
    return json.loads(result.stdout)


def rows(life, stream=None):
    """Return what the runs know, newest first."""
    return [row for run in life["runs"] for row in run["rows"] if stream in {None, row["stream"]}]


def sent(life, stream=None):
    """Return the records that were delivered, newest first."""
    return [row["record"] for row in rows(life, stream) if row["fate"] == "delivered"]


def taken(emulator, field, id_, type_):
    """Return the items of a type that the emulator took of a user or a company, newest first."""
    found = [line["item"] for line in emulator.journal() if line["item"].get(field) == id_ and line["type"] == type_]
    return found[::-1]
