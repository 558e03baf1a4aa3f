"""The headers by which a request is repeated."""

import pytest

from videogate.task.errors import InvalidRequest
from videogate.task.model import Repeat
from videogate.wire.repeat import read_repeat


@pytest.mark.parametrize(
    ("headers", "repeat"),
    [
        ({}, Repeat()),
        ({"idempotency-key": "order 7/a~"}, Repeat("order 7/a~")),
        ({"idempotency-key": " padded "}, Repeat("padded")),
        ({"idempotency-key": "k" * 255}, Repeat("k" * 255)),
        ({"x-stainless-retry-count": "0"}, Repeat()),
        ({"x-stainless-retry-count": "2", "idempotency-key": "k"}, Repeat("k", 2)),
    ],
)
def test_what_is_read(headers: dict[str, str], repeat: Repeat) -> None:
    """A key is kept as it is, a count as a number, and neither has to be there."""
    assert read_repeat(headers) == repeat


@pytest.mark.parametrize("count", ["", "-1", "+1", "1.0", "one", "٣", "1 2", "9" * 5000])
def test_what_is_no_count_is_a_first_try(count: str) -> None:
    """Nobody's request fails for a strange count."""
    assert read_repeat({"x-stainless-retry-count": count}).tries == 0


@pytest.mark.parametrize("key", ["", "   ", "k" * 256, "schlüssel", "a\tb", "a\x7fb"])
def test_what_is_no_key_is_refused(key: str) -> None:
    """The caller relies on a key that it sends, so one that cannot be kept is an error that names the header."""
    with pytest.raises(InvalidRequest, match="1 to 255") as caught:
        read_repeat({"idempotency-key": key})

    assert caught.value.param == "Idempotency-Key"
