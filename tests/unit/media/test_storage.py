"""Storage: the same promises on local files and on an object store over real HTTP."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import Bucket
from videogate.media.renditions import Rendition
from videogate.media.storage import Gone, Storage, StorageAway, open_storage

MP4 = "video/mp4"


@pytest.fixture(params=["files", "another folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A storage of each kind."""
    match request.param:
        case "files":
            yield open_storage("", tmp_path)
        case "another folder":
            yield open_storage((tmp_path / "else where").as_uri(), tmp_path)
        case _:
            bucket: Bucket = request.getfixturevalue("bucket")
            yield open_storage(bucket.url, tmp_path)


async def keep(storage: Storage, key: str, content: bytes) -> None:
    path = storage.spool / "v.part"
    path.write_bytes(content)
    await storage.keep(key, path, MP4)
    path.unlink(missing_ok=True)


async def read(storage: Storage, key: str, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in await storage.open(key, start, end)])


async def all_keys(storage: Storage) -> list[str]:
    return sorted([key async for keys in storage.listing() for key in keys])


async def test_what_is_kept_reads_back_in_any_range(storage: Storage) -> None:
    """A file is stored whole, larger ones than one part too, and every range of it can be read."""
    content = os.urandom(6 * 1024 * 1024 + 17)
    key = storage.key("video_4f")

    await keep(storage, key, content)

    assert key == "videos/4f/video_4f.mp4"
    assert await all_keys(storage) == [key]
    size = len(content)
    for start, end in [(0, size), (0, 1), (size - 1, size), (1_000_000, 1_700_000), (5, 5), (9, 3)]:
        assert await read(storage, key, start, end) == content[start:end]


async def test_keeping_again_replaces(storage: Storage) -> None:
    """A second download of the same video takes the first one's place."""
    for content in (b"first, longer", b"second"):
        await keep(storage, "videos/1/v.mp4", content)

    assert await storage.read_whole("videos/1/v.mp4") == b"second"


async def test_removing_is_done_once_or_twice(storage: Storage) -> None:
    """A removed file is gone; removing it again is no error."""
    await keep(storage, "videos/1/v.mp4", b"film")

    await storage.remove("videos/1/v.mp4")
    await storage.remove("videos/1/v.mp4")

    assert await all_keys(storage) == []
    with pytest.raises(Gone):
        await storage.open("videos/1/v.mp4", 0, 4)
    with pytest.raises(Gone):
        await storage.read_whole("videos/1/v.mp4")


async def test_a_video_goes_with_its_pictures(storage: Storage) -> None:
    """Removing a video removes what was made of it, and nothing of its neighbour's."""
    for task_id in ("video_1a", "video_2a"):
        key = storage.key(task_id)
        await keep(storage, key, b"film")
        for each in Rendition:
            await storage.keep_bytes(storage.rendition_key(key, each), b"picture", "image/webp")

    await storage.remove_video(storage.key("video_1a"))

    assert {storage.task_id(key) for key in await all_keys(storage)} == {"video_2a"}
    assert len(await all_keys(storage)) == 1 + len(Rendition)


async def test_a_dead_processs_downloads_are_cleared(storage: Storage) -> None:
    """A restart empties the spool and leaves what was kept."""
    await keep(storage, "videos/1/v.mp4", b"film")
    (storage.spool / "video_1-3.part").write_bytes(b"half")

    storage.clear_spool()

    assert list(storage.spool.iterdir()) == []
    assert await read(storage, "videos/1/v.mp4", 0, 4) == b"film"


async def test_a_reader_reads_and_seeks(storage: Storage) -> None:
    """A library that wants a file gets one that seeks."""
    content = os.urandom(3_000_000)
    await keep(storage, "videos/1/v.mp4", content)

    def look() -> bytes:
        with storage.reader("videos/1/v.mp4") as file:
            file.seek(2_000_000)
            return bytes(file.read(100))

    assert await asyncio.to_thread(look) == content[2_000_000:2_000_100]


