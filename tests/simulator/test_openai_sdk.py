"""OpenAI's own SDK against the simulator of its format, told nothing but a base URL and a key."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from videogate.cli.children import Child
from videogate.cli.demo import picture

# The SDK marks its video methods as deprecated since OpenAI's own service ended.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = "simulator"
AS_JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def root(start: Callable[..., Child]) -> str:
    """The URL of a simulator that serves OpenAI's format at the root."""
    return start("--only", "sora").url


@pytest.fixture(scope="module")
def client(root: str) -> Iterator[openai.OpenAI]:
    """The SDK, which does not try again."""
    with openai.OpenAI(api_key=KEY, base_url=f"{root}/v1", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def strict(start: Callable[..., Child]) -> Iterator[openai.OpenAI]:
    """The SDK at a simulator that takes OpenAI's own values only."""
    url = start("--only", "sora", "--strict").url
    with openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as made:
        yield made


def test_create_and_poll_then_download(client: openai.OpenAI, film: Callable[[bytes], str]) -> None:
    """`create_and_poll` ends with a complete object, and `download_content` is the film of that size and length."""
    video = client.videos.create_and_poll(
        model="sora-2", prompt="a lighthouse", seconds="4", size="1280x720", poll_interval_ms=100
    )

    assert (video.object, video.status, video.progress, video.error) == ("video", "completed", 100, None)
    assert (video.model, video.prompt, video.seconds, video.size) == ("sora-2", "a lighthouse", "4", "1280x720")
    assert video.created_at <= (video.completed_at or 0) < (video.expires_at or 0)
    assert film(client.videos.download_content(video.id).content) == "1280x720 4"


def test_what_is_not_said_is_openais_usual(client: openai.OpenAI) -> None:
    """With a prompt alone it makes four upright seconds by `sora-2`, and answers at once that they are queued."""
    video = client.videos.create(prompt="a lighthouse")

    assert (video.model, video.seconds, video.size) == ("sora-2", "4", "720x1280")
    assert (video.status, video.progress, video.completed_at) == ("queued", 0, None)


@pytest.mark.parametrize("form", ["file", "link in a form", "link in JSON"])
def test_a_picture(strict: openai.OpenAI, cat: Path, form: str) -> None:
    """A picture comes as a file, or as a data URL in a form or in JSON, and must have the video's size."""

    def with_picture(data: bytes) -> openai.types.Video:
        link = {"input_reference": {"image_url": f"data:image/png;base64,{b64encode(data).decode()}"}}
        ways: dict[str, dict[str, Any]] = {
            "file": {"input_reference": data},
            "link in a form": {"extra_body": link},
            "link in JSON": {"extra_body": link, "extra_headers": AS_JSON},
        }
        return strict.videos.create(prompt="it moves", size="1280x720", **ways[form])

    assert with_picture(picture(1280, 720)).status == "queued"
    with pytest.raises(openai.BadRequestError, match="must match the requested width and height"):
        with_picture(cat.read_bytes())


def test_openais_own_values(strict: openai.OpenAI) -> None:
    """A simulator that is told to be strict takes the lengths and sizes that OpenAI names, and no others."""
    assert strict.videos.create(prompt="x", seconds="12", size="1792x1024").status == "queued"
    with pytest.raises(openai.BadRequestError, match="'5'"):
        strict.videos.create(prompt="x", seconds="5")  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="'640x480'"):
        strict.videos.create(prompt="x", size="640x480")  # type: ignore[arg-type]


def test_what_is_no_picture_is_refused(client: openai.OpenAI) -> None:
    """A file that is no picture, and a link where a file belongs, are refused with the field's name."""
    with pytest.raises(openai.BadRequestError, match="Unsupported file") as text:
        client.videos.create(prompt="x", input_reference=("cat.png", b"meow", "image/png"))
    assert text.value.param == "input_reference"
    with pytest.raises(openai.BadRequestError, match="expected an object, but got a string instead") as link:
        client.videos.create(prompt="x", extra_body={"input_reference": "https://a.example"}, extra_headers=AS_JSON)
    assert (link.value.param, link.value.code) == ("input_reference", "invalid_type")


def test_paging(client: openai.OpenAI) -> None:
    """The SDK pages by itself, newest first or oldest first, and sees each video once, even while it deletes."""
    made = [client.videos.create(prompt=f"number {number}").id for number in range(5)]

    down = [video.id for video in client.videos.list(limit=2)]
    up = [video.id for video in client.videos.list(limit=2, order="asc", after=made[1])]

    assert down[:5] == made[::-1]
    assert len(down) == len(set(down))
    assert up == made[2:]
    gone = [client.videos.delete(video.id).id for video in client.videos.list(limit=1, order="asc", after=made[0])]
    assert gone == made[1:]


