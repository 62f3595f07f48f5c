"""The rules of a pipeline: what each value may be, and what must hold between them."""

import math

import pytest
from config_helpers import BASE, KEY, destination, fields, load, mistakes

from bucket_loader.model import contract
from bucket_loader.model.contract import ONE_OF
from bucket_loader.model.kinds import KINDS
from bucket_loader.model.syncs import SYNCS


def messages(folder, text):
    """Return the messages of a file's mistakes."""
    return [one.message for one in mistakes(folder, text)]


# --- base_url ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://front.bucket.co", "https://front.bucket.co"),
        ("https://front.bucket.co/", "https://front.bucket.co"),
        ("HTTPS://Front.Bucket.co:8443/x/", "https://front.bucket.co:8443/x"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("https://10.0.0.7", "https://10.0.0.7"),
        ("https://9.example.com", "https://9.example.com"),
        ("http://127.9.9.9:1", "http://127.9.9.9:1"),
    ],
)
def test_a_base_url_that_may_be_used(tmp_path, url, kept):
    """Accept https anywhere, http on the machine itself; one spelling for one host, since the state belongs to it."""
    found = load(tmp_path, destination('{key: "${KEY}", base_url: "%s"}'.replace("%s", url))).destination

    assert found.base_url == kept
    assert found.host == kept.partition("//")[2].partition("/")[0]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://front.bucket.co", "must be https"),
        ("http://localhost.evil.com", "must be https"),
        ("http://10.0.0.1", "must be https"),
        ("http://0.0.0.0:80", "must be https"),
        ("https://user@front.bucket.co", "must not hold"),
        ("https://user:pass@front.bucket.co", "must not hold"),
        ("https://:@front.bucket.co", "must not hold"),
        ("https://@front.bucket.co", "must not hold"),
        ("https://front.bucket.co?x=1", "must not hold"),
        ("https://front.bucket.co/?", "must not hold"),
        ("https://front.bucket.co/#", "must not hold"),
        ("https://front.bucket.co#x", "must not hold"),
        ("https://front.bucket.co:99999", "a port that is not"),
        ("https://front.bucket.co:0", "a port that is not"),
        ("https://front.bucket.co:abc", "a port that is not"),
        ("https://front.bucket.co:", "a port that is not"),
        ("https://front.bucket.co:-1", "a port that is not"),
        ("https://169.254.169.254", "metadata"),
        ("https://169.254.1.1:443/x", "metadata"),
        ("https://[fe80::1]", "metadata"),
        ("https://[::ffff:169.254.169.254]", ""),
        ("https://[::ffff:a9fe:a9fe]", "metadata"),
        ("https://[fd00:ec2::254]", "metadata"),
        ("https://100.100.100.200", "metadata"),
        ("https://metadata.google.internal", "metadata"),
        ("https://METADATA.google.internal.", "metadata"),
        ("https://metadata", "metadata"),
        ("https://2852039166", "is not a URL"),
        ("https://0xa9fea9fe", "is not a URL"),
        ("https://0251.0376.0251.0376", "is not a URL"),
        ("https://169.254.43518", "is not a URL"),
        ("http://127.1", "is not a URL"),
        ("ftp://front.bucket.co", "is not a URL"),
        ("front.bucket.co", "is not a URL"),
        ("https://", "is not a URL"),
        ("https:///x", "is not a URL"),
        ("", "is not a URL"),
        ("https://[bad", "is not a URL"),
        ("https://a b", "is not a URL"),
        ("https://front.bucket.co\\n.evil.com", "is not a URL"),
        ("https://front.bucket.co\\\\@evil.com", "is not a URL"),
        ("https://front.bucket.co\\t", "is not a URL"),
        ("https://ex\u00e4mple.com", "is not a URL"),
        ("file:///etc/passwd", "is not a URL"),
        ("javascript:alert(1)", "is not a URL"),
        ("//front.bucket.co", "is not a URL"),
        (" https://front.bucket.co", "is not a URL"),
    ],
)
def test_a_base_url_that_is_refused(tmp_path, url, message):
    """No key travels in the clear, to a metadata service, or to a host that is not the one that it looks like."""
    (found,) = mistakes(tmp_path, destination('{key: "${KEY}", base_url: "%s"}'.replace("%s", url)))

    assert found.path == "destination.base_url"
    assert message in found.message


