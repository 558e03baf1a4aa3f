"""One reading of every body."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogate.task.errors import InvalidRequest
from videogate.wire.fields import DEEPEST, MOST_KEYS, Upload, from_json, from_pairs

FILE = Upload(BytesIO(b"bytes"))


@pytest.mark.parametrize(
    ("pairs", "tree"),
    [
        ([], {}),
        ([("prompt", "a")], {"prompt": "a"}),
        ([("metadata[a][b]", "1")], {"metadata": {"a": {"b": "1"}}}),
        ([("metadata[a]", "1"), ("metadata[b]", "2")], {"metadata": {"a": "1", "b": "2"}}),
        ([("images[]", "u1"), ("images[]", "u2")], {"images": ["u1", "u2"]}),
        ([("image", "u1"), ("image", "u2")], {"image": ["u1", "u2"]}),
        ([("image", "u1"), ("image", "u2"), ("image", "u3")], {"image": ["u1", "u2", "u3"]}),
        ([("images[]", "u1"), ("images", "u2")], {"images": ["u1", "u2"]}),
        ([("metadata[l][]", "1"), ("metadata[l][]", "2")], {"metadata": {"l": ["1", "2"]}}),
        ([("input_reference[]", FILE), ("input_reference[]", FILE)], {"input_reference": [FILE, FILE]}),
        ([("input_reference[image_url]", "u")], {"input_reference": {"image_url": "u"}}),
        ([("metadata", '{"a": {"b": 1}}')], {"metadata": {"a": {"b": 1}}}),
        ([("input_reference", ' {"image_url": "u"}')], {"input_reference": {"image_url": "u"}}),
        ([("images", '["u1", "u2"]')], {"images": ["u1", "u2"]}),
        ([("metadata", "")], {"metadata": ""}),
        ([("prompt", '{"not": "parsed"}')], {"prompt": '{"not": "parsed"}'}),
        ([("a[b][]", "1"), ("a[b][]", "2"), ("a[c]", "3")], {"a": {"b": ["1", "2"], "c": "3"}}),
        ([("提示", "值")], {"提示": "值"}),
    ],
)
def test_forms_nest(pairs: list[tuple[str, str | Upload]], tree: dict[str, Any]) -> None:
    """Brackets, repeated names and JSON text become one structure."""
    assert from_pairs(pairs) == tree


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ([("metadata[a][b]", "1")], {"metadata": {"a": {"b": "1"}}}),
        ([("metadata", '{"a": {"b": "1"}}')], {"metadata": {"a": {"b": "1"}}}),
        ([("metadata[a][b]", "1")], {"metadata": '{"a": {"b": "1"}}'}),
        ([("images[]", "u1"), ("images[]", "u2")], {"images": ["u1", "u2"]}),
        ([("input_reference[image_url]", "u")], {"input_reference": '{"image_url": "u"}'}),
    ],
)
def test_every_form_of_a_request_means_the_same(form: list[tuple[str, str | Upload]], body: dict[str, Any]) -> None:
    """A form and a JSON body that say the same are the same."""
    assert from_pairs(form) == from_json(json.dumps(body))


@pytest.mark.parametrize(
    ("body", "tree"),
    [
        ({"metadata[watermark]": "false", "prompt": "a"}, {"metadata": {"watermark": "false"}, "prompt": "a"}),
        ({"metadata[watermark]": False, "metadata[seed]": 7}, {"metadata": {"watermark": False, "seed": 7}}),
        ({"input_reference[image_url]": "u"}, {"input_reference": {"image_url": "u"}}),
        ({"video[id]": "video_1"}, {"video": {"id": "video_1"}}),
        ({"metadata[a]": {"b": [1]}, "metadata[c][d]": None}, {"metadata": {"a": {"b": [1]}, "c": {"d": None}}}),
        ({"images[]": ["u1", "u2"]}, {"images": ["u1", "u2"]}),
        ({"images[]": "u1"}, {"images": ["u1"]}),
        ({"images[]": []}, {}),
        ({"metadata[l][]": [1, 2]}, {"metadata": {"l": [1, 2]}}),
        ({"a": "[b]", "c": ["d[e]"], "f": {"g[h]": 1}}, {"a": "[b]", "c": ["d[e]"], "f": {"g[h]": 1}}),
    ],
)
def test_names_of_a_json_body_may_have_brackets(body: dict[str, Any], tree: dict[str, Any]) -> None:
    """They are read as those of a form, at the top alone; the values keep their types."""
    assert from_json(json.dumps(body)) == tree


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"metadata": {"a": 1}, "metadata[b]": 2}', "metadata"),
        ('{"metadata[b]": 2, "metadata": {"a": 1}}', "metadata"),
        ('{"metadata": null, "metadata[b]": 2}', "metadata"),
        ('{"images": ["u1"], "images[]": "u2"}', "images"),
        ('{"a[b]": {"c": 1}, "a[b][d]": 2}', "a"),
        ('{"a[b]": 1, "a[]": 2}', "a"),
        ('{"a[]": 1, "a[b]": 2}', "a"),
        ('{"a[": 1}', "a["),
        ('{"a]": 1}', "a]"),
        ('{"[a]": 1}', "[a]"),
        ('{"a[b]c": 1}', "a[b]c"),
        ('{"a%s": 1}' % ("[b]" * DEEPEST), "a"),
        ('{"a[b][c][d]": [[[[[[[1]]]]]]]}', "a"),
    ],
)
def test_brackets_that_contradict_are_refused(body: str, param: str) -> None:
    """A name that is given in two forms, or is none, is refused by name; in whichever order they come."""
    with pytest.raises(InvalidRequest) as caught:
        from_json(body)

    assert caught.value.param == param


@pytest.mark.parametrize("body", ['{"size": 1, "size": 2}', '{"metadata[size]": 1, "metadata[size]": 2}'])
def test_a_name_that_is_given_twice_is_named(body: str) -> None:
    """JSON repeats nothing, and whoever does reads what."""
    with pytest.raises(InvalidRequest, match=r"size\]? is given twice"):
        from_json(body)


@pytest.mark.parametrize(
    ("pairs", "param"),
    [
        ([("a", "1"), ("a[b]", "2")], "a"),
        ([("a[b]", "2"), ("a", "1")], "a"),
        ([("a[b]", "2"), ("a[]", "1")], "a"),
        ([("a[]", "2"), ("a[b]", "1")], "a"),
        ([("a", FILE), ("a[b]", "1")], "a"),
        ([("a[b]", "1"), ("a[b][c]", "2")], "a"),
        ([("a" + "[b]" * DEEPEST, "1")], "a"),
        ([("a[", "1")], "a["),
        ([("a]", "1")], "a]"),
        ([("[a]", "1")], "[a]"),
        ([("a[b]c", "1")], "a[b]c"),
        ([("a[[b]]", "1")], "a[[b]]"),
        ([("", "1")], ""),
        ([("metadata", "{half")], "metadata"),
        ([("metadata", '{"a": 1, "a": 2}')], "metadata"),
        ([("metadata", '{"a": NaN}')], "metadata"),
        ([("metadata", '{"a": -Infinity}')], "metadata"),
        ([("metadata", '{"a": 1e999}')], "metadata"),
        ([("metadata", "[" * 100_000)], "metadata"),
        ([("metadata", '{"a":' * 12 + "1" + "}" * 12)], "metadata"),
    ],
)
def test_contradictions_and_excess_are_refused(pairs: list[tuple[str, str | Upload]], param: str) -> None:
    """A form that means nothing, or too much, is refused with the field's name."""
    with pytest.raises(InvalidRequest) as caught:
        from_pairs(pairs)

    assert caught.value.param == param


