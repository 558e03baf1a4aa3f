"""Stills and sheets of stills, made of real films."""

import io
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore

from unit.media.support import png
from videogate.media import renditions
from videogate.media.pictures import identify
from videogate.media.probe import NotAFilm
from videogate.media.renditions import FORMS, Rendition, Seekable, render
from videogate.simulator.films import LOOP, RATE, Films
from videogate.task.frames import Frame

# Of the encoders that make the films.
QUALITY = {
    "mpeg4": {"qmin": "2", "qmax": "3"},
    "mjpeg": {"strict": "unofficial"},
    "libx264": {"sc_threshold": "0"},  # keyframes where they are due, and nowhere else
}
STILL, SHEET = Rendition.THUMBNAIL, Rendition.SPRITESHEET
WIDTH, HEIGHT = 64, 48
Rows = list[bytes]


def picture(light: int, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    """A frame of this brightness, black in its upper left quarter."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (light, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    step = frame.planes[0].line_size
    black, plain = b"\x10" * (width // 2) + bytes([light]) * (step - width // 2), bytes([light]) * step
    frame.planes[0].update(black * (height // 2) + plain * (height - height // 2))
    return frame


def noise(width: int, height: int) -> av.VideoFrame:
    """A frame that no encoder makes small."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(os.urandom(plane.buffer_size))
    return frame


def film(
    *frames: av.VideoFrame,
    codec: str = "mpeg4",
    kind: str = "mp4",
    flags: str = "",
    keyframes: int = 12,
    turn: int = 0,
    full: bool = False,
    space: int = 2,
) -> bytes:
    """A film of these frames, turned by `turn`, in the full range of brightness if `full`, of a colour space."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"  # FFmpeg opens it twice to move the index
        with av.open(str(path), "w", format=kind, options={"movflags": flags} if flags else {}) as container:
            stream: Any = container.add_stream(codec, rate=10, options=QUALITY.get(codec, {}))
            stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
            stream.gop_size = keyframes
            stream.codec_context.color_range, stream.codec_context.colorspace = 2 if full else 1, space
            if turn:
                stream.set_display_rotation(turn)
            for number, frame in enumerate(frames):
                frame.pts, frame.time_base = number, Fraction(1, 10)
                frame.color_range, frame.colorspace = 2 if full else 1, space
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def rising(count: int, **how: Any) -> bytes:
    """A film whose frames grow brighter, evenly."""
    return film(*(picture(40 + 180 * number // max(1, count - 1)) for number in range(count)), **how)


def seen(content: bytes) -> Rows:
    """The brightness of a picture's pixels, as a decoder shows them."""
    with av.open(io.BytesIO(content), "r") as container:
        frame = next(container.decode(video=0)).reformat(format="gray")
    light = bytes(frame.planes[0])
    return [light[at : at + frame.width] for at in range(0, len(light), frame.planes[0].line_size)]


def tiles(content: bytes, side: int) -> list[Rows]:
    """The tiles of a sheet, in the order that the module's docstring gives."""
    rows = seen(content)
    width, height = len(rows[0]) // side, len(rows) // side
    return [
        [row[x * width : (x + 1) * width] for row in rows[y * height : (y + 1) * height]]
        for y in range(side)
        for x in range(side)
    ]


def corner(rows: Rows, down: float = 0.75, across: float = 0.75) -> int:
    """The brightness in the middle of a picture's quarter, the lower right one unless told."""
    return rows[int(len(rows) * down)][int(len(rows[0]) * across)]


def lowest_handle() -> int:
    """The number that the next opened file gets: the same as before if all was closed."""
    handle = os.open(os.devnull, os.O_RDONLY)
    os.close(handle)
    return handle


def spliced(*parts: tuple[int, int]) -> bytes:
    """A film that changes its size on the way, by frames of these sizes, ten of each."""
    buffer = io.BytesIO()
    packets: list[Any] = []
    for width, height in parts:
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.options = Fraction(1, 10), {"preset": "ultrafast"}
        for number in range(10):
            frame = picture(100 + 10 * number, width, height)
            frame.pts = number
            packets += encoder.encode(frame)
        packets += encoder.encode()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *parts[0], "yuv420p"
        for number, made in enumerate(packets):
            packet = av.Packet(bytes(made))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), made.is_keyframe
            packet.pts = packet.dts = number
            packet.duration = 1
            container.mux(packet)
    return buffer.getvalue()