async def test_a_video_that_is_deleted_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    """Whoever has begun to download a video gets all of it, whatever its owner does meanwhile."""
    storage = open_storage("", tmp_path)
    content = os.urandom(3_000_000)
    await keep(storage, "videos/1/v.mp4", content)
    pieces = await storage.open("videos/1/v.mp4", 0, len(content))
    got = bytearray(await anext(pieces))

    await storage.remove_video("videos/1/v.mp4")
    async for piece in pieces:
        got += piece

    assert got == content


async def test_a_kept_file_is_the_downloads_own(tmp_path: Path) -> None:
    """On local files keeping is a rename: no second copy is written, and none is left in the spool."""
    storage = open_storage("", tmp_path)
    path = storage.spool / "v.part"
    path.write_bytes(b"film")
    inode = path.stat().st_ino

    await storage.keep("videos/1/v.mp4", path, MP4)

    assert (tmp_path / "media/videos/1/v.mp4").stat().st_ino == inode
    assert list(storage.spool.iterdir()) == []


async def test_a_kept_file_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are synced first, then the file is renamed, then every folder that is new or changed is synced."""
    storage = open_storage("", tmp_path)
    final = tmp_path / "media/videos/4f/v.mp4"
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, final.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    await keep(storage, "videos/4f/v.mp4", b"film")

    assert synced == [("v.part", False), ("4f", True), ("videos", True), ("media", True)]


async def test_an_objects_own_link_opens_it(bucket: Bucket, tmp_path: Path) -> None:
    """An object store signs links that need no key of ours; what they open says what it is and how to save it."""
    storage = open_storage(bucket.url, tmp_path)
    await keep(storage, "videos/1/v.mp4", b"film")

    link = await storage.link("videos/1/v.mp4")

    assert link is not None
    async with httpx.AsyncClient() as anybody:
        answer = await anybody.get(link)
    assert (answer.status_code, answer.content) == (200, b"film")
    assert answer.headers["content-type"] == MP4
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["content-disposition"] == 'attachment; filename="v.mp4"'


async def test_files_have_no_links_of_their_own(tmp_path: Path) -> None:
    """Local files are only had through the gateway."""
    assert await open_storage("", tmp_path).link("videos/1/v.mp4") is None


async def test_a_read_that_breaks_off_goes_on_where_it_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store that drops the connection again and again still gives the whole file, each byte once."""
    content = os.urandom(1_000_000)
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        span = head.partition("range: bytes=")[2].partition("\r")[0]
        asked.append(span)
        start, last = (int(part) for part in span.split("-"))
        body = content[start : last + 1]
        tag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        writer.write(
            f'HTTP/1.1 206 Partial\r\ncontent-length: {len(body)}\r\netag: "{tag}"\r\n'
            f"last-modified: Wed, 25 Nov 2026 12:00:00 GMT\r\n"
            f"content-range: bytes {start}-{last}/{len(content)}\r\nconnection: close\r\n\r\n".encode()
        )
        writer.write(body[:300_000])  # and no more: the connection breaks
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)

    assert await read(open_storage("s3://b", tmp_path), "videos/1/v.mp4", 100, len(content)) == content[100:]
    assert len(asked) >= 4
    server.close()
    await server.wait_closed()


async def test_a_store_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that nobody serves is trouble that passes, for every verb; it is no reason not to start."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr("videogate.media.storage._RETRY", {"max_retries": 0})
    storage = open_storage("s3://nowhere", tmp_path)

    with pytest.raises(StorageAway):
        await keep(storage, "videos/1/v.mp4", b"film")
    with pytest.raises(StorageAway):
        await storage.open("videos/1/v.mp4", 0, 4)
    with pytest.raises(StorageAway):
        await storage.remove("videos/1/v.mp4")
    assert storage.check() is None


async def test_a_bucket_that_is_not_there_is_said_at_the_start(bucket: Bucket, tmp_path: Path) -> None:
    """A storage that can never work is told from one that can."""
    assert open_storage(bucket.url, tmp_path).check() is None
    assert open_storage("", tmp_path).check() is None
    assert "404" in (open_storage("s3://no-such-bucket", tmp_path).check() or "")


@pytest.mark.parametrize("url", ["ftp://a/b", "s3://", "nonsense://x"])
def test_a_url_that_is_no_storage_is_refused(url: str, tmp_path: Path) -> None:
    """What names no storage is an error in one line."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        open_storage(url, tmp_path)