# --- numbers with units --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "check"),
    [
        ("patience: 30m", lambda to: to.patience == 1800),
        ("patience: 1.5h", lambda to: to.patience == 5400),
        ("patience: 10", lambda to: to.patience == 10),
        ("patience: 250ms", lambda to: to.patience == 0.25),
        ("patience: 2d", lambda to: to.patience == 172_800),
        ("timeout: 5s", lambda to: to.timeout == 5),
        ("chunk: {bytes: 512KiB}", lambda to: to.chunk.bytes == 524_288),
        ("chunk: {bytes: 1MB}", lambda to: to.chunk.bytes == 1_000_000),
        ("chunk: {bytes: 1024}", lambda to: to.chunk.bytes == 1024),
        ("chunk: {bytes: 64MiB}", lambda to: to.chunk.bytes == 64 * 2**20),
        ("chunk: {records: 1}", lambda to: to.chunk.records == 1),
        ("chunk: {records: 10000}", lambda to: to.chunk.records == 10_000),
        ("concurrency: auto", lambda to: to.concurrency == "auto"),
        ("concurrency: 64", lambda to: to.concurrency == 64),
        ("requests_per_second: 0.5", lambda to: to.requests_per_second == 0.5),
    ],
)
def test_numbers_with_units(tmp_path, words, check):
    """Durations and sizes are read with their units."""
    assert check(load(tmp_path, destination('{key: "${KEY}", %s}'.replace("%s", words))).destination)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("", 2_592_000), ("keep: 7d", 604_800), ("keep: 90", 90), ("keep: forever", math.inf)],
)
def test_how_long_things_are_kept(tmp_path, words, seconds):
    """A duration as any other, or for ever; thirty days when nothing is written."""
    assert load(tmp_path, f"{words}\n{BASE}").keep == seconds


@pytest.mark.parametrize("word", ["always", "0s", "-1d", "[1]", "true", "1w"])
def test_what_is_no_time_to_keep_things(tmp_path, word):
    """A mistake at its place."""
    (message,) = messages(tmp_path, f"keep: {word}\n{BASE}")

    assert "forever" in message or "more than 0" in message


@pytest.mark.parametrize(
    "words",
    [
        "patience: soon",
        "patience: -1s",
        "patience: 1w",
        "patience: true",
        "patience: 1 m 2 s",
        "patience: [1]",
        "timeout: 0",
        "timeout: 0s",
        "chunk: {bytes: 1}",
        "chunk: {bytes: 1023}",
        "chunk: {bytes: 65MiB}",
        "chunk: {bytes: 1.5MiB}",
        "chunk: {bytes: 1GB}",
        "chunk: {bytes: -1}",
        "chunk: {records: 0}",
        "chunk: {records: 10001}",
        "chunk: {records: 1.5}",
        "concurrency: 0",
        "concurrency: 65",
        "concurrency: many",
        "requests_per_second: 0",
        "requests_per_second: -1",
        "api: bulk",
        "environment: ''",
        "environment: a/b",
    ],
)
def test_numbers_that_are_refused(tmp_path, words):
    """A value outside its limits is a mistake at its place, with the sort of value that is wanted."""
    found = mistakes(tmp_path, destination('{key: "${KEY}", %s}'.replace("%s", words)))

    assert found
    assert all(one.path.startswith("destination.") and one.line == 2 for one in found)


@pytest.mark.parametrize(
    ("written", "count", "whole", "allowed"),
    [
        ("10%", 10, 100, True),
        ("10%", 11, 100, False),
        ("0%", 0, 5, True),
        ("0%", 1, 5, False),
        ("5", 5, 9, True),
        ("5", 6, 9, False),
        ("0.5%", 1, 200, True),
        ("0", 0, 0, True),
        ("100%", 7, 7, True),
    ],
)
def test_limits(tmp_path, written, count, whole, allowed):
    """A limit is a count or a share, and its edge is within."""
    limit = load(tmp_path, BASE + f"limits: {{rejected: {written}}}\n").limits.rejected

    assert limit.allows(count, whole) == allowed
    assert str(limit) == written


