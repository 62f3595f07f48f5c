"""The pipeline file as text: what YAML may do in it, and how mistakes are told."""

import pytest
from config_helpers import BASE, KEY, at, destination, fields, load, mistakes

from bucket_loader.config.yaml_file import load_pipeline
from bucket_loader.model.errors import ConfigError, UsageError

REFUSED_KEY = "the key is written in the file"


def test_the_base_file_is_right(tmp_path):
    """The file that the other tests break is right."""
    pipeline = load(tmp_path, BASE)

    assert pipeline.name == "nightly"
    assert pipeline.destination.key.get_secret_value() == KEY
    assert KEY not in repr(pipeline)


def test_every_mistake_is_told_at_once_with_its_place(tmp_path):
    """Unknown keys, wrong values, missing ones and rules between values come together, in the order of the file."""
    text = """\
nmae: x
destination: {key: "${KEY}", base_url: nope, concurrency: 0, patience: soon}
limits: {rejected: many}
sources:
  a: {type: xlsx, path: a}
streams:
  - name: s
    record: user
    source: b
    fields:
      userId: {colum: id}
      companyId: c
      attributes: {a: {column: x, type: strng}, b: {column: 1}}
    sync: append
    on_unknown: hold
    tmezone: UTC
"""
    found = mistakes(tmp_path, text)

    assert at(found) == [
        ("", 1, 1),
        ("nmae", 1, 1),
        ("destination.base_url", 2, 30),
        ("destination.concurrency", 2, 46),
        ("destination.patience", 2, 62),
        ("limits.rejected", 3, 10),
        ("sources.a.type", 5, 7),
        ("streams[0]", 7, 5),
        ("streams[0].source", 9, 5),
        ("streams[0].fields.userId.colum", 11, 16),
        ("streams[0].fields.companyId", 12, 7),
        ("streams[0].fields.attributes.a.type", 13, 35),
        ("streams[0].fields.attributes.b.column", 13, 53),
        ("streams[0].sync", 14, 5),
        ("streams[0].on_unknown", 15, 5),
        ("streams[0].tmezone", 16, 5),
    ]
    told = {one.path: (one.message, one.hint) for one in found}
    assert told["nmae"] == ("`nmae` is not known here", "did you mean `name`?")
    assert told["streams[0].fields.userId.colum"][1] == "did you mean `column`?"
    assert told["streams[0].tmezone"][1] == "did you mean `timezone`?"


@pytest.mark.parametrize(
    ("line", "path", "place"),
    [
        ("name: nightly\n", "", (1, 1)),
        ('destination: {key: "${KEY}"}\n', "", (1, 1)),
        ("    source: {type: csv, path: users.csv}\n", "streams[0]", (4, 5)),
        ("    record: user\n", "streams[0]", (4, 5)),
        ("    fields: {userId: id}\n", "streams[0]", (4, 5)),
    ],
)
def test_what_is_missing_is_named_at_its_place(tmp_path, line, path, place):
    """A key that is required and absent is named, also at the top of the file."""
    (found,) = mistakes(tmp_path, BASE.replace(line, ""))

    name = line.strip(" \n-").partition(":")[0]
    assert (found.path, found.message) == (path, f"`{name}` is missing")
    assert (found.line, found.column) == place


def test_a_stream_without_a_name(tmp_path):
    """`name` is also the word of a union inside; a missing one is still told as it is."""
    found = mistakes(tmp_path, BASE.replace("- name: users", "- active: true"))

    assert [(one.path, one.message) for one in found] == [("streams[0]", "`name` is missing")]


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("name: nightly\nname: other\n" + BASE[14:], "name", 2),
        (fields("{userId: a, userId: b}"), "streams[0].fields.userId", 7),
        (fields('{userId: a, attributes: {"*": {}, x: b, "x": c}}'), "streams[0].fields.attributes.x", 7),
        (destination('{key: "${KEY}", key: "${KEY}"}'), "destination.key", 2),
    ],
)
def test_a_key_written_twice_is_refused(tmp_path, text, path, line):
    """YAML's last one would win silently."""
    (found,) = mistakes(tmp_path, text)

    assert (found.path, found.line) == (path, line)
    assert "is written twice (first on line" in found.message