MP4 = rising(100)


@pytest.fixture
def films() -> Iterator[Films]:
    made = Films()
    yield made
    made.close()


# What is made.


def test_every_rendition_has_its_form() -> None:
    """The words are OpenAI's, and each has a media type and a suffix."""
    assert {word: FORMS[Rendition(word)].suffix for word in ("thumbnail", "spritesheet")} == {
        "thumbnail": ".webp",
        "spritesheet": ".jpg",
    }
    assert set(FORMS) == set(Rendition)


@pytest.mark.parametrize(
    ("size", "still", "sheet"),
    [
        ((1280, 720), (640, 360), (1600, 900)),
        ((720, 1280), (360, 640), (900, 1600)),
        ((1024, 1024), (640, 640), (1600, 1600)),
        ((480, 270), (480, 270), (1600, 900)),
        ((16, 16), (16, 16), (80, 80)),
        ((2048, 16), (640, 4), (1600, 10)),
    ],
)
async def test_pictures_are_small_and_keep_the_shape(
    films: Films, size: tuple[int, int], still: tuple[int, int], sheet: tuple[int, int]
) -> None:
    """A still is 640 pixels long and a tile 320, lying or standing, but never larger than the film; both show it."""
    path = await films.get(*size, 4, "a")

    made = {rendition: render(str(path), rendition) for rendition in Rendition}

    assert identify(made[STILL]) == ("image/webp", Frame(*still))
    assert identify(made[SHEET]) == ("image/jpeg", Frame(*sheet))
    for rendition, content in made.items():
        assert identify(content)[0] == FORMS[rendition].mime
        light = b"".join(seen(content))
        assert max(light) - min(light) > 60
        assert min(light) > 40  # no black place anywhere


@pytest.mark.parametrize("seconds", [4, 10])
async def test_a_sheet_shows_the_whole_length(films: Films, seconds: int) -> None:
    """Tile `i` of 25 shows the frame at `i / 24` of the length, from the first to the last."""
    path = await films.get(320, 180, seconds, "a")

    for number, tile in enumerate(tiles(render(str(path), SHEET), 5)):
        bar = next(x for x, light in enumerate(tile[90]) if light > 160)
        off = bar / 320 * LOOP - number * (seconds * RATE - 1) / 24
        assert abs((off + LOOP / 2) % LOOP - LOOP / 2) < 0.7  # frames, of which half a frame is due to rounding


@pytest.mark.parametrize(
    ("frames", "side"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 2), (9, 3), (15, 3), (16, 4), (24, 4), (25, 5), (30, 5)]
)
def test_a_short_film_fills_a_smaller_sheet(frames: int, side: int) -> None:
    """The sheet is the largest square that the film's frames fill; each tile shows a later frame than the last one."""
    content = render(io.BytesIO(rising(frames)), SHEET)

    assert identify(content)[1] == Frame(WIDTH * side, HEIGHT * side)
    lights = [corner(tile) for tile in tiles(content, side)]
    assert lights == sorted(set(lights))
    assert lights[0] == pytest.approx((40 - 16) * 255 / 219, abs=4)
    if side > 1:
        assert lights[-1] == pytest.approx((220 - 16) * 255 / 219, abs=4)


@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov", "frag_keyframe"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_films_of_other_makers_are_read(flags: str, codec: str) -> None:
    """Whole and fragmented files, with or without frames out of order: the tiles grow brighter as the film does."""
    content = rising(50, codec=codec, flags=flags)

    lights = [corner(tile) for tile in tiles(render(io.BytesIO(content), SHEET), 5)]

    assert lights == sorted(lights)
    assert lights[0] < 50
    assert lights[-1] > 210
    assert identify(render(io.BytesIO(content), STILL))[1] == Frame(WIDTH, HEIGHT)