@pytest.mark.parametrize("written", ["many", "-1", "1.5", "10 percent", "%", "true", "[1]"])
def test_limits_that_are_refused(tmp_path, written):
    """Half a row is no limit."""
    quoted = written if written in {"true", "[1]"} else f"'{written}'"
    assert messages(tmp_path, BASE + f"limits: {{rejected: {quoted}}}\n") == [
        "is neither a percentage nor a whole number; write for example 10% or 500"
    ]


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("{rows: {drop: 101%}}", "limits.rows.drop"),
        ("{superseded: 150%}", "limits.superseded"),
        ("{null: {plan: 200%}}", "limits.null.plan"),
        ("{rows: {min: 2, max: 1}}", "limits.rows"),
        ("{rows: {min: -1}}", "limits.rows.min"),
        ("{fresh: {column: at, within: 0h}}", "limits.fresh.within"),
        ("{fresh: {column: at}}", "limits.fresh"),
        ("{null: {nobody.has.it: 5%}}", "limits.null.nobody.has.it"),
    ],
)
def test_a_limit_that_could_stop_nothing_is_refused(tmp_path, written, place):
    """More than all, less than nothing, and a field that no stream sends are mistakes at their place."""
    stream = "  - name: u\n    record: user\n    source: {type: csv, path: a.csv}\n"
    stream += "    fields: {userId: id, attributes: {plan: p}}"
    whole = BASE.partition("streams:")[0]
    at_the_top = mistakes(tmp_path, f"{whole}limits: {written}\nstreams:\n{stream}\n")
    on_a_stream = mistakes(tmp_path, f"{whole}streams:\n{stream}\n    limits: {written}\n")

    assert ([one.path for one in at_the_top], [one.path for one in on_a_stream]) == ([place], [f"streams[0].{place}"])


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " a", "../x", "a/b", "a\\\\b", "é", "-a", ".a", "a" * 101, "a\\nb", "a:b", "$x"])
@pytest.mark.parametrize("where", ["name: nightly", "name: users"])
def test_a_name_that_could_be_a_path_is_refused(tmp_path, name, where):
    """Names become folders and files."""
    found = messages(tmp_path, BASE.replace(where, f'name: "{name}"'))

    assert found == ["must be letters, digits, blanks, `_`, `.` or `-`, beginning with a letter or digit"]


@pytest.mark.parametrize("name", ["a", "Nightly load 2.0_x-y", "0", "a" * 100])
def test_a_name_that_is_fine(tmp_path, name):
    """A name may have blanks, dots and digits."""
    assert load(tmp_path, BASE.replace("name: nightly", f"name: '{name}'")).name == name


# --- fields --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{}", "needs exactly one of"),
        ("{column: a, value: b}", "needs exactly one of"),
        ("{sql: a, column: b}", "needs exactly one of"),
        ("{type: string}", "needs exactly one of"),
        ("{value: a, format: '%Y'}", "a constant takes no `format:`"),
        ("{value: a, default: b, null_values: [c]}", "a constant takes no `default:`, `null_values:`"),
        ("{column: a, format: '%Y', unit: s}", "give one of them"),
        ("{column: a, type: integer, format: '%Y'}", "`format:` belongs to"),
        ("{column: a, type: boolean, unit: s}", "`unit:` belongs to"),
        ("{column: a, format: '%d.%m.%y'}", "two-digit year"),
        ("{column: a, format: ['%Y', '%-y']}", "two-digit year"),
        ("{column: a, hash: sha256, type: json}", "`hash:` makes text"),
        ("{column: a, timezone: Mars/Olympus}", "no time zone is named"),
        ("{column: a, type: int}", "must be string"),
        ("{column: a, unit: m}", "must be s, ms"),
        ("{column: a, dst: both}", "must be earliest"),
        ("{column: a, hash: md5}", "must be sha256"),
        ("{column: a, encoding: latin1}", "must be utf8"),
        ("[a]", "must be a mapping"),
        ("5", "must be a mapping"),
    ],
)
def test_a_field_that_is_refused(tmp_path, spec, message):
    """A field says where its value comes from, once, and how to read it, in words that fit."""
    (found,) = mistakes(tmp_path, fields("{userId: id, attributes: {x: %s}}".replace("%s", spec)))

    assert message in found.message
    assert found.path.startswith("streams[0].fields.attributes.x")