def test_the_number_of_fields_is_bounded() -> None:
    """The last field that is allowed is taken, the next one refused."""
    assert len(from_pairs([(f"f{number}", "") for number in range(MOST_KEYS)])) == MOST_KEYS
    with pytest.raises(InvalidRequest):
        from_pairs([(f"f{number}", "") for number in range(MOST_KEYS + 1)])


def test_the_deepest_nesting_is_taken() -> None:
    """As many levels as are allowed are allowed, in brackets and in JSON."""
    keys = "abcdefgh"[:DEEPEST]
    tree: Any = "1"
    for key in reversed(keys):
        tree = {key: tree}

    assert from_pairs([(keys[0] + "".join(f"[{key}]" for key in keys[1:]), "1")]) == tree
    assert from_json(json.dumps(tree)) == tree


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"5",
        b"{'prompt': 'a'}",
        b'{"a": 1, "a": 1}',
        b'{"m": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -1e400}',
        b'{"a": "\xff\xfe"}',
        b"\xff\xfe{\x00",
        b'{"a": ' + b"[" * 50_000,
        b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1} trailing',
    ],
)
def test_bad_json_is_refused(body: bytes) -> None:
    """Whatever is no plain JSON object is refused; nothing else is raised."""
    with pytest.raises(InvalidRequest):
        from_json(body)


names = st.text("abcdefgh_", min_size=1, max_size=6)
leaves = st.text(max_size=10)
trees: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(leaves, min_size=1, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def flattened(path: str, value: Any) -> list[tuple[str, str | Upload]]:
    """A structure as the SDKs flatten one into a form."""
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in flattened(f"{path}[{key}]", each)]
    if isinstance(value, list):
        return [(f"{path}[]", each) for each in value]
    return [(path, value)]


@given(st.dictionaries(names, trees, max_size=4))
def test_a_form_reads_as_its_json(body: dict[str, Any]) -> None:
    """Flattening a structure as the SDKs do and reading the form gives the structure that JSON gives."""
    pairs = [pair for key, value in body.items() for pair in flattened(key, value)]
    lists = {key: [value for other, value in pairs if other == key] for key, _ in pairs if key.endswith("[]")}

    if len(pairs) <= MOST_KEYS and all(key.count("[") < DEEPEST for key, _ in pairs):
        assert from_pairs(pairs) == from_json(json.dumps(body))
        assert from_json(json.dumps({**dict(pairs), **lists})) == from_json(json.dumps(body))


@given(st.lists(st.tuples(st.text("ab[]", max_size=12), st.text(max_size=3)), max_size=8))
def test_no_form_breaks_the_reader(pairs: list[tuple[str, str | Upload]]) -> None:
    """Any names at all are read or refused."""
    try:
        from_pairs(pairs)
    except InvalidRequest as error:
        assert error.message


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_bytes_break_the_json_reader(body: bytes | str) -> None:
    """Any bytes at all are read or refused."""
    try:
        from_json(body)
    except InvalidRequest as error:
        assert error.message