@pytest.mark.parametrize("name", ["named", "star", "name", "inline", "csv", "source", "attributes", "query", "type"])
def test_an_attribute_may_have_any_name(tmp_path, name):
    """Words of the models' inside are attribute names like any other, and a mistake below them keeps its place."""
    pipeline = load(tmp_path, fields("{userId: id, attributes: {%s: {column: x}}}".replace("%s", name)))
    (found,) = mistakes(
        tmp_path, fields("{userId: id, attributes: {%s: {column: x, tpye: integer}}}".replace("%s", name))
    )

    assert pipeline.streams[0].fields.attributes.named[name].column == "x"
    assert found.path == f"streams[0].fields.attributes.{name}.tpye"
    assert found.line == 7
    assert found.hint == "did you mean `type`?"


@pytest.mark.parametrize("name", ["csv", "query", "sql", "name", "inline"])
def test_a_source_may_have_any_name(tmp_path, name):
    """A source called like a type is told at its place, too."""
    found = mistakes(tmp_path, BASE + "sources:\n  %s: {type: query, sqll: x}\n".replace("%s", name))

    assert at(found) == [(f"sources.{name}", 9, 3), (f"sources.{name}.sqll", 9, len(name) + 19)]


# --- YAML ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("n", "n"),
        ("012", "012"),
        ("0o14", "0o14"),
        ("0x1F", "0x1F"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("00123", "00123"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("=", "="),
        ("<<", "<<"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("12", 12),
        ("-5", -5),
        ("+5", 5),
        ("1.50", 1.5),
        ("-1.5e3", -1500.0),
        ("true", True),
        ("False", False),
        ("9007199254740993", 9007199254740993),
        ("!!str 12", "12"),
        ("é😀", "é😀"),
        ('"\\u00e9"', "é"),
        ("|\n       two\n       lines", "two\nlines\n"),
        (">-\n       a\n       b", "a b"),
    ],
)
@pytest.mark.parametrize("head", ["", "%YAML 1.1\n---\n"])
def test_scalars_are_what_yaml_1_2_says_or_text(tmp_path, written, value, head):
    """No country becomes false, no id an octal number, no time a number of seconds, whatever version a file claims."""
    text = head + BASE.replace("    fields: {userId: id}\n", f"    fields:\n     userId:\n      value: {written}\n")
    found = load(tmp_path, text).streams[0].fields.userId.value

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("written", ["~", "null", ""])
def test_null_is_null(tmp_path, written):
    """Nothing is nothing."""
    assert (
        load(
            tmp_path,
            fields("{userId: id, companyId: %s}".replace("%s", written))
            .replace("user\n", "event\n")
            .replace("{userId", "{event: {value: e}, timestamp: t, userId"),
        )
        .streams[0]
        .fields.companyId
        is None
    )


@pytest.mark.parametrize(
    "written",
    [
        "!foo x",
        "!!python/object/apply:os.system [id]",
        "!!python/name:str x",
        "!!binary aGk=",
        "!x:int 5",
        "!foo {a: b}",
        "!!set {a}",
        "!!omap [a: b]",
        "!!null abc",
        "!<tag:example.com,2000:x> y",
    ],
)
def test_tags_are_refused(tmp_path, written):
    """A tag cannot make an object, a null or anything else of plain values."""
    found = mistakes(tmp_path, BASE + f"    where: {written}\n")

    assert found
    assert all(one.line == 8 for one in found)


def test_a_merge_key_is_no_magic(tmp_path):
    """`<<` is a key like any other, and not known here."""
    found = mistakes(tmp_path, fields("{<<: {userId: id}}"))

    assert "streams[0].fields.<<" in [one.path for one in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE + "x: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        (BASE + "x: " + "{a: " * 5000, "nested too deeply"),
        (BASE + "x: " + "[" * 200 + "]" * 200, "too deeply nested"),
        (BASE + "x: &a [*a]\n", "too deeply nested"),
        (BASE + "x: &a {b: *a}\n", "too deeply nested"),
        (BASE + "#" * 2_000_000, "larger than"),
        (b"x" * (1024 * 1024 + 1), "larger than"),
        (BASE + "---\n" + BASE, "is not YAML"),
        (BASE + "x: [1\n", "is not YAML"),
        (BASE + "\tx: 1\n", "is not YAML"),
        (BASE + 'x: "open\n', "is not YAML"),
        (BASE + "x: *unknown\n", "is not YAML"),
        (BASE + "x: @y\n", "is not YAML"),
        (BASE + "x: \x01\n", "control character"),
        (BASE + "x: \0\n", "control character"),
        (BASE.encode() + b"x: \xe9\n", "is not UTF-8"),
        (BASE.encode("utf-16"), "is not UTF-8"),
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- a\n", "is not a mapping"),
        ("text", "is not a mapping"),
    ],
    ids=lambda case: case[-40:] if isinstance(case, str) else "bytes",
)
def test_a_file_that_is_none_is_refused(tmp_path, text, message):
    """What is no pipeline file is refused in one line, without a traceback and without filling the memory."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in caught.value.mistakes[0].message
    assert len(str(caught.value)) < 500


def test_an_alias_bomb_is_refused(tmp_path):
    """Ten lines that stand for a billion values are refused before they are made."""
    lines = ["x:", "  a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"  {chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]" for i in range(12)]

    with pytest.raises(ConfigError, match="too many or too deeply nested"):
        load(tmp_path, BASE + "\n".join(lines))


def test_an_alias_that_is_used_twice_is_fine(tmp_path):
    """Anchors may save words."""
    text = fields("{userId: &id {column: id}, attributes: {x: *id}}")

    assert load(tmp_path, text).streams[0].fields.attributes.named["x"].column == "id"


@pytest.mark.parametrize("change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")])
def test_a_bom_and_crlf_change_nothing(tmp_path, change):
    """A file from another system is the same file."""
    assert load(tmp_path, change(BASE.encode())) == load(tmp_path, BASE)


def test_a_bad_byte_has_its_place(tmp_path):
    """A latin-1 byte is found on its line."""
    assert at(mistakes(tmp_path, b"name: nightly\nx: caf\xe9\n")) == [("", 2, 7)]


@pytest.mark.parametrize("text", [fields('{userId: "\\ud800"}'), fields('{"\\udc00": x, userId: id}')])
def test_half_a_character_is_refused(tmp_path, text):
    """A lone surrogate cannot be written as UTF-8 later."""
    assert "lone surrogate" in mistakes(tmp_path, text)[0].message


def test_a_file_that_is_not_there(tmp_path):
    """A missing file is a usage error with a hint."""
    with pytest.raises(UsageError) as caught:
        load_pipeline(tmp_path / "none.yaml", variables={})
    assert "init" in caught.value.hint
    with pytest.raises(UsageError):
        load_pipeline(tmp_path, variables={})


@pytest.mark.parametrize("source", ["{type: frame, frame: 1}", "{type: frame}"])
def test_a_frame_cannot_be_written(tmp_path, source):
    """A DataFrame comes from a program, never from a file."""
    inline = mistakes(tmp_path, BASE.replace("{type: csv, path: users.csv}", source))
    named = mistakes(tmp_path, BASE + f"sources:\n  f: {source}\n")

    assert "`type: frame` is for programs" in " ".join(one.message for one in inline)
    assert "`type: frame` is for programs" in " ".join(one.message for one in named)


# --- variables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${V}", "v"),
        ("a ${V} b", "a v b"),
        ("${V}${V}", "vv"),
        ("${V:-x}", "v"),
        ("${NONE:-x}", "x"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${V}", "${V}"),
        ("a$${V}$${W}", "a${V}${W}"),
        ("$V", "$V"),
        ("$", "$"),
        ("$$", "$$"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", ""),
        ("${YAML}", "{sql: now()}\n- x: &a *b"),
        ("${NESTED}", "${V} and $${V}"),
        ("${NONE:-${V}", "${V"),
        ("${1A}", "${1A}"),
        ("${}", "${}"),
        ("${QUOTE}", "'\"\\"),
    ],
)
def test_variables_are_replaced_once_in_scalars(tmp_path, written, value):
    """A variable's value is text: it is neither parsed as YAML nor expanded again."""
    variables = {
        "KEY": KEY,
        "V": "v",
        "EMPTY": "",
        "YAML": "{sql: now()}\n- x: &a *b",
        "NESTED": "${V} and $${V}",
        "QUOTE": "'\"\\",
    }
    text = fields("{userId: {value: '%s'}}".replace("%s", written))

    assert load(tmp_path, text, variables).streams[0].fields.userId.value == value


def test_keys_and_comments_are_not_replaced(tmp_path):
    """Variables stand in values alone."""
    assert load(tmp_path, BASE + "# ${NONE}\n")
    found = mistakes(tmp_path, fields('{"${NAME}": id}'), {"KEY": KEY, "NAME": "userId"})

    assert "streams[0].fields.${NAME}" in [one.path for one in found]


def test_every_unset_variable_is_named(tmp_path):
    """All variables that are not set are told at once, each at its place."""
    found = mistakes(tmp_path, fields('{userId: "${A}", attributes: {x: "${B}"}}'), {})

    assert [one.message for one in found] == [f"the variable {name} is not set" for name in ("KEY", "A", "B")]


def test_a_number_may_come_from_a_variable(tmp_path):
    """Text that is a number serves where one is wanted, and is refused where it is none."""
    text = destination('{key: "${KEY}", chunk: {records: "${N}"}}')

    assert load(tmp_path, text, {"KEY": KEY, "N": "7"}).destination.chunk.records == 7
    assert at(mistakes(tmp_path, text, {"KEY": KEY, "N": "x"})) == [("destination.chunk.records", 2, 38)]


def test_a_variable_that_is_no_text_is_refused(tmp_path):
    """Bytes of the environment that are no UTF-8 cannot be sent."""
    (found,) = mistakes(tmp_path, fields('{userId: "${V}"}'), {"KEY": KEY, "V": "\udcff"})

    assert found.message == "the variable V is not UTF-8"


# --- the key -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        f'"{KEY}"',
        f'"${{KEY:-{KEY}}}"',
        '"${KEY}x"',
        '"x${KEY}"',
        '"${KEY}${KEY}"',
        '"$${KEY}"',
        f"[{KEY}]",
        f"{{a: {KEY}}}",
        "123456789",
        f"!foo {KEY}",
        f"!!str {KEY}",
        "true",
        f"&x {KEY}",
    ],
)
def test_a_literal_key_is_refused_and_never_shown(tmp_path, written):
    """A key that stands in the file has been seen by everybody; the message does not show it again."""
    found = mistakes(tmp_path, destination("{key: %s}".replace("%s", written)))

    assert REFUSED_KEY in [one.message for one in found]
    assert [one.path for one in found if one.message == REFUSED_KEY] == ["destination.key"]


