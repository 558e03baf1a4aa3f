"""Forms of plain texts: what the quick reading takes, the general parser reads alike."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from videogate.wire.forms import boundary, texts

LINE = b"--b"
SIMPLE = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nA cat\r\n--b--\r\n'

# Pieces of bodies, good and bad; hypothesis puts them together in every way.
PIECES = [
    *(b"--b", b"\r\n", b"\n", b"--", b"--b--", b"--b--\r\n", b"\r\n\r\n", b" ", b"x", "é".encode(), b"\xff", b"\0"),
    *(b'Content-Disposition: form-data; name="a"', b'content-disposition: form-data; name="b[c]"', b"; filename=x"),
    *(b"Content-Type: text/plain", b'--b\r\nContent-Disposition: form-data; name="d"\r\n\r\n', b"\r\n--b\r\n"),
]


def general(body: bytes) -> list[tuple[str, object]] | None:
    """What Starlette's parser makes of a body; None if it refuses it."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(Headers({"content-type": "multipart/form-data; boundary=b"}), stream())
    try:
        return asyncio.run(parser.parse()).multi_items()  # type: ignore[return-value]
    except (MultiPartException, UnicodeDecodeError):
        return None


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_whatever_the_quick_reading_takes_the_general_parser_reads_alike(body: bytes) -> None:
    """A form has one meaning, whichever way it is read."""
    found = texts(body, b"b", 64)
    assert found is None or found == general(body)


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_.\[\]-]{1,20}", fullmatch=True), st.text(max_size=50), min_size=1))
def test_a_form_of_texts_is_read_at_one_go(fields: dict[str, str]) -> None:
    """What an SDK sends for a form without files is understood, to the letter."""
    parts = [
        f'--xyz123\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()
    ]
    body = "".join([*parts, "--xyz123--\r\n"]).encode("utf-8", "replace")
    expected = {key: text.encode("utf-8", "replace").decode() for key, text in fields.items()}
    assert dict(texts(body, b"xyz123", 64) or []) == expected


@pytest.mark.parametrize(
    "body",
    {
        "file": SIMPLE.replace(b'"prompt"', b'"prompt"; filename="a.txt"'),
        "type": SIMPLE.replace(b'"prompt"\r\n', b'"prompt"\r\nContent-Type: text/plain\r\n'),
        "quoted name": SIMPLE.replace(b"prompt", b'pro\\"mpt'),
        "broken off": SIMPLE.removesuffix(b"--b--\r\n"),
        "cut in a value": SIMPLE[:60],
        "preamble": b"hello\r\n" + SIMPLE,
        "epilogue": SIMPLE + b"hello",
        "boundary in a value": SIMPLE.replace(b"A cat", b"A --b cat"),
        "not utf-8": SIMPLE.replace(b"A cat", b"\xff"),
        "nothing": b"",
        "no field": b"--b--\r\n",
    }.items(),
    ids=lambda body: body[0],
)
def test_every_other_form_is_left_to_the_general_parser(body: tuple[str, bytes]) -> None:
    """A form with files, types or flaws is read and refused as ever."""
    assert texts(body[1], b"b", 64) is None


def test_more_fields_than_allowed_are_left_to_the_general_parser() -> None:
    """The limit on fields holds for the quick reading, too."""
    part = SIMPLE.removesuffix(b"--b--\r\n")
    assert len(texts(part * 3 + b"--b--\r\n", b"b", 3) or []) == 3
    assert texts(part * 4 + b"--b--\r\n", b"b", 3) is None


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("multipart/form-data; boundary=b", b"b"),
        ('multipart/form-data; boundary="b"', b"b"),
        (
            "Multipart/Form-Data;boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        ('multipart/form-data; boundary="b', None),
        ("multipart/form-data; boundary=b; charset=latin-1", None),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=b", None),
    ],
)
def test_only_a_boundary_in_the_usual_form_is_read(content_type: str, found: bytes | None) -> None:
    """A content type with anything unusual takes the general way."""
    assert boundary(content_type) == found
