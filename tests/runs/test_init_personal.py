"""What `init` leaves out as personal data: by the name of a column, and by the shapes of its values."""

import pyarrow as pa
import pytest

from bucket_loader.model.kinds import COMPANY, EVENT, USER
from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.nested import Leaf
from bucket_loader.runs.init.personal import personal_reason

EMPTY = ()


def reason(name, values=EMPTY, *, kind=USER, beside=(), leaf=None):
    """Return what a column holds of persons."""
    column = Column(name, pa.infer_type(list(values)) if values else pa.string(), list(values), 0, leaf)
    return personal_reason(column, kind, [column, *(Column(one, pa.string(), ["x"], 0) for one in beside)])


@pytest.mark.parametrize(
    "name",
    [
        "Email", "e-mail address", "workEmail", "Phone Number", "MobilePhone", "fax", "First Name", "lastname",
        "Full Name", "Vorname", "nickname", "display_name", "alias", "username", "Street Address", "BillingStreet",
        "zip", "Postal Code", "Birthdate", "date_of_birth", "gender", "last_ip", "IP Address", "context_ip",
        "user_agent", "context_userAgent", "LinkedIn URL", "twitter_handle", "avatar", "photo_url", "device_id",
        "anonymousId", "$device_id", "idfa", "notes", "Description", "bio", "password_digest",
        "reset_password_token", "api_key", "ssn", "Card Last4", "iban", "City",
    ],
)  # fmt: skip
def test_names_of_columns_say_it(name):
    """In any case, with blanks, in the words of other tools, also where the sample is empty."""
    assert reason(name) is not None


@pytest.mark.parametrize(
    "values",
    [
        ["jane@mail.example", "x"],
        ["see https://x.example/?e=jane%40mail.example", "x"],
        ["+45 20 11 22 33", "n/a"],
        ["(555) 010-1234", "x"],
        ["203.0.113.7", "2001:db8::1"],
        ["Mozilla/5.0 (X11; Linux)", "curl/8.0"],
        ["Jane Miller", "Miller, Tom", "Dr. Aisha Khan"],
        ["12 Elm Street", "3 Long Road"],
        ["Hauptstraße 12", "Nørregade 7"],
        ["123-45-6789", "987-65-4321"],
        ["https://linkedin.com/in/x", "@handle"],
        ["https://s.gravatar.com/avatar/1"],
        ["Call her on Monday about it", "He asked for the price twice"],
    ],
)
def test_shapes_of_values_say_it(values):
    """Whatever the column is called; one e-mail address or phone number is enough."""
    assert reason("c17", values) is not None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("plan", ["pro", "free"]),
        ("company_name", ["Acme Inc", "Beta GmbH"]),
        ("Domain", ["acme.example"]),
        ("email_verified", ["true", "false"]),
        ("emails_sent", ["3", "7"]),
        ("email_domain", ["mail.example"]),
        ("created_at", ["2024-01-01 10:00", "2024-01-02 11:00"]),
        ("when", ["January 5, 2023 1:45 PM", "May 31, 2023 2:00 PM"]),
        ("country", ["Norway", "United States"]),
        ("feature_name", ["Report Builder", "Data Export"]),
        ("app_version", ["1.2.3", "1.2.4"]),
        ("message_id", ["m1", "m2"]),
        ("role", ["admin", "member"]),
        ("id", ["0190aaaa-bbbb-4ccc-8ddd-0123456789ab"]),
        ("language", ["en", "da"]),
        ("seats", ["12", "5"]),
        ("account_age_days", ["12", "5"]),
    ],
)
def test_what_is_nobody_s_is_sent(name, values):
    """Counts, kinds, moments and names of things, also where a word of theirs is that of something personal."""
    assert reason(name, values) is None


def test_a_company_s_own_name_is_no_person_s():
    """But a payer's is, and an owner's; a user's always; a city beside a street is an address."""
    firms, people = ["Acme Inc", "Beta GmbH", "Gamma Labs"], ["Jane Miller", "Tom Khan", "Zed Quux"]

    assert reason("name", firms, kind=COMPANY) is None
    assert reason("name", firms, kind=USER) is not None
    assert reason("Name", people, kind=COMPANY) is not None
    assert reason("Name", ["Quux Zed", "Foo Bar"], kind=COMPANY, beside=["Email"]) is not None
    assert reason("Company owner", ["Zed Quux", "Foo Bar"], kind=COMPANY) is not None
    assert reason("City", ["Oslo"], kind=COMPANY) is None
    assert reason("City", ["Oslo"], kind=COMPANY, beside=["Street Address"]) is not None


@pytest.mark.parametrize("path", [("$set", "name"), ("person", "properties", "name"), ("author", "name")])
def test_a_name_inside_of_a_person_is_the_person_s(path):
    """Also where many rows share it; that of a plan is not."""
    shared = ["Quux"] * 20

    assert reason("p." + ".".join(path), shared, kind=EVENT, leaf=Leaf("p", path, "json")) is not None
    assert reason("p.plan.name", shared, kind=EVENT, leaf=Leaf("p", ("plan", "name"), "json")) is None
