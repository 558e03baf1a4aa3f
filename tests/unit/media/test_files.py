"""Pictures, the input spool, probing, receiving."""

import errno
import io
import os
import struct
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.engine.support import film
from unit.media.support import png
from videogate.media import inputs
from videogate.media.fetch import SafeFetcher
from videogate.media.inputs import InputSpool, decode_data_url
from videogate.media.intake import BLOCK, receive
from videogate.media.pictures import identify
from videogate.media.probe import Film, NotAFilm, probe
from videogate.task.errors import Busy, InvalidRequest, Unavailable
from videogate.task.frames import Frame
from videogate.task.model import Picture, Role

WIDTH, HEIGHT = 64, 48


def encoded(codec: str, pixels: str, container: str = "image2pipe") -> bytes:
    """One picture as FFmpeg writes it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        out.mux(stream.encode(av.VideoFrame(WIDTH, HEIGHT, pixels)))
        out.mux(stream.encode())
    return buffer.getvalue()


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


LOSSY = webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", WIDTH | 0x4000, HEIGHT) + bytes(20))
LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", (WIDTH - 1) | (HEIGHT - 1) << 14 | 1 << 28) + bytes(20))
EXTENDED = webp(b"VP8X", bytes(4) + (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little") + bytes(20))
JPEG = encoded("mjpeg", "yuvj420p")
PICTURES = {
    "png": (png(WIDTH, HEIGHT), "image/png"),
    "png of ffmpeg": (encoded("png", "rgb24"), "image/png"),
    "jpeg": (JPEG, "image/jpeg"),
    "jpeg with fill bytes": (JPEG[:2] + b"\xff\xff\xff" + JPEG[2:], "image/jpeg"),
    "jpeg with a long comment": (JPEG[:2] + b"\xff\xfe\x40\x02" + bytes(0x4000) + JPEG[2:], "image/jpeg"),
    "webp lossy": (LOSSY, "image/webp"),
    "webp lossless": (LOSSLESS, "image/webp"),
    "webp extended": (EXTENDED, "image/webp"),
    "bmp": (encoded("bmp", "bgr24"), "image/bmp"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_known_by_their_bytes(name: str) -> None:
    """Type and size come from the file itself."""
    content, mime = PICTURES[name]

    assert identify(content) == (mime, Frame(WIDTH, HEIGHT))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"<html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + b"\x40\0\x30\0" + bytes(50),
        b"%PDF-1.7",
        film(),
        png(WIDTH, HEIGHT)[:20],
        png(WIDTH, HEIGHT).replace(b"\0\0\0\x40", b"\0\0\0\0", 1),
        JPEG[:20],
        b"\xff\xd8\xff\xd9" + bytes(40),
        b"\xff\xd8" + JPEG[4:],
        webp(b"VP9 ", bytes(40)),
        b"RIFF....WEBP",
        *(content[:cut] for content in (LOSSY, LOSSLESS, EXTENDED) for cut in (16, 20, 24)),
    ],
)
def test_rubbish_is_no_picture(content: bytes) -> None:
    """What is none of the four kinds, or breaks off before its size, is refused with the field's name."""
    with pytest.raises(InvalidRequest) as caught:
        identify(content, "last_frame")

    assert caught.value.param == "last_frame"


@given(st.sampled_from(sorted(PICTURES)), st.integers(0, 200), st.binary(max_size=40))
def test_no_bytes_break_the_reader(name: str, cut: int, tail: bytes) -> None:
    """Any beginning of a picture with any end is known or refused."""
    try:
        _, frame = identify(PICTURES[name][0][:cut] + tail)
    except InvalidRequest:
        return
    assert frame.width > 0
    assert frame.height > 0


# The input spool.


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[InputSpool]:
    fetcher = SafeFetcher()
    yield InputSpool(tmp_path / "inputs", fetcher)
    await fetcher.close()


def data_url(content: bytes, head: str = "data:image/png;base64,") -> str:
    return head + b64encode(content).decode()