@pytest.mark.parametrize(
    "spec",
    [
        "{column: a, format: '%Y %%y'}",
        "{column: a, format: ['%Y', '%d']}",
        "{value: ''}",
        "{value: null}",
        "{column: '*'}",
        "{column: ''}",
        "'a b'",
        "{column: a, default: false}",
    ],
)
def test_a_field_that_is_fine(tmp_path, spec):
    """Any text may be a column's name."""
    assert load(tmp_path, fields("{userId: id, attributes: {x: %s}}".replace("%s", spec)))


@pytest.mark.parametrize(
    ("written", "star"),
    [
        ('"*"', []),
        ('{"*": {}}', []),
        ('{"*": }', []),
        ('{"*": {exclude: a}}', ["a"]),
        ('{"*": {exclude: [a, b]}}', ["a", "b"]),
    ],
)
def test_the_star(tmp_path, written, star):
    """`"*"` is short for `{"*": {}}`, and may leave columns out."""
    assert (
        load(tmp_path, fields("{userId: id, attributes: %s}".replace("%s", written)))
        .streams[0]
        .fields.attributes.star.exclude
        == star
    )


@pytest.mark.parametrize("written", ['["*"]', '{"*": [a]}', '{"*": {exlude: a}}', "all", '{"": a}', '"**"'])
def test_a_star_that_is_refused(tmp_path, written):
    """What stands for columns is a mapping."""
    (found,) = mistakes(tmp_path, fields("{userId: id, attributes: %s}".replace("%s", written)))

    assert found.path.startswith("streams[0].fields.attributes")


# --- sources -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        ("{type: csv}", "", "`path` is missing"),
        ("{type: csv, path: ''}", ".path", "must not be empty"),
        ("{path: a}", "", "needs `type:`"),
        ("{type: xml, path: a}", ".type", "must be csv"),
        ("{type: [csv]}", ".type", "must be csv"),
        ("{type: csv, path: a, header: false}", "", "needs `names:`"),
        ("{type: csv, path: a, encoding: latin-99}", "", "no encoding is named"),
        ("{type: csv, path: a, delimiter: ';;'}", ".delimiter", "must be one character"),
        ("{type: csv, path: a, quotes: x}", ".quotes", "not known"),
        ("{type: sql, url: x}", "", "needs either"),
        ("{type: sql, url: x, query: q, table: t}", "", "needs either"),
        ("{type: sql, query: q}", "", "`url` is missing"),
        ("{type: query}", "", "`sql` is missing"),
        ("{type: query, sql: 'select :now'}", ".sql", ":now is not bound"),
        ("{type: sql, url: x, query: 'select :foo'}", ".query", ":foo is not bound"),
        ("nothing", "", "no source is named 'nothing'"),
        ("5", "", "needs `type:`"),
        ("[a]", "", "needs `type:`"),
    ],
)
def test_a_source_that_is_refused(tmp_path, source, path, message):
    """A source says its type and what that type needs; inline and named mistakes are told alike."""
    (found,) = mistakes(tmp_path, BASE.replace("{type: csv, path: users.csv}", source))

    assert found.path == f"streams[0].source{path}"
    assert message in found.message
    if source.startswith("{"):
        (named,) = mistakes(tmp_path, BASE + f"sources:\n  x: {source}\n")
        assert (named.path, named.message) == (f"sources.x{path}", found.message)