def test_retrieve_and_delete(client: openai.OpenAI) -> None:
    """A video can be read until it is deleted, and then no more."""
    video = client.videos.create(prompt="a lighthouse")

    assert client.videos.retrieve(video.id).created_at == video.created_at
    gone = client.videos.delete(video.id)
    assert (gone.id, gone.object, gone.deleted) == (video.id, "video.deleted", True)
    with pytest.raises(openai.NotFoundError, match=video.id):
        client.videos.retrieve(video.id)
    assert video.id not in [each.id for each in client.videos.list(limit=100)]


def test_remix(client: openai.OpenAI, film: Callable[[bytes], str]) -> None:
    """A completed video can be remixed into one of the same shape that names it; an unfinished one cannot."""
    source = client.videos.create_and_poll(prompt="a lighthouse", size="480x320", seconds="8", poll_interval_ms=100)  # type: ignore[arg-type]

    remix = client.videos.remix(source.id, prompt="the same in fog")

    assert (remix.remixed_from_video_id, remix.prompt) == (source.id, "the same in fog")
    with pytest.raises(openai.BadRequestError, match="completed"):
        client.videos.remix(remix.id, prompt="too early")
    done = client.videos.poll(remix.id, poll_interval_ms=100)
    assert film(client.videos.download_content(done.id).content) == "480x320 8"


def test_edit_and_extend(client: openai.OpenAI, film: Callable[[bytes], str]) -> None:
    """An edit keeps its source's shape and length, an extension adds to it; the source is an id or a film."""
    source = client.videos.create_and_poll(prompt="a lighthouse", size="480x320", seconds="4", poll_interval_ms=100)  # type: ignore[arg-type]
    content = client.videos.download_content(source.id).content
    by_id: dict[str, Any] = {"video": openai.omit, "extra_body": {"video": {"id": source.id}}}

    made = [
        client.videos.edit(prompt="in fog", **by_id),
        client.videos.edit(prompt="in fog", video=content),
        client.videos.extend(prompt="and on", seconds="8", **by_id),
        client.videos.extend(prompt="and on", seconds="8", video=("a.mp4", content, "video/mp4")),
    ]

    assert [video.seconds for video in made] == ["4", "4", "12", "12"]
    assert [video.remixed_from_video_id for video in made] == [None] * 4
    for video, shown in zip(made, ["480x320 4"] * 2 + ["480x320 12"] * 2, strict=True):
        client.videos.poll(video.id, poll_interval_ms=100)
        assert film(client.videos.download_content(video.id).content) == shown


def test_what_is_no_source(client: openai.OpenAI, strict: openai.OpenAI) -> None:
    """An unknown id, an unfinished video, a file that is no film, a length not of OpenAI's: each is refused."""
    early = client.videos.create(prompt="x")
    by_id: dict[str, Any] = {"video": openai.omit, "extra_body": {"video": {"id": "video_unknown"}}}
    with pytest.raises(openai.NotFoundError, match="video_unknown"):
        client.videos.edit(prompt="x", **by_id)
    with pytest.raises(openai.BadRequestError, match="completed") as unfinished:
        client.videos.extend(prompt="x", seconds="4", **{**by_id, "extra_body": {"video": {"id": early.id}}})
    assert unfinished.value.param == "video"
    with pytest.raises(openai.BadRequestError, match="Unsupported file"):
        client.videos.edit(prompt="x", video=("a.mp4", b"meow", "video/mp4"))
    with pytest.raises(openai.BadRequestError, match="expected a file or an object"):
        client.videos.edit(prompt="x", video=openai.omit)  # type: ignore[arg-type]
    source = strict.videos.create_and_poll(prompt="x", poll_interval_ms=100)
    with pytest.raises(openai.BadRequestError, match="'5'"):
        strict.videos.extend(prompt="x", seconds="5", video=openai.omit, extra_body={"video": {"id": source.id}})  # type: ignore[arg-type]


def test_characters(client: openai.OpenAI) -> None:
    """A character is made of a film, can be read, and shown in a video; at most two, and none that is not there."""
    video = client.videos.create_and_poll(prompt="a cat", poll_interval_ms=100)
    made = client.videos.create_character(name="Bob", video=client.videos.download_content(video.id).content)

    assert made.id is not None
    assert client.videos.get_character(made.id).model_dump() == made.model_dump()
    assert made.name == "Bob"
    for headers in ({}, AS_JSON):
        shown = {"characters": [{"id": made.id}]}
        assert client.videos.create(prompt="Bob", extra_body=shown, extra_headers=headers).status == "queued"
    with pytest.raises(openai.NotFoundError, match="char_none"):
        client.videos.create(prompt="x", extra_body={"characters": [{"id": "char_none"}]})
    with pytest.raises(openai.BadRequestError, match="at most 2"):
        client.videos.create(prompt="x", extra_body={"characters": [{"id": made.id}] * 3})
    with pytest.raises(openai.NotFoundError):
        client.videos.get_character("char_none")
    with pytest.raises(openai.BadRequestError, match="name"):
        client.videos.create_character(name="", video=b"x")