def test_a_title_in_another_alphabet_is_no_obstacle() -> None:
    """Words in the file that are no UTF-8 are not what the pictures are made of."""
    content = MP4.replace(b"Lavf", b"\xff\xfe\xff\xfe")

    assert content != MP4
    assert render(io.BytesIO(content), STILL) == render(io.BytesIO(MP4), STILL)


@pytest.mark.parametrize(("turn", "down", "across"), [(90, 0.75, 0.25), (-90, 0.25, 0.75), (180, 0.75, 0.75)])
def test_turned_films_stand_upright(turn: int, down: float, across: float) -> None:
    """A film that asks to be turned by quarters, counter-clockwise, is: its black upper left quarter moves."""
    content = film(*(picture(180) for _ in range(25)), turn=turn)

    still, sheet = render(io.BytesIO(content), STILL), render(io.BytesIO(content), SHEET)

    size = Frame(WIDTH, HEIGHT) if turn == 180 else Frame(HEIGHT, WIDTH)
    assert (identify(still)[1], identify(sheet)[1]) == (size, Frame(size.width * 5, size.height * 5))
    for rows in (seen(still), *tiles(sheet, 5)):
        places = {(y, x): corner(rows, y, x) for y in (0.25, 0.75) for x in (0.25, 0.75)}
        assert min(places, key=places.__getitem__) == (down, across)


@pytest.mark.parametrize("full", [False, True])
def test_brightness_is_kept(full: bool) -> None:
    """Pictures are as bright as the film, whether that counts from 16 to 235 or from 0 to 255."""
    content = film(*(picture(200) for _ in range(25)), codec="libx264", full=full)

    still, sheet = seen(render(io.BytesIO(content), STILL)), seen(render(io.BytesIO(content), SHEET))

    light = 200 if full else (200 - 16) * 255 / 219
    assert corner(still) == pytest.approx(light, abs=3)
    assert corner(sheet) == pytest.approx(light, abs=3)