async def test_an_upload_is_kept_under_a_name_of_ours(spool: InputSpool, tmp_path: Path) -> None:
    """What is stored is the file as sent; its facts come from its bytes; dropping removes it."""
    content = png(WIDTH, HEIGHT)
    picture = await spool.store(Role.FIRST_FRAME, content, "input_reference")

    assert picture.key is not None
    assert (tmp_path / "inputs" / picture.key).read_bytes() == content
    assert (picture.mime, picture.frame, picture.length) == ("image/png", Frame(WIDTH, HEIGHT), len(content))
    assert picture.sha256 == sha256(content).hexdigest()
    link, mime, read = await spool.ready(picture, as_link=True)
    assert (link, mime) == (None, "image/png")
    assert read is not None
    assert read() == content
    await spool.drop([picture, picture, Picture(Role.REFERENCE, url="https://a.test")])
    assert list((tmp_path / "inputs").iterdir()) == []


@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64,",
        "data:;base64,",
        "data:image/jpeg;base64,",
        "data:image/png;charset=utf-8;base64,",
        "data:application/octet-stream;base64,",
    ],
)
async def test_a_data_url_becomes_a_file(spool: InputSpool, head: str) -> None:
    """Its bytes say what it is, whatever its label says; line breaks in it do no harm."""
    url = data_url(png(WIDTH, HEIGHT), head)
    taken = await spool.take(Picture(Role.REFERENCE, url=url[:60] + "\r\n " + url[60:]), "image_url")

    assert (taken.mime, taken.url, taken.frame) == ("image/png", None, Frame(WIDTH, HEIGHT))


@pytest.mark.parametrize("url", ["https://a.test/x.png", "http://a.test/x.png", "oss://bucket/x.png"])
async def test_a_link_stays_a_link(spool: InputSpool, url: str) -> None:
    """Links go to the vendor as they are; nothing is fetched."""
    picture = Picture(Role.REFERENCE, url=url)

    assert await spool.take(picture, "image_url") == picture
    assert await spool.ready(picture, as_link=True) == (url, None, None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cat.png",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://",
        "https:///x",
        "ftp://a.test/x.png",
        "javascript:alert(1)",
        "data:",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,AAA",
        "data:image/png;base64,AAAA",
        "data:image/png;base64,\u4e00",
        "data:image/png,hello",
        "data:image/png,\ud800",
        "data:im age/png;base64,AAAA",
    ],
)
async def test_other_texts_are_refused(spool: InputSpool, tmp_path: Path, url: str) -> None:
    """A text that is neither a link nor a picture is refused with the field's name, and leaves no file."""
    with pytest.raises(InvalidRequest) as caught:
        await spool.take(Picture(Role.REFERENCE, url=url), "image_url")

    assert caught.value.param == "image_url"
    assert list((tmp_path / "inputs").iterdir()) == []


@given(st.text(max_size=60))
def test_no_text_breaks_the_data_url_reader(text: str) -> None:
    """Any text is decoded or refused."""
    try:
        decode_data_url("data:" + text, "image_url")
    except InvalidRequest as error:
        assert error.param == "image_url"


async def test_a_picture_that_is_too_large_is_refused(spool: InputSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than allowed is refused, whether it comes as a file or a data URL."""
    content = png(WIDTH, HEIGHT)
    monkeypatch.setattr(inputs, "PICTURE_BYTES", len(content))
    await spool.store(Role.REFERENCE, content, "image")
    with pytest.raises(InvalidRequest, match="larger"):
        await spool.store(Role.REFERENCE, content + b"\0", "image")
    with pytest.raises(InvalidRequest, match="larger"):
        await spool.take(Picture(Role.REFERENCE, url=data_url(content + b"\0")), "image")


async def test_a_disk_without_room_keeps_nothing(
    spool: InputSpool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that the disk does not take is the server's trouble, not the caller's, and leaves no file."""

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Busy):
        await spool.store(Role.FIRST_FRAME, png(8, 8), "image")

    assert list((tmp_path / "inputs").iterdir()) == []


async def test_sweeping_leaves_what_is_needed(spool: InputSpool, tmp_path: Path) -> None:
    """After a crash only the files that some task still needs stay."""
    kept, left = [await spool.store(Role.REFERENCE, png(WIDTH, HEIGHT), "image") for _ in range(2)]

    assert spool.sweep({str(kept.key)}) == 1
    assert [path.name for path in (tmp_path / "inputs").iterdir()] == [kept.key]
    assert left.key != kept.key