def test_errors_are_the_sdks_own_classes(root: str, client: openai.OpenAI, fault: Callable[..., None]) -> None:
    """Each refusal becomes the SDK's class for it, with OpenAI's type and code."""
    with pytest.raises(openai.BadRequestError) as bad:
        client.videos.create(prompt="x", size="huge")  # type: ignore[arg-type]
    assert (bad.value.type, bad.value.code, bad.value.param) == ("invalid_request_error", "invalid_value", "size")
    with pytest.raises(openai.NotFoundError) as lost:
        client.videos.retrieve("video_unknown")
    assert lost.value.type == "invalid_request_error"
    with pytest.raises(openai.AuthenticationError) as stranger:
        client.with_options(api_key="sk-wrong").videos.list()
    assert stranger.value.code == "invalid_api_key"
    fault(root, vendor="sora", op="submit", mode="throttle")
    with pytest.raises(openai.RateLimitError) as busy:
        client.videos.create(prompt="x")
    assert (busy.value.type, busy.value.code) == ("rate_limit_error", "rate_limit_exceeded")
    fault(root, vendor="sora", op="poll", mode="error_before")
    with pytest.raises(openai.InternalServerError):
        client.videos.retrieve("video_unknown")


def test_the_sdk_tries_again(
    root: str, client: openai.OpenAI, fault: Callable[..., None], accepted: Callable[[str], list[dict[str, Any]]]
) -> None:
    """The SDK sends a POST again after an answer that was lost: the simulator shows that two jobs were made."""
    before = len(accepted(root))
    fault(root, vendor="sora", op="submit", mode="drop_after")

    video = client.with_options(max_retries=1).videos.create(prompt="twice")

    made = accepted(root)[before:]
    assert [job["prompt"] for job in made] == ["twice", "twice"]
    assert made[-1]["id"] == video.id


def test_moderation(root: str, client: openai.OpenAI, fault: Callable[..., None]) -> None:
    """A prompt that is blocked is a 400; a video that is blocked ends failed, with a code, and has no content."""
    fault(root, vendor="sora", op="submit", mode="moderate_submit")
    with pytest.raises(openai.BadRequestError) as blocked:
        client.videos.create(prompt="x")
    assert blocked.value.code == "moderation_blocked"
    fault(root, vendor="sora", op="submit", mode="moderate")

    video = client.videos.create_and_poll(prompt="x", poll_interval_ms=100)

    assert (video.status, video.completed_at) == ("failed", None)
    assert video.error is not None
    assert video.error.code == "moderation_blocked"
    with pytest.raises(openai.NotFoundError):
        client.videos.download_content(video.id)


def test_content_that_is_not_there(root: str, client: openai.OpenAI, fault: Callable[..., None]) -> None:
    """An unfinished video and one whose link has died have no content: 404, and never a 2xx."""
    video = client.videos.create(prompt="x")
    with pytest.raises(openai.NotFoundError) as early:
        client.videos.download_content(video.id)
    assert early.value.code == "video_not_ready"
    client.videos.poll(video.id, poll_interval_ms=100)
    fault(root, vendor="sora", op="result", mode="expire")

    with pytest.raises(openai.NotFoundError, match="expired"):
        client.videos.download_content(video.id)


def test_content_can_be_fetched_in_parts(root: str, client: openai.OpenAI, web: httpx.Client) -> None:
    """The content answers a range with exactly those bytes, so that a download can go on where it broke off."""
    video = client.videos.create_and_poll(prompt="x", poll_interval_ms=100)
    whole = client.videos.download_content(video.id).content

    headers = {"authorization": f"Bearer {KEY}", "range": "bytes=1000-"}
    rest = web.get(f"{root}/v1/videos/{video.id}/content", headers=headers)

    assert (rest.status_code, rest.headers["content-type"]) == (206, "video/mp4")
    assert whole[1000:] == rest.content


async def test_the_asynchronous_client(root: str) -> None:
    """`AsyncOpenAI` gets its video as well."""
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{root}/v1", max_retries=0) as client:
        video = await client.videos.create_and_poll(prompt="a lighthouse", poll_interval_ms=100)

    assert video.status == "completed"
