"""Results that last: how long they are kept, pictures of them, object stores, what a delete removes and tells."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.conftest import KEY, World, ended, wait_until
from conftest import Bucket
from forked import Server, run_videogate
from videogate.media.pictures import identify

PICTURES = {"thumbnail": "image/webp", "spritesheet": "image/jpeg"}


def client_of(url: str, key: str = KEY) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30)


def create(api: httpx.Client, **changes: Any) -> str:
    answer = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x", **changes}).raise_for_status()
    return str(answer.json()["id"])


def kept(world: World) -> list[Path]:
    return [path for path in (world.folder / "data" / "media").rglob("*") if path.is_file() and path.name != "lock"]


def lines_of(server: Server) -> list[str]:
    return server.log.read_text("utf-8").splitlines()


def objects(store: str, bucket: Bucket) -> str:
    return httpx.get(f"{store}/{bucket.url.split('/')[2]}?list-type=2").text


def test_a_video_is_kept_as_long_as_its_object_says(world: World) -> None:
    """`expires_at` is the truth: until then the content is there, then it is a 404 `video_expired` and off the disk."""
    with world.gateway(RETENTION="4s") as server, client_of(server.url) as api:
        video = ended(api, create(api))
        assert video["expires_at"] - video["completed_at"] in {4, 5}  # both are rounded down
        assert time.time() < video["expires_at"]
        assert api.get(f"/v1/videos/{video['id']}/content").status_code == 200

        wait_until(lambda: not kept(world))

        assert time.time() >= video["expires_at"]
        after = api.get(f"/v1/videos/{video['id']}").json()
        assert (after["status"], after["expires_at"], after["url"]) == ("succeeded", video["expires_at"], None)
        for link in (f"/v1/videos/{video['id']}/content", video["url"]):
            answer = api.get(link)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "video_expired")
            assert "no longer kept" in answer.json()["error"]["message"]


def test_what_expired_while_the_gateway_was_off_goes_at_its_start(world: World) -> None:
    """A retention that ends during an outage is caught up with, and so is a file that a crash left to nobody."""
    with world.gateway(RETENTION="2s") as server, client_of(server.url) as api:
        ended(api, create(api))
        server.kill()
    stray = world.folder / "data" / "media" / "videos" / "aa" / "video_aa.mp4"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"left by a crash")
    time.sleep(2)

    with world.gateway():
        wait_until(lambda: not kept(world))


@pytest.mark.parametrize("variant", PICTURES)
def test_pictures_of_a_video(world: World, variant: str) -> None:
    """A picture is made on first ask, for many askers once, is kept, and is served like any content."""
    with world.gateway() as server, client_of(server.url) as api:
        video = ended(api, create(api))
        path = f"/v1/videos/{video['id']}/content?variant={variant}"
        with ThreadPoolExecutor(6) as askers:
            answers = list(askers.map(lambda _: api.get(path), range(6)))

        assert {answer.status_code for answer in answers} == {200}
        (content,) = {answer.content for answer in answers}
        mime, frame = identify(content)
        assert mime == answers[0].headers["content-type"] == PICTURES[variant]
        width, height = (int(side) for side in video["size"].split("x"))
        assert frame.width / frame.height == pytest.approx(width / height, rel=0.02)
        assert server.log.read_text("utf-8").count("rendition_made") == 1
        assert len(kept(world)) == 2

        tag = answers[0].headers["etag"]
        assert api.get(path, headers={"if-none-match": tag}).status_code == 304
        assert api.get(path, headers={"range": "bytes=-10"}).content == content[-10:]
        assert api.head(path).headers["content-length"] == str(len(content))
        assert answers[0].headers["content-disposition"].startswith(f'attachment; filename="{video["id"]}.')

        # The link of the video opens the video, not its pictures.
        assert httpx.get(f"{video['url']}&variant={variant}").status_code == 401

        assert api.delete(f"/v1/videos/{video['id']}").json()["deleted"] is True
        assert kept(world) == []


def test_an_unknown_variant_names_the_known(api: httpx.Client) -> None:
    """A variant that is none is a 400 that names the parameter and what it may be."""
    error = api.get(f"/v1/videos/{create(api)}/content?variant=poster").json()["error"]

    assert error["param"] == "variant"
    assert "video, thumbnail, spritesheet" in error["message"]


def test_results_on_an_object_store(world: World, bucket: Bucket, object_store: str) -> None:
    """With `s3://` the whole life is the same: kept, streamed in parts, pictured, deleted; no file is on the disk."""
    with world.gateway(MEDIA_URL=bucket.url) as server, client_of(server.url) as api:
        video = ended(api, create(api))
        path = f"/v1/videos/{video['id']}/content"
        whole = api.get(path)

        assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
        assert whole.headers["content-length"] == str(len(whole.content))
        assert whole.content[4:8] == b"ftyp"
        assert api.get(path, headers={"range": "bytes=5-99"}).content == whole.content[5:100]
        assert httpx.get(video["url"]).content == whole.content
        for variant, mime in PICTURES.items():
            assert api.get(f"{path}?variant={variant}").headers["content-type"] == mime
        assert f"{video['id']}.thumbnail.webp" in objects(object_store, bucket)
        assert kept(world) == []
        assert world.spooled() == []

        api.delete(f"/v1/videos/{video['id']}").raise_for_status()
        assert video["id"] not in objects(object_store, bucket)


def test_redirect_to_the_object_stores_own_link(world: World, bucket: Bucket, object_store: str) -> None:
    """By setting, content is a redirect to a link that the store opens without our key, for a while."""
    with world.gateway(MEDIA_URL=bucket.url, CONTENT_REDIRECT="true") as server, client_of(server.url) as api:
        video = ended(api, create(api))
        path = f"/v1/videos/{video['id']}/content"
        answer = api.get(path)

        assert answer.status_code == 302
        assert answer.headers["location"].startswith(f"{object_store}/")
        assert "no-store" in answer.headers["cache-control"]
        direct = httpx.get(answer.headers["location"])
        assert (direct.status_code, direct.headers["content-type"], direct.content[4:8]) == (200, "video/mp4", b"ftyp")
        assert httpx.get(video["url"], follow_redirects=True).content == direct.content
        assert api.head(path).headers["content-length"] == str(len(direct.content))


def test_a_bucket_that_is_not_there_stops_the_start(world: World, bucket: Bucket) -> None:
    """A storage that can never work is said at the start, in one line: a paid video would be lost there."""
    found = subprocess.run(
        [sys.executable, "-m", "videogate", "serve"],
        cwd=world.folder,
        env={
            **bucket.variables,
            "PATH": "/usr/bin",
            "VIDEOGATE_API_KEYS": KEY,
            "VIDEOGATE_PORT": "0",
            "VIDEOGATE_MEDIA_URL": "s3://no-such-bucket",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert found.returncode != 0
    assert "VIDEOGATE_MEDIA_URL" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_full_disk_takes_nothing_new_and_gives_what_it_has(world: World) -> None:
    """Below the floor creates get 503; what runs is still fetched, and what is finished is still streamed."""
    with world.gateway() as server, client_of(server.url) as api:
        finished = ended(api, create(api))
        running = create(api)
    with world.gateway(DISK_FLOOR=str(2**62)) as server, client_of(server.url) as api:
        refused = api.post("/v1/videos", json={"model": "sora-2", "prompt": "x"})

        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "server_error")
        assert "disk" in refused.json()["error"]["message"]
        assert int(refused.headers["retry-after"]) > 0
        assert api.get(f"/v1/videos/{finished['id']}/content").status_code == 200
        assert ended(api, running)["status"] == "succeeded"
        assert api.get(f"/v1/videos/{running}/content").status_code == 200
        assert len(world.paid()) == 2


def test_a_link_stops_with_its_key(world: World) -> None:
    """A signed link works while the key in whose name it was made does, and not a few seconds longer."""

    def keys(*arguments: str) -> str:
        done = run_videogate("keys", *arguments, folder=world.folder, variables=world.variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with world.gateway() as server:
        made = keys("create", "somebody")
        key = next(word for word in made.split() if word.startswith("vg-"))
        with client_of(server.url, key) as api:
            url = ended(api, create(api))["url"]
        assert httpx.get(url).status_code == 200

        key_id = next(line.split()[0] for line in keys("list").splitlines() if "somebody" in line)
        keys("revoke", key_id)

        wait_until(lambda: httpx.get(url).status_code == 401)
        assert httpx.get(url, headers={"authorization": f"Bearer {KEY}"}).status_code == 404


def test_a_delete_tells_what_becomes_of_the_bill(world: World) -> None:
    """Where a vendor cannot cancel, its owner reads that the video will be billed; where it did, that it will not."""
    with world.gateway() as server, client_of(server.url) as api:
        running = create(api)
        wait_until(lambda: any('"accepted"' in line and running in line for line in lines_of(server)))
        gone = api.delete(f"/v1/videos/{running}").json()

        assert gone["deleted"] is True
        assert "billed" in gone["status_detail"]
        assert api.get(f"/v1/videos/{running}").status_code == 404

        world.fault(vendor="vidu", op="submit", mode="wait", delay=600)
        queued = create(api, model="viduq1")
        wait_until(lambda: any('"accepted"' in line and queued in line for line in lines_of(server)))
        assert api.delete(f"/v1/videos/{queued}").json()["status_detail"] == "vidu has cancelled the job."
        assert [job["cancelled"] for job in world.paid()] == [0, 1]

        done = ended(api, create(api))["id"]
        assert set(api.delete(f"/v1/videos/{done}").json()) == {"id", "object", "deleted"}
