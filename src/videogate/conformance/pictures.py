"""Create forms of a reference picture: a file, brackets, an object, a text."""

import struct
import zlib
from base64 import b64encode

from videogate.conformance.check import Check
from videogate.conformance.findings import envelope, taken_or_named
from videogate.conformance.session import Session

FIELD = "input_reference"
NO_PICTURE = b"this is no picture"
IGNORED = "Whoever pays: a server that does not read the picture makes another film, and says nothing."


def picture(size: str) -> bytes:
    """A PNG of one colour in the videos' own size, which OpenAI asks of a reference."""
    sides = [int(side) for side in size.split("x") if side.isdigit()]
    width, height = sides if len(sides) == 2 else (720, 1280)  # noqa: PLR2004 (a width and a height)
    rows = (b"\0" + b"\x20\x60\xa0" * width) * height
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _url(content: bytes) -> str:
    """A picture as a data URL."""
    return "data:image/png;base64," + b64encode(content).decode()


def _file(session: Session) -> None:
    part = ("kite.png", picture(session.target.size), "image/png")
    taken_or_named(session.create(files=session.form("file", **{FIELD: part})), FIELD)


def _unnamed(session: Session) -> None:
    part = ("upload", picture(session.target.size), "application/octet-stream")
    taken_or_named(session.create(files=session.form("unnamed", **{FIELD: part})), FIELD)


def _file_list(session: Session) -> None:
    part = ("kite.png", picture(session.target.size), "image/png")
    taken_or_named(session.create(files=session.form("file-list", **{f"{FIELD}[]": part})), FIELD)


def _brackets(session: Session) -> None:
    form = session.form("brackets", **{f"{FIELD}[image_url]": _url(picture(session.target.size))})
    taken_or_named(session.create(files=form), FIELD)


def _json_object(session: Session) -> None:
    fields = session.fields("object", **{FIELD: {"image_url": _url(picture(session.target.size))}})
    taken_or_named(session.create(json=fields), FIELD)


def _json_text(session: Session) -> None:
    taken_or_named(session.create(json=session.fields("text", **{FIELD: _url(picture(session.target.size))})), FIELD)


def _file_read(session: Session) -> None:
    part = ("kite.png", NO_PICTURE, "image/png")
    envelope(session.create(files=session.form("no-picture", **{FIELD: part})), 400, param=FIELD)


def _brackets_read(session: Session) -> None:
    form = session.form("no-picture", **{f"{FIELD}[image_url]": _url(NO_PICTURE)})
    envelope(session.create(files=form), 400, param=FIELD)


def _object_read(session: Session) -> None:
    fields = session.fields("no-picture", **{FIELD: {"image_url": _url(NO_PICTURE)}})
    envelope(session.create(json=fields), 400, param=FIELD)


CHECKS = (
    Check(
        "create.file",
        "A picture as a file part is taken, or a 400 names `input_reference`.",
        "The reference; OpenAI's SDKs, given a path.",
        _file,
        videos=1,
    ),
    Check(
        "create.file-unnamed",
        "A picture is known by its bytes where its part says `application/octet-stream`.",
        "OpenAI's SDKs, given bytes.",
        _unnamed,
        must=False,
        videos=1,
    ),
    Check(
        "create.file-list",
        "`input_reference[]` is a list of files.",
        "OpenAI's Python SDK, given a list.",
        _file_list,
        must=False,
        videos=1,
    ),
    Check(
        "create.brackets",
        "`input_reference[image_url]` in a form is an object: a data URL is taken, or a 400 names the field.",
        "OpenAI's Node SDK writes nested fields so.",
        _brackets,
        videos=1,
    ),
    Check(
        "create.json-object",
        "`input_reference` as a JSON object with `image_url` is taken, or a 400 names the field.",
        "The reference; LobeHub.",
        _json_object,
        videos=1,
    ),
    Check(
        "create.json-string",
        "`input_reference` as a JSON string is taken, or a 400 names the field.",
        "new-api and its clients.",
        _json_text,
        must=False,
        videos=1,
    ),
    *(
        Check(f"create.{form}-read", claim, IGNORED, look, must=False, surplus=1)
        for form, claim, look in (
            ("file", "A file that is no picture is a 400 that names `input_reference`.", _file_read),
            (
                "brackets",
                "`input_reference[image_url]` that is no picture is a 400 that names the field.",
                _brackets_read,
            ),
            ("json-object", "A JSON `image_url` that is no picture is a 400 that names the field.", _object_read),
        )
    ),
)
