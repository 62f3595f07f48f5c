"""Make the small exports of the how-to pages: `python docs/samples.py`. Every name in them is made up.

Each has the columns that the tool writes, as far as its public documentation says, and twenty-four rows.
"""

import csv
import io
import json
import random
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent / "how-to" / "exports" / "samples"
ROWS = 24
YARDS = [
    "Tidewick",
    "Norhaven",
    "Saltmere",
    "Brackford",
    "Ellinsund",
    "Karvik",
    "Ostrand",
    "Pellhaven",
    "Quayside",
    "Rimfjord",
    "Stenholt",
    "Ulvsand",
]
FIRST = ["Amina", "Ines", "Jonas", "Karl", "Lea", "Mads", "Nora", "Oskar", "Pia", "Rune", "Sif", "Tove"]
LAST = [
    "Brandvold", "Dyrnes", "Eikrem", "Falkner", "Grindal", "Hasselby",
    "Iversholm", "Juvik", "Kolstad", "Lindahl", "Myrseth", "Nyborg",
]  # fmt: skip
WORDS = ["Too many clicks", "Very quick", "We use it daily", "The map is hard to read", "Love it", "Missing an export"]
ACTIONS = ["Quote Created", "Dock Planned", "Crew Assigned", "Report Exported"]
SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
Row = Mapping[str, object]


