"""Which columns each field of a record is made from, without a look at a row."""

from bucket_loader.config import pipeline_from
from bucket_loader.planning import Origin, origins_of


def origins(columns, where=None, **fields):
    """Return the origins of a stream of companies."""
    stream = {"name": "companies", "record": "company", "source": {"type": "csv", "path": "a.csv"}, "fields": fields}
    given = {
        "name": "test",
        "destination": {"key": "pub_not-needed"},
        "streams": [stream | ({"where": where} if where else {})],
    }
    return origins_of(pipeline_from(given).streams[0], columns)


def test_each_field_names_the_columns_that_it_reads():
    """A column, an expression by its parse, a hash, a constant; in the order of their names."""
    attributes = {
        "plan": {"sql": "lower(Plan) || coalesce(seats, '0')"},
        "mail": {"column": "mail", "hash": "sha256"},
        "source": {"value": "warehouse"},
    }

    found = origins(["id", "plan", "seats", "mail"], companyId="id", attributes=attributes)

    assert found.fields == {
        "attributes.mail": Origin(("mail",), is_same=False, is_hidden=True),
        "attributes.plan": Origin(("plan", "seats"), is_same=False),
        "attributes.source": Origin((), is_same=False),
        "companyId": Origin(("id",), is_same=True),
    }


def test_a_star_spreads_what_no_field_uses_and_where_names_what_filters():
    """As the mapping does it: neither excluded columns, nor those that a field or its expression reads."""
    attributes = {"*": {"exclude": ["note"]}, "title": {"sql": "upper(name)"}}

    found = origins(
        ["id", "name", "note", "plan", "seats"], "seats > 0 AND note IS NULL", companyId="id", attributes=attributes
    )

    assert list(found.fields) == ["attributes.plan", "attributes.seats", "attributes.title", "companyId"]
    assert found.filter == ("note", "seats")