# Probing.


def test_a_film_is_probed(tmp_path: Path) -> None:
    """The size and length of a real MP4 are read."""
    path = tmp_path / "film.mp4"
    path.write_bytes(film(WIDTH, HEIGHT, 3))

    found = probe(path)
    assert found.frame == Frame(WIDTH, HEIGHT)
    assert found.seconds == pytest.approx(3, abs=0.2)
    assert found.seconds_text == "3"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.0, "4"), (5.04, "5"), (4.96, "5"), (4.5, "4.5"), (0.4, "0.4"), (0.05, "0.1"), (12.3, "12.3")],
)
def test_lengths_read_as_callers_expect(seconds: float, text: str) -> None:
    """A length within a frame or two of a whole number is that number."""
    assert Film(Frame(1, 1), seconds).seconds_text == text


MP4 = film()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"<html>" * 100,
        b'{"error": {"message": "expired"}}' * 20,
        png(WIDTH, HEIGHT) * 3,
        MP4[:100],
        MP4[:255],
        MP4[: len(MP4) // 2],
        MP4[: len(MP4) - 200],
        MP4[:32] + os.urandom(2000),
        MP4[:12] + bytes(2000),
    ],
    ids=["nothing", "a word", "a page", "an error", "pictures", "100", "255", "half", "most", "noise", "zeros"],
)
def test_what_is_no_film_is_told(tmp_path: Path, content: bytes) -> None:
    """Pages, JSON, pictures and films that break off are no films; nothing but NotAFilm is raised."""
    path = tmp_path / "film.mp4"
    path.write_bytes(content)

    with pytest.raises(NotAFilm):
        probe(path)


def test_a_film_that_begins_with_its_index_may_break_off_too(tmp_path: Path) -> None:
    """A film made for streaming is readable from its first bytes on; its missing end is noticed all the same."""
    whole, part = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    with av.open(io.BytesIO(MP4), "r") as source, av.open(str(whole), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    content = whole.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    part.write_bytes(content[:-1])

    assert probe(whole).frame == Frame(WIDTH, HEIGHT)
    with pytest.raises(NotAFilm, match="breaks off"):
        probe(part)


def test_a_film_without_pictures_is_none(tmp_path: Path) -> None:
    """An MP4 that only has sound is no video."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame("fltp", "mono", 1024)
        frame.sample_rate = 48_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode())

    with pytest.raises(NotAFilm):
        probe(path)


# Receiving and keeping.


@dataclass
class Stream:
    """A download of `count` pieces; after the last one, `error` instead of the end."""

    piece: bytes
    count: int
    folder: Path
    error: BaseException | None = None
    length: int | None = None
    mime: str = "video/mp4"
    behind: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        for number in range(self.count):
            yield self.piece
            given = (number + 1) * len(self.piece)
            written = sum(path.stat().st_size for path in self.folder.iterdir())
            self.behind = max(self.behind, given - written)
        if self.error is not None:
            raise self.error


async def test_a_download_is_written_as_it_comes(tmp_path: Path) -> None:
    """Never more than a block and a piece of a download is in memory, and its length and digest are right."""
    stream = Stream(os.urandom(256 * 1024), 20, tmp_path)

    received = await receive(stream, tmp_path, "video_1-3")

    assert stream.behind <= BLOCK
    content = stream.piece * stream.count
    assert received.path.read_bytes() == content
    assert (received.length, received.sha256) == (len(content), sha256(content).hexdigest())


async def test_a_download_replaces_an_older_part(tmp_path: Path) -> None:
    """What an earlier try left is not taken for a beginning."""
    (tmp_path / "video_1.part").write_bytes(b"old")

    received = await receive(Stream(b"new", 1, tmp_path), tmp_path, "video_1")

    assert received.path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [Unavailable("broke off"), OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("count", [0, 1, 8])
async def test_a_broken_download_leaves_no_part(tmp_path: Path, error: BaseException, count: int) -> None:
    """Whatever ends a download early, its part is removed."""
    with pytest.raises(type(error)):
        await receive(Stream(bytes(BLOCK // 2), count, tmp_path, error), tmp_path, "video_1")

    assert list(tmp_path.iterdir()) == []