@pytest.mark.parametrize(
    "sql",
    [
        "select ':x'",
        "select a::int",
        "select 1 -- :x",
        "select 1 /* :x */",
        'select ":x"',
        "select $$ :x $$",
        "select :as_of, :interval_start, :interval_end",
        "select e'\\\\' :x'",
    ],
)
def test_parameters_of_a_query(tmp_path, sql):
    """What looks like a parameter inside a text, a name or a comment is none."""
    assert load(
        tmp_path,
        BASE.replace(
            "{type: csv, path: users.csv}",
            f"{{type: query, sql: {sql!r}}}" if '"' in sql else '{type: query, sql: "%s"}'.replace("%s", sql),
        ),
    )


def test_a_database_url_is_a_secret(tmp_path):
    """A password in a URL is in no message and no repr."""
    url = f"postgresql://u:{KEY}@h/d"
    pipeline = load(
        tmp_path, BASE.replace("{type: csv, path: users.csv}", "{type: sql, url: '%s', table: t}".replace("%s", url))
    )

    assert KEY not in repr(pipeline)
    assert pipeline.streams[0].source.url.get_secret_value() == url
    assert mistakes(
        tmp_path, BASE.replace("{type: csv, path: users.csv}", "{type: sql, url: ['%s'], table: t}".replace("%s", url))
    )


# --- between values ------------------------------------------------------------------------------------------------

LEAST = {
    "user": "userId: a",
    "company": "companyId: a",
    "event": "userId: a, event: b, timestamp: t",
    "feedback": "userId: a, featureId: f, score: s, timestamp: t",
    "feature_event": "action: a, key: k, evalResult: r",
}


def stream_of(kind, written=None, more=""):
    """Return a file whose stream has a kind, its fields and more words."""
    keyed = "    key: [k]\n" if kind == "feature_event" else ""
    return (
        fields("{%s}".replace("%s", (written or LEAST[kind]))).replace("record: user", f"record: {kind}") + keyed + more
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_least_stream_of_each_kind(tmp_path, kind):
    """Every kind has a least stream, whose mode is the kind's first."""
    stream = load(tmp_path, stream_of(kind)).streams[0]

    assert stream.mode is KINDS[kind].syncs[0]
    assert stream.ordered == (kind in {"user", "company"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_of_another_kind_is_refused(tmp_path, kind):
    """Each field that a kind lacks is named, with those that it has."""
    other = {name for each in KINDS for name in contract.rules(each)} - set(contract.rules(kind)) - {"context"}
    for name in sorted(other):
        written = f"{name}: x" if name not in {"attributes", "evalContext"} else f"{name}: {{x: y}}"
        (found,) = mistakes(tmp_path, stream_of(kind, f"{LEAST[kind]}, {written}"))
        assert found.path == f"streams[0].fields.{name}"
        assert f"has no field '{name}'" in found.message


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, rule.name) for kind in KINDS for rule in contract.rules(kind).values() if rule.required]
)
def test_a_required_field_must_be_mapped(tmp_path, kind, name):
    """A stream that cannot make a whole record is refused before any row."""
    written = ", ".join(word for word in LEAST[kind].split(", ") if not word.startswith(f"{name}:")) or "timestamp: t"
    found = mistakes(tmp_path, stream_of(kind, written))

    assert [one.path for one in found] == ["streams[0].fields"]
    assert found[0].message.endswith(f"needs {name}")


