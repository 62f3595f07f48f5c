"""`destination: {api: ...}`: which API a pipeline is for, the key it takes, and what may be sent through it."""

import pytest
from config_helpers import BASE, destination, load, mistakes

from bucket_loader.config.yaml_file import pipeline_from
from bucket_loader.model.errors import ConfigError

LEGACY = ("front-legacy", "tracking-legacy")
KEYS = {"KEY": "pub_prod_Cqx4DGo1lk3Lcct5NHLjWy"}
FEEDBACK = """\
  - name: said
    record: feedback
    source: {type: csv, path: said.csv}
    key: [id]
    fields: {userId: user, %s}
"""


def api(name, more=""):
    """Return the base file for an API."""
    return destination(f'{{key: "${{KEY}}", api: {name}{more}}}')


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("front", "https://front.bucket.co"),
        ("front-legacy", "https://front.bucket.co"),
        ("tracking-legacy", "https://tracking.bucket.co"),
    ],
)
def test_each_api_has_its_host(tmp_path, name, host):
    """Where none is written; one that is written is kept."""
    chosen = load(tmp_path, api(name, ", base_url: https://eu.example"), KEYS).destination

    assert load(tmp_path, api(name), KEYS).destination.base_url == host
    assert (chosen.api, chosen.base_url) == (name, "https://eu.example")


@pytest.mark.parametrize("name", ["legacy", "tracking", "Front", "[front]", ""])
def test_another_api_is_refused(tmp_path, name):
    """There are three."""
    (found,) = mistakes(tmp_path, api(f"{name}" or '""'))

    assert found.path == "destination.api"
    assert "front-legacy" in found.message


@pytest.mark.parametrize("name", LEGACY)
@pytest.mark.parametrize(
    "key",
    ["sec_prod_0123456789", "4f1d0c7e5f1d0c7e5f1d0c7e", "pub_prod/x", "pub_a?b", "pub_a%2Fb", "tr/x", "TRx", "xpub_a"],
)
def test_only_a_key_that_is_public_may_stand_in_a_path(tmp_path, name, key):
    """A secret key has no known form, so the public forms are the only ones taken; the key is not shown."""
    (found,) = mistakes(tmp_path, api(name), {"KEY": key})

    assert found.path == "destination.key"
    assert "publishable" in found.message
    assert key not in found.message


@pytest.mark.parametrize("name", LEGACY)
@pytest.mark.parametrize("key", ["pub_prod_Cqx4DGo1lk3Lcct5NHLjWy", "trCqx4DGo1lk3Lcct5NHLjWy", " pub_stag_a-b_c\n"])
def test_a_publishable_or_tracking_key_is_taken(tmp_path, name, key):
    """As they are spelt in the documents; blanks around them are stripped."""
    assert load(tmp_path, api(name), {"KEY": key}).destination.key.get_secret_value() == key.strip()


@pytest.mark.parametrize(("variables", "message"), [({}, "KEY is not set"), ({"KEY": " "}, "the key is empty")])
def test_a_key_that_is_not_there_is_one_mistake(tmp_path, variables, message):
    """What is wrong with a variable is told once, not of its stand-in too."""
    (found,) = mistakes(tmp_path, api("front-legacy"), variables)

    assert message in found.message


def test_a_programs_secret_key_is_refused_too():
    """`load(destination={...})` follows the same rule."""
    stream = {"name": "u", "record": "user", "source": {"type": "csv", "path": "u.csv"}, "fields": {"userId": "id"}}
    words = {"key": "sec_prod_0123456789", "api": "front-legacy"}

    with pytest.raises(ConfigError) as caught:
        pipeline_from({"name": "x", "destination": words, "streams": [stream]})

    assert "publishable" in str(caught.value)
    assert "sec_prod" not in str(caught.value)


@pytest.mark.parametrize("name", LEGACY)
def test_feature_events_have_no_older_endpoint(tmp_path, name):
    """Refused with what is taken, and where else they go."""
    stream = "  - {name: f, record: feature_event, source: {type: csv, path: f.csv}, fields: {key: k}, sync: full}\n"
    (found,) = mistakes(tmp_path, api(name) + stream, KEYS)

    assert found.path == "streams[1].record"
    assert "user, company, event, feedback" in found.message
    assert "`api: front`" in found.message


@pytest.mark.parametrize("name", LEGACY)
@pytest.mark.parametrize(
    "field", ["key", "timestamp", "promptId", "question", "promptedQuestion", "source", "feedbackId"]
)
def test_feedback_has_fewer_fields_there(tmp_path, name, field):
    """What the older documents do not name might be dropped in silence, so it is refused."""
    (found,) = mistakes(tmp_path, api(name) + FEEDBACK % f"featureId: f, score: s, {field}: x", KEYS)

    assert found.path == f"streams[1].fields.{field}"
    assert f"in `api: {name}`; it has userId, featureId, score, comment, companyId" in found.message


@pytest.mark.parametrize("name", LEGACY)
def test_feedback_needs_a_feature_id_there(tmp_path, name):
    """A key will do in the current API only."""
    (found,) = mistakes(tmp_path, api(name) + FEEDBACK % "comment: words", KEYS)

    assert "needs featureId" in found.message
    assert load(tmp_path, api(name) + FEEDBACK % "featureId: f, comment: words, companyId: c", KEYS)


def test_front_is_what_a_file_means_that_names_no_api(tmp_path):
    """The current API, with a secret key."""
    assert load(tmp_path, BASE).destination.api == "front"