@pytest.mark.parametrize(("space", "red", "green"), [(1, 214, 101), (5, 204, 94)])
def test_colours_are_kept(space: int, red: int, green: int) -> None:
    """Pictures have the film's colours, whichever of the two usual ways (HD, SD) these are written in."""
    frames = [av.VideoFrame(WIDTH, HEIGHT, "yuv420p") for _ in range(25)]
    for frame in frames:
        for plane, value in zip(frame.planes, (120, 90, 180), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
    content = film(*frames, codec="libx264", space=space)

    for rendition in Rendition:
        with av.open(io.BytesIO(render(io.BytesIO(content), rendition)), "r") as container:
            pixel = bytes(next(container.decode(video=0)).reformat(format="rgb24").planes[0])[:2]
        assert list(pixel) == pytest.approx([red, green], abs=4)


def test_a_still_shows_something() -> None:
    """A film that begins black is shown by a later frame."""
    content = film(*(picture(16) for _ in range(25)), *(picture(200) for _ in range(75)))

    assert corner(seen(render(io.BytesIO(content), STILL))) > 180


def test_a_dim_film_is_shown_by_its_best_frame() -> None:
    """Where no frame shows much, the one that shows most is taken; where none shows anything, there is a still too."""
    dim = film(*(picture(16 + min(number, 99 - number) // 4) for number in range(100)))
    black = film(*(picture(16) for _ in range(10)))

    assert corner(seen(render(io.BytesIO(dim), STILL))) >= 10
    assert max(map(max, seen(render(io.BytesIO(black), STILL)))) <= 4


def test_pictures_of_noise_are_no_large_files() -> None:
    """The largest and busiest sheet has less than 4 MB, and a still less than 1 MB."""
    content = film(*(noise(640, 640) for _ in range(25)))

    assert 100_000 < len(render(io.BytesIO(content), SHEET)) < 4_000_000
    assert 50_000 < len(render(io.BytesIO(content), STILL)) < 1_000_000


# Where it is read from.


class Watched(io.BytesIO):
    """A file that counts what is read of it."""

    count = largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.count, self.largest = self.count + len(content), max(self.largest, len(content))
        return content


@pytest.mark.parametrize("keyframes", [10, 1_000])
def test_a_film_is_not_read_whole(keyframes: int) -> None:
    """A still costs the film's index and the way to its tenth part, in small pieces."""
    file = Watched(film(*(noise(128, 96) for _ in range(100)), codec="libx264", keyframes=keyframes))

    render(file, STILL)

    assert file.count < len(file.getvalue()) / 4
    assert file.largest <= 64 * 1024


@pytest.mark.parametrize("rendition", Rendition)
@pytest.mark.parametrize("buffer", [1_000, 1024 * 1024])
def test_an_object_store_is_read(tmp_path: Path, rendition: Rendition, buffer: int) -> None:
    """A reader of the store gives the same picture as a path and as a file, which stays open wherever it stood."""
    path = tmp_path / "film.mp4"
    path.write_bytes(MP4)
    reader = obstore.open_reader(LocalStore(tmp_path), "film.mp4", buffer_size=buffer)
    with path.open("rb") as file:
        file.seek(1_000)

        made = {render(Seekable(reader), rendition), render(file, rendition), render(str(path), rendition)}

        assert not file.closed
    assert len(made) == 1


def test_a_reader_behaves_like_a_file(tmp_path: Path) -> None:
    """Places are counted from the beginning, the current place and the end; there is nothing before and behind."""
    (tmp_path / "a").write_bytes(bytes(range(100)))
    reader = Seekable(obstore.open_reader(LocalStore(tmp_path), "a"))

    assert (reader.read(3), reader.tell()) == (b"\0\1\2", 3)
    assert (reader.seek(-2, os.SEEK_END), reader.read(10), reader.read(10)) == (98, b"\x62\x63", b"")
    assert (reader.seek(5), reader.seek(5, os.SEEK_CUR), reader.read(1)) == (5, 10, b"\x0a")
    assert (reader.seek(-1), reader.seek(-101, os.SEEK_END), reader.tell()) == (-1, -1, 11)
    assert (reader.seek(200), reader.read(1), reader.tell()) == (200, b"", 200)
    assert reader.trouble is None


class Flaky(io.BytesIO):
    """A file whose storage goes away after so many reads."""

    def __init__(self, content: bytes, reads: int) -> None:
        super().__init__(content)
        self._left = reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ConnectionError("the storage is away") if self._left == -1 else AssertionError("asked again")
        return super().read(size)


@pytest.mark.parametrize("rendition", Rendition)
def test_trouble_of_the_storage_is_no_fault_of_the_film(
    rendition: Rendition, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whenever the storage goes away, its own error comes out, once, and the next film is not blamed for it."""
    content = film(*(noise(96, 64) for _ in range(16)))
    good, reads = render(io.BytesIO(content), rendition), 0
    while True:
        try:
            file = Flaky(content, reads)
            made = render(Seekable(file) if reads % 2 else file, rendition)
        except ConnectionError:
            reads += 1
            assert render(io.BytesIO(content), rendition) == good
        else:
            break

    assert reads >= 3
    assert made == good
    assert capfd.readouterr() == ("", "")


def test_a_film_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A path that leads nowhere is an error of the storage, and a link is no path."""
    for name in (str(tmp_path / "none.mp4"), "http://127.0.0.1:9/film.mp4", "concat:a|b"):
        with pytest.raises(FileNotFoundError):
            render(name, STILL)


# What is no film, and what is too much of one.


def sound() -> bytes:
    """An MP4 without pictures."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame("fltp", "mono", 1024)
        frame.sample_rate = 48_000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return buffer.getvalue()


FAST = rising(100, flags="faststart")
RUBBISH = {
    "empty": b"",
    "a byte": b"\0",
    "text": b"<html>" * 100,
    "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    "a picture": png(WIDTH, HEIGHT),
    "random": os.urandom(5_000),
    "random behind a head": MP4[:32] + os.urandom(5_000),
    "nothing behind a head": MP4[:32],
    "half": MP4[: len(MP4) // 2],
    "half, index first": FAST[: len(FAST) // 2],
    "almost all, index first": FAST[:-1],
    "sound": sound(),
    "a film of another kind": rising(100, kind="avi"),
    "a decoder for no player": rising(9, codec="mjpeg"),
    "a frame too large": film(picture(100, 4096, 2320)),
    "no decoder at all": rising(9, codec="libx264").replace(b"avc1", b"zzzz"),
}


@pytest.mark.parametrize("rendition", Rendition)
@pytest.mark.parametrize("name", RUBBISH)
def test_what_is_no_film_is_told(tmp_path: Path, name: str, rendition: Rendition) -> None:
    """Pages, pictures, sound, broken and monstrous films raise NotAFilm and nothing else, and leave no file open."""
    path = tmp_path / "film.mp4"
    path.write_bytes(RUBBISH[name])
    before = lowest_handle()

    with pytest.raises(NotAFilm):
        render(str(path), rendition)
    with pytest.raises(NotAFilm):
        render(io.BytesIO(RUBBISH[name]), rendition)

    assert lowest_handle() == before


@pytest.mark.parametrize("rendition", Rendition)
def test_nothing_stays_open(tmp_path: Path, rendition: Rendition) -> None:
    """A picture made leaves no file open either."""
    path = tmp_path / "film.mp4"
    path.write_bytes(MP4)
    before = lowest_handle()

    render(str(path), rendition)

    assert lowest_handle() == before


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(FAST) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.data())
def test_no_damage_breaks_it(changes: list[tuple[int, int]], data: st.DataObject) -> None:
    """A film with any bytes changed gives a picture or NotAFilm."""
    content = bytearray(FAST)
    for place, value in changes:
        content[place] = value
    rendition = data.draw(st.sampled_from(Rendition))
    try:
        made = render(io.BytesIO(bytes(content)), rendition)
    except NotAFilm:
        return
    assert identify(made)[0] == FORMS[rendition].mime


def test_a_film_may_change_its_size() -> None:
    """Frames of another size than the first ones fill tiles of the first one's size."""
    content = render(io.BytesIO(spliced((64, 48), (128, 96), (32, 32))), SHEET)

    assert identify(content)[1] == Frame(64 * 5, 48 * 5)
    assert min(corner(tile) for tile in tiles(content, 5)) > 80


def test_a_film_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for every frame, whatever the file's head announces."""
    content = spliced((64, 48), (128, 96))
    render(io.BytesIO(content), SHEET)
    monkeypatch.setitem(renditions._LIMITS, "max_pixels", str(100 * 90))

    with pytest.raises(NotAFilm):
        render(io.BytesIO(content), SHEET)


def test_a_film_that_takes_too_long_is_shown_by_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the frames on the way to a moment are too many to decode, its tile shows one soon after a keyframe."""
    content = rising(100, keyframes=10)
    monkeypatch.setattr(renditions, "STEP_PIXELS", WIDTH * HEIGHT)

    for number, tile in enumerate(tiles(render(io.BytesIO(content), SHEET), 5)):
        shown = (corner(tile) * 219 / 255 + 16 - 40) * 99 / 180
        moment = number * 99 / 24
        assert moment - 10 < shown < moment + 1
        assert (shown + 0.5) % 10 < 4


def test_one_thread_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding takes one thread, and leaves the other cores to the server."""
    counts: set[int] = set()
    decode = renditions._Reel._find

    def find(reel: Any, part: Fraction) -> av.VideoFrame:
        frame = decode(reel, part)
        counts.add(reel._stream.codec_context.thread_count)
        return frame

    monkeypatch.setattr(renditions._Reel, "_find", find)
    render(io.BytesIO(rising(25, codec="libx264")), SHEET)

    assert counts == {1}