@pytest.mark.parametrize(("kind", "group"), [(kind, group) for kind in KINDS for group in ONE_OF[kind]])
def test_one_of_a_group_must_be_mapped(tmp_path, kind, group):
    """Feedback needs a score or a comment, and a feature by id or key."""
    rest = [word for word in LEAST[kind].split(", ") if word.partition(":")[0] not in group]

    assert messages(tmp_path, stream_of(kind, ", ".join(rest))) == [f"a {kind} needs {' or '.join(group)}"]
    for name in group:
        assert load(tmp_path, stream_of(kind, ", ".join([*rest, f"{name}: x"])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", SYNCS)
def test_a_mode_fits_its_kinds(tmp_path, kind, mode):
    """Only what has a last value can change, only what happens can be appended."""
    found = messages(tmp_path, stream_of(kind, more=f"    sync: {mode}\n"))

    assert bool(found) == (SYNCS[mode] not in KINDS[kind].syncs)
    assert not found or f"`sync: {mode}` does not fit" in " ".join(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("words", "fitting"),
    [
        ("    active: true\n", {"user", "company", "event"}),
        ("    on_unknown: hold\n", {"event", "feedback", "feature_event"}),
        ("    key: [k]\n", {"event", "feedback"}),
    ],
)
def test_words_that_fit_some_kinds(tmp_path, kind, words, fitting):
    """A word that cannot mean anything for a kind is refused, at its place."""
    found = mistakes(tmp_path, stream_of(kind, more=words))

    assert [one.path for one in found] == ([] if kind in fitting else [f"streams[0].{words.split(':')[0].strip()}"])


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("", False),
        ("    key: k\n", True),
        ("    sync: full\n", True),
        ("    key: []\n", False),
        ("    sync: append\n", False),
    ],
)
def test_append_needs_an_identity(tmp_path, words, right):
    """Without `key:` or a mapped timestamp an event could not be known again."""
    assert bool(messages(tmp_path, stream_of("event", "userId: a, event: b", words))) != right


def test_two_streams_of_one_name_are_refused(tmp_path):
    """The state of a stream is found by its name."""
    again = BASE[BASE.index("  - name:") :]
    (found,) = mistakes(tmp_path, BASE + again)

    assert (found.path, found.line, found.message) == ("streams[1].name", 8, "two streams are named 'users'")


@pytest.mark.parametrize("streams", ["[]", "{a: b}", "x", "", "[1]", "[[]]"])
def test_streams_are_a_list_of_streams(tmp_path, streams):
    """A pipeline without a stream does nothing, which nobody means."""
    assert mistakes(tmp_path, BASE[: BASE.index("streams:")] + f"streams: {streams}\n")


def test_streams_are_delivered_by_kind(tmp_path):
    """Users before companies before what refers to them, then as written."""
    kinds = ["event", "company", "user", "feedback", "user", "feature_event"]
    parts = [stream_of(kind) for kind in kinds]
    streams = [
        part[part.index("  - name:") :].replace("name: users", f"name: s{number}") for number, part in enumerate(parts)
    ]
    pipeline = load(tmp_path, BASE[: BASE.index("  - name:")] + "".join(streams))

    assert [stream.name for stream in pipeline.ordered_streams()] == ["s2", "s4", "s1", "s0", "s3", "s5"]


def test_a_version_that_is_not_known_is_refused(tmp_path):
    """A file of another version means something else."""
    assert load(tmp_path, "version: 1\n" + BASE)
    assert messages(tmp_path, "version: 2\n" + BASE) == ["must be 1, not `2`"]


# --- scale ---------------------------------------------------------------------------------------------------------

FEEDBACK = BASE.replace("record: user", "record: feedback").replace(
    "{userId: id}", "{userId: id, key: {value: k}, timestamp: at, score: {column: nps, scale: %s}}"
)


@pytest.mark.parametrize("scale", ["[10, 0]", "[5, 5]", "[0]", "[0, 5, 10]", "10", "[a, b]", "[.nan, 1]", "[0, 1e30]"])
def test_a_scale_is_two_numbers_the_least_first(tmp_path, scale):
    """All that is none is told with its place; a scale of two numbers is none of them."""
    assert mistakes(tmp_path, FEEDBACK % scale)
    assert not mistakes(tmp_path, FEEDBACK % "[0, 10]")
    assert not mistakes(tmp_path, FEEDBACK % "[-0.5, 0.5]")


def test_only_a_score_has_a_scale(tmp_path):
    """An attribute or an id with one is refused; an attribute of that name is an attribute."""
    wrong = "{userId: {column: id, scale: [0, 10]}, attributes: {nps: {column: nps, scale: [0, 10]}}}"
    found = mistakes(tmp_path, fields(wrong))

    assert [one.path for one in found] == ["streams[0].fields.userId.scale", "streams[0].fields.attributes.nps.scale"]
    assert all("belongs to `score`" in one.message for one in found)
    assert not mistakes(tmp_path, fields("{userId: id, attributes: {scale: a, hash: hmac}}"))