@pytest.mark.parametrize(
    "text",
    [
        destination(f"{{kye: {KEY}}}"),
        destination(KEY),
        destination(f"[{KEY}]"),
        destination(f"{{key: *{KEY}}}"),
        destination(f"{{key: '{KEY}}}"),
        destination(f'{{key: "${{KEY}}", base_url: "https://user:{KEY}@front.bucket.co"}}'),
        destination(f'{{key: "${{KEY}}", base_url: "https://user:{KEY}"}}'),
        destination(f'{{key: "${{KEY}}", base_url: "https://[{KEY}]"}}'),
        destination(f'{{key: "${{KEY}}", base_url: "https://front.bucket.co?key={KEY}"}}'),
        destination(f'{{key: "${{KEY}}", base_url: "{KEY}"}}'),
        destination(f'{{key: "${{KEY}}", timeout: {KEY}}}'),
    ],
)
def test_a_key_in_the_wrong_place_is_never_shown(tmp_path, text):
    """Whatever a person does with the key, no message repeats it (`mistakes` checks that)."""
    assert mistakes(tmp_path, text)


@pytest.mark.parametrize(
    "key",
    [
        f"{KEY[:5]}\n{KEY[5:]}",
        f"{KEY[:5]} {KEY[5:]}",
        f"\u201c{KEY}\u201d",
        f"{KEY}\u00c9",
        "",
        "  ",
        "a\tb",
        f"{KEY}\u200b",
        f"{KEY}\x7f",
        f"{KEY[:4]}\0{KEY[4:]}",
    ],
)
def test_a_key_that_no_header_can_hold_is_refused(tmp_path, key):
    """A key with a line break, a blank, a curly quote or an É is refused, and the message does not show it."""
    (found,) = mistakes(tmp_path, BASE, {"KEY": key})

    assert found.message.startswith("the key ")
    assert not key.strip() or key.strip()[:5] not in found.message


@pytest.mark.parametrize("key", [f" {KEY}", f"{KEY}\n", f"\t{KEY}\r\n"])
def test_blanks_around_a_key_are_stripped(tmp_path, key):
    """A secret from a file ends in a line break."""
    assert load(tmp_path, BASE, {"KEY": key}).destination.key.get_secret_value() == KEY


def test_an_unset_key_is_told_without_a_hint_to_write_it(tmp_path):
    """The hint for a missing key does not invite to write one as a default."""
    (found,) = mistakes(tmp_path, BASE, {})

    assert found.message == "the variable KEY is not set"
    assert ":-" not in found.hint


def test_a_given_destination_needs_no_variable(tmp_path):
    """A rehearsal's host and key replace the file's, which are not read."""
    file = tmp_path / "pipeline.yaml"
    file.write_text(BASE)
    given = {"base_url": "http://127.0.0.1:9", "key": "sec_rehearsal"}

    assert load_pipeline(file, variables={}, destination=given).destination.key.get_secret_value() == "sec_rehearsal"