def main() -> None:
    """Write all samples."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in SAMPLES.items():
        random_ = random.Random(name)  # noqa: S311  # names of boatyards are no secret
        rows = [make(random_, number) for number in range(ROWS)]
        (FOLDER / name).write_text(_lines(rows) if name.endswith(".jsonl") else _csv(rows), "utf-8")


def _csv(rows: Iterable[Row]) -> str:
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(listed[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _person(random_: random.Random) -> tuple[str, str, str]:
    first, last = random_.choice(FIRST), random_.choice(LAST)
    return first, last, f"{first}.{last}@example.com".lower()


def _at(random_: random.Random, number: int) -> datetime:
    return START + timedelta(hours=7 * number, minutes=random_.randrange(60), seconds=random_.randrange(60))


def _uuid(random_: random.Random) -> str:
    return str(uuid.UUID(int=random_.getrandbits(128), version=4))


def _hubspot_companies(random_: random.Random, number: int) -> Row:
    first, last, _ = _person(random_)
    yard = YARDS[number % len(YARDS)] + (" Marine" if number >= len(YARDS) else " Boatyard")
    return {
        "Record ID": 9_100_204_000 + 37 * number,
        "Company name": yard,
        "Company owner": f"{first} {last}",
        "Create Date": f"{_at(random_, number):%Y-%m-%d %H:%M}",
        "Phone Number": f"+47 55 01 {number:02} 10",
        "City": random_.choice(YARDS),
        "Industry": "SHIPBUILDING",
        "Number of Employees": random_.randrange(3, 240),
    }


def _hubspot_contacts(random_: random.Random, number: int) -> Row:
    first, last, address = _person(random_)
    return {
        "Record ID": 51_000 + 13 * number,
        "First Name": first,
        "Last Name": last,
        "Email": address,
        "Phone Number": f"+47 55 02 {number:02} 10",
        "Contact owner": "",
        "Associated Company IDs": 9_100_204_000 + 37 * (number % 9),
        "Lifecycle Stage": random_.choice(["Customer", "Lead", "Opportunity"]),
        "Create Date": f"{_at(random_, number):%Y-%m-%d %H:%M}",
    }


def _salesforce_accounts(random_: random.Random, number: int) -> Row:
    return {
        "Id": f"0015g00000{random_.randrange(16**5):05X}{'AAB'}",
        "Name": YARDS[number % len(YARDS)] + " AS",
        "OwnerId": "0055g000001AbCdAAK",
        "Type": random_.choice(["Customer", "Prospect"]),
        "Industry": "Shipping",
        "NumberOfEmployees": random_.randrange(3, 240),
        "AnnualRevenue": random_.randrange(200_000, 9_000_000),
        "BillingStreet": f"Quay {number + 1}",
        "BillingCity": random_.choice(YARDS),
        "CreatedDate": f"{_at(random_, number):%Y-%m-%dT%H:%M:%S.000+0000}",
    }


def _stripe_customers(random_: random.Random, number: int) -> Row:
    _, _, address = _person(random_)
    return {
        "id": f"cus_{''.join(random_.choices(SIGNS, k=12))}{number:02}",
        "Description": YARDS[number % len(YARDS)] + " Boatyard",
        "Email": address,
        "Created (UTC)": f"{_at(random_, number):%Y-%m-%d %H:%M}",
        "Delinquent": random_.choice(["false", "false", "true"]),
        "Plan": random_.choice(["solo", "crew", "fleet"]),
        "Currency": "eur",
    }


def _segment_tracks(random_: random.Random, number: int) -> Row:
    user = f"u-{random_.randrange(9):04}"
    return {
        "type": "track",
        "messageId": f"ajs-next-{_uuid(random_)}",
        "userId": user if (number + 1) % 6 else None,
        "anonymousId": _uuid(random_),
        "event": random_.choice(ACTIONS),
        "timestamp": f"{_at(random_, number):%Y-%m-%dT%H:%M:%S.}{random_.randrange(1000):03}Z",
        "properties": {"dock": random_.randrange(1, 8), "source": random_.choice(["web", "app"])},
        "context": {"ip": "192.0.2.7", "userAgent": "Mozilla/5.0", "groupId": f"yard-{random_.randrange(6)}"},
    }


def _amplitude_events(random_: random.Random, number: int) -> Row:
    return {
        "$insert_id": _uuid(random_),
        "amplitude_id": 700_000_000_000 + random_.randrange(9),
        "device_id": _uuid(random_),
        "user_id": f"u-{random_.randrange(9):04}",
        "event_type": random_.choice(ACTIONS),
        "event_time": f"{_at(random_, number):%Y-%m-%d %H:%M:%S.}{random_.randrange(10**6):06}",
        "event_properties": {"dock": random_.randrange(1, 8)},
        "country": "Norway",
        "ip_address": "192.0.2.7",
    }


def _mixpanel_events(random_: random.Random, number: int) -> Row:
    user = f"u-{random_.randrange(9):04}"
    return {
        "event": random_.choice(ACTIONS),
        "properties": {
            "time": int(_at(random_, number).timestamp()),
            "distinct_id": user,
            "$user_id": user,
            "$device_id": _uuid(random_),
            "$insert_id": _uuid(random_).replace("-", "")[:16],
            "$city": random_.choice(YARDS),
            "dock": random_.randrange(1, 8),
        },
    }


def _posthog_events(random_: random.Random, number: int) -> Row:
    return {
        "uuid": _uuid(random_),
        "event": random_.choice(ACTIONS),
        "distinct_id": f"u-{random_.randrange(9):04}",
        "timestamp": f"{_at(random_, number):%Y-%m-%dT%H:%M:%S.}{random_.randrange(10**6):06}Z",
        "properties": {"dock": random_.randrange(1, 8), "$ip": "192.0.2.7", "$browser": "Firefox"},
    }


def _intercom_users(random_: random.Random, number: int) -> Row:
    first, last, address = _person(random_)
    return {
        "ID": _uuid(random_).replace("-", "")[:24],
        "User ID": f"u-{number:04}",
        "Name": f"{first} {last}",
        "Email": address,
        "Signed up (UTC)": f"{_at(random_, number):%Y-%m-%d %H:%M:%S}",
        "Last seen (UTC)": f"{_at(random_, number + 200):%Y-%m-%d %H:%M:%S}",
        "Web sessions": random_.randrange(1, 400),
        "Company ID": f"yard-{random_.randrange(6)}",
    }


def _zendesk_ratings(random_: random.Random, number: int) -> Row:
    return {
        "id": 35_436 + number,
        "ticket_id": 208_000 + 7 * number,
        "requester_id": 7_881 + random_.randrange(12),
        "assignee_id": 135,
        "score": random_.choice(["good", "good", "bad"]),
        "comment": random_.choice([*WORDS, ""]),
        "created_at": f"{_at(random_, number):%Y-%m-%dT%H:%M:%SZ}",
    }


def _delighted_responses(random_: random.Random, number: int) -> Row:
    first, last, address = _person(random_)
    return {
        "Response ID": 5_435 + number,
        "Survey type": "NPS",
        "Score": random_.randrange(0, 11),
        "Comment": random_.choice([*WORDS, ""]),
        "Person ID": f"u-{number:04}",
        "Name": f"{first} {last}",
        "Email": address,
        "Created at": f"{_at(random_, number):%Y-%m-%d %H:%M:%S UTC}",
    }


def _pendo_visitors(random_: random.Random, number: int) -> Row:
    return {
        "visitorId": f"u-{number:04}",
        "accountId": f"yard-{random_.randrange(6)}",
        "firstVisit": int(_at(random_, number).timestamp() * 1000),
        "lastVisit": int(_at(random_, number + 200).timestamp() * 1000),
        "numberOfEvents": random_.randrange(1, 900),
        "lastBrowserName": "Firefox",
        "role": random_.choice(["owner", "planner", "crew"]),
    }


def _analytics_events(random_: random.Random, number: int) -> Row:
    return {
        "event_date": f"{_at(random_, number):%Y%m%d}",
        "event_timestamp": int(_at(random_, number).timestamp() * 1_000_000),
        "event_name": random_.choice(["page_view", "quote_created", "dock_planned"]),
        "user_id": f"u-{random_.randrange(9):04}" if (number + 1) % 5 else None,
        "user_pseudo_id": f"{random_.randrange(10**9)}.{random_.randrange(10**9)}",
        "event_params": {"dock": random_.randrange(1, 8)},
        "geo": {"country": "Norway", "city": random_.choice(YARDS)},
    }


def _chargebee_customers(random_: random.Random, number: int) -> Row:
    first, last, address = _person(random_)
    return {
        "Customer ID": f"yard-{number:03}",
        "Company": YARDS[number % len(YARDS)] + " Boatyard",
        "First Name": first,
        "Last Name": last,
        "Email": address,
        "Auto Collection": random_.choice(["On", "Off"]),
        "Net Term Days": random_.choice([0, 14, 30]),
        "Plan ID": random_.choice(["solo", "crew", "fleet"]),
        "MRR": random_.randrange(19, 900),
        "Created At": f"{_at(random_, number):%Y-%m-%d %H:%M:%S}",
    }


def _auth0_users(random_: random.Random, number: int) -> Row:
    first, last, address = _person(random_)
    return {
        "user_id": f"auth0|{_uuid(random_).replace('-', '')[:24]}",
        "email": address,
        "email_verified": random_.choice([True, True, False]),
        "name": f"{first} {last}",
        "picture": "https://example.com/face.png",
        "created_at": f"{_at(random_, number):%Y-%m-%dT%H:%M:%S.}{random_.randrange(1000):03}Z",
        "last_login": f"{_at(random_, number + 200):%Y-%m-%dT%H:%M:%S.}{random_.randrange(1000):03}Z",
        "last_ip": "192.0.2.7",
        "logins_count": random_.randrange(1, 300),
        "identities": [{"provider": "auth0", "connection": "Username-Password-Authentication"}],
    }


def _memberships(random_: random.Random, number: int) -> Row:
    return {
        "id": number + 1,
        "user_id": 1000 + number,
        "account_id": 10 + random_.randrange(6),
        "role": random_.choice(["owner", "planner", "crew"]),
        "created_at": f"{_at(random_, number):%Y-%m-%dT%H:%M:%SZ}",
    }


SAMPLES = {
    "hubspot-companies.csv": _hubspot_companies,
    "hubspot-contacts.csv": _hubspot_contacts,
    "salesforce-accounts.csv": _salesforce_accounts,
    "stripe-customers.csv": _stripe_customers,
    "segment-tracks.jsonl": _segment_tracks,
    "amplitude-events.jsonl": _amplitude_events,
    "mixpanel-events.jsonl": _mixpanel_events,
    "posthog-events.jsonl": _posthog_events,
    "intercom-users.csv": _intercom_users,
    "zendesk-ratings.csv": _zendesk_ratings,
    "delighted-responses.csv": _delighted_responses,
    "pendo-visitors.csv": _pendo_visitors,
    "analytics-events.jsonl": _analytics_events,
    "chargebee-customers.csv": _chargebee_customers,
    "auth0-users.jsonl": _auth0_users,
    "memberships.csv": _memberships,
}


if __name__ == "__main__":
    main()
