"""`notify:` in the pipeline file: a webhook or several, each by reference alone, and of which endings they are told."""

import pytest
from config_helpers import BASE, KEY, at, load, mistakes

from bucket_loader.config import load_pipeline

URL = "https://hooks.example.com/services/T00/B00/secret-of-the-path"
ALL = ["failed", "stopped", "rejected", "held", "recovered"]


def notify(words):
    """Return the base file with webhooks."""
    return BASE + f"notify: {words}\n"


def variables(url=URL):
    """Return the variables of the base file and of its webhook."""
    return {"KEY": KEY, "HOOK": url}


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{webhook: "${HOOK}"}', [ALL]),
        ('{webhook: "${HOOK}", on: failed}', [["failed"]]),
        ('{webhook: " ${HOOK} ", on: [held, recovered]}', [["held", "recovered"]]),
        ('[{webhook: "${HOOK}", on: failed}, {webhook: "${HOOK}"}]', [["failed"], ALL]),
        ("[]", []),
    ],
)
def test_one_webhook_or_several(tmp_path, written, told):
    """Each with the endings that it is told of; all where none are named."""
    found = load(tmp_path, notify(written), variables(f" {URL}\n")).notify

    assert [one.on for one in found] == told
    assert {one.webhook.get_secret_value() for one in found} <= {URL}
    assert "secret-of-the-path" not in repr(found)
    assert {one.host for one in found} <= {"hooks.example.com"}


@pytest.mark.parametrize("written", [URL, "${HOOK:-" + URL + "}", "https://hooks.example.com/${HOOK}"])
def test_an_address_that_is_written_in_the_file_is_refused_with_its_line(tmp_path, written):
    """Whoever knows it can write there; a part of it, or a default, is no better."""
    (found,) = mistakes(tmp_path, notify(f'{{webhook: "{written}", on: failed}}'), variables())

    assert at([found]) == [("notify.webhook", 8, 10)]
    assert "write `webhook: ${SLACK_WEBHOOK_URL}`" in found.hint
    assert "secret-of-the-path" not in found.message + found.hint


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://hooks.example.com/secret-of-the-path",
            "must be https: over http the message would travel",
        ),
        ("hooks.example.com/secret-of-the-path", "is not a URL"),
        ("https://me:secret-of-the-path@hooks.example.com/x", "must not hold a user or a password"),
        ("https://hooks.example.com:secret-of-the-path/x", "has a port that is not a number"),
        ("https://hooks.example.com/x#secret-of-the-path", "must not hold a fragment"),
        ("https://hooks.example.com/secret-of-the-path y", "is not a URL"),
        ("https://hooks.example.com/secret-of-the-path/é", "is not a URL"),
        ("https://169.254.169.254/secret-of-the-path", "is a link-local or metadata address"),
        ("https://127.1/secret-of-the-path", "is not a URL"),
        ("", "is not a URL"),
    ],
)
def test_an_address_that_is_refused(tmp_path, url, message):
    """By what it is, and without a word of it: it is a secret."""
    (found,) = mistakes(tmp_path, notify('{webhook: "${HOOK}"}'), variables(url))

    assert found.message.startswith(message)
    assert "secret-of-the-path" not in found.message + found.hint


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://localhost/x", "https://h.example", "https://h/a?b=c@d"]
)
def test_an_address_that_is_fine(tmp_path, url):
    """This machine may be told without TLS; an address needs no path, and a query may hold any sign."""
    assert load(tmp_path, notify('{webhook: "${HOOK}"}'), variables(url)).notify


@pytest.mark.parametrize(
    ("written", "where", "message"),
    [
        ('{webhook: "${HOOK}", on: recovered}', "notify.on", "`recovered` follows what was told before"),
        ('{webhook: "${HOOK}", on: []}', "notify.on", "must not be empty"),
        ('{webhook: "${HOOK}", on: [failure]}', "notify.on[0]", "must be failed, stopped,"),
        ('[{webhook: "${HOOK}", when: failed}]', "notify[0].when", "`when` is not known here"),
        ("{on: failed}", "notify", "`webhook` is missing"),
        ("true", "notify", "is a webhook or a list of them"),
        ("", "notify", "is a webhook or a list of them"),
    ],
)
def test_words_that_are_refused(tmp_path, written, where, message):
    """Each mistake stands at its place, and once."""
    (found,) = mistakes(tmp_path, notify(written), variables())

    assert (found.path, found.message[: len(message)]) == (where, message)


def test_a_variable_that_is_not_set_is_one_mistake_and_none_for_who_tells_nobody(tmp_path):
    """A run would tell nobody, so it is refused; who only looks needs no address."""
    text = notify('[{webhook: "${NONE}"}, {webhook: "${HOOK}"}]')
    (found,) = mistakes(tmp_path, text, variables())
    looked = load_pipeline(tmp_path / "pipeline.yaml", variables=variables(), tells=False)

    assert found.message == "the variable NONE is not set"
    assert "or write" not in found.hint, "a default would be an address in the file"
    assert [one.host for one in looked.notify] == ["nobody.invalid", "hooks.example.com"]
