"""Values from JSON and forms, whose types nobody can trust."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogate.task.errors import InvalidRequest
from videogate.vendorkit.values import as_bool, as_int, as_object, as_text, dig, is_empty, list_of, read_options, text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)
READERS = [as_bool, as_int, as_text, as_object, list_of(as_text), list_of(as_object)]


@given(JSON, st.lists(st.sampled_from(["a", "b", 0, 1]), max_size=4))
def test_dig_finds_or_gives_none(value: Any, path: list[str | int]) -> None:
    """No path through any value raises."""
    dig(value, *path)


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": [1, 2]}, ("a", 1), 2),
        ({"a": [1]}, ("a", 1), None),
        ({"a": None}, ("a", "b"), None),
        ([1], ("a",), None),
        (5, ("a",), None),
    ],
)
def test_dig(value: Any, path: tuple[str | int, ...], found: Any) -> None:
    """Keys and indexes lead to the value, a wrong turn to None."""
    assert dig(value, *path) == found


@pytest.mark.parametrize(
    ("value", "read"),
    [("a", "a"), (5, "5"), (1.5, "1.5"), (0, "0"), ("", None), (None, None), (True, None), ([], None), ({}, None)],
)
def test_text(value: Any, read: str | None) -> None:
    """Ids and codes come as texts and as numbers; nothing else is one."""
    assert text(value) == read


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (as_bool, True, True),
        (as_bool, " False ", False),
        (as_bool, "1", True),
        (as_bool, 0, False),
        (as_int, "5", 5),
        (as_int, 5.0, 5),
        (as_int, -3, -3),
        (as_text, "", ""),
        (list_of(as_text), "a", ["a"]),
        (list_of(as_text), ["a", "b"], ["a", "b"]),
        (list_of(as_text), ' ["a"]', ["a"]),
        (list_of(as_object), {"a": 1}, [{"a": 1}]),
        (list_of(as_object), '[{"a": 1}]', [{"a": 1}]),
    ],
)
def test_readers(read: Callable[[Any], Any], value: Any, expected: Any) -> None:
    """JSON's own types and the texts that forms have for them are read alike."""
    assert read(value) == expected


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (as_bool, "yes"),
        (as_bool, 2),
        (as_bool, None),
        (as_bool, []),
        (as_int, True),
        (as_int, 5.5),
        (as_int, "5.5"),
        (as_int, float("inf")),
        (as_int, float("nan")),
        (as_int, "9" * 5000),
        (as_int, [5]),
        (as_text, 5),
        (as_text, None),
        (as_object, [{}]),
        (list_of(as_text), [1]),
        (list_of(as_text), "[1]"),
        (list_of(as_text), "[oops"),
        (list_of(as_text), "[" * 100_000),
    ],
)
def test_readers_refuse(read: Callable[[Any], Any], value: Any) -> None:
    """Nothing is guessed: a number with a fraction is no whole number, a flag none at all."""
    with pytest.raises(ValueError, match="must be"):
        read(value)


@given(st.sampled_from(READERS), JSON)
def test_readers_raise_value_errors_only(read: Callable[[Any], Any], value: Any) -> None:
    """Whatever a caller sends ends in a value or in a ValueError."""
    try:
        read(value)
    except ValueError as error:
        assert str(error).startswith("must be")


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_empty_options_are_left_out(value: Any) -> None:
    """A null and an empty value ask for nothing."""
    assert is_empty(value)
    assert read_options({"flag": value}, {"flag": as_bool}) == {}


@pytest.mark.parametrize("value", [0, False, 0.0, "0", " ", [None], {"a": None}])
def test_values_that_say_something_are_not_empty(value: Any) -> None:
    """False and zero are answers."""
    assert not is_empty(value)


def test_read_options_names_the_option() -> None:
    """The caller reads which one is wrong and what it must be; options without a reader are not read."""
    assert read_options({"flag": "true", "other": 5}, {"flag": as_bool}) == {"flag": True}
    with pytest.raises(InvalidRequest, match=r"metadata\.flag must be true or false") as caught:
        read_options({"flag": "maybe"}, {"flag": as_bool})
    assert caught.value.param == "metadata.flag"
