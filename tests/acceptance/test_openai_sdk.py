"""The OpenAI SDK, unmodified."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from acceptance.conftest import KEY, OTHER
from videogate.media.probe import probe

# The SDK marks its video methods as deprecated since OpenAI's own service ended.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def client(gateway: str) -> Iterator[openai.OpenAI]:
    """The SDK with nothing but its base URL and key set."""
    with openai.OpenAI(api_key=KEY, base_url=f"{gateway}/v1") as made:
        yield made


def test_create_and_poll_then_download(client: openai.OpenAI, tmp_path: Path) -> None:
    """`create_and_poll` returns the completed video, and `download_content` its MP4."""
    video = client.videos.create_and_poll(
        model="sora-2", prompt="a lighthouse", seconds="4", size="1280x720", poll_interval_ms=200
    )

    assert (video.status, video.progress, video.seconds, video.size) == ("completed", 100, "4", "1280x720")
    assert video.completed_at is not None
    file = tmp_path / "video.mp4"
    client.videos.download_content(video.id).write_to_file(file)
    assert (str(probe(file).frame), probe(file).seconds_text) == ("1280x720", "4")


def test_a_picture_by_path_and_options_in_extra_body(client: openai.OpenAI, cat: Path) -> None:
    """A file is sent as the SDK sends it, and `extra_body` metadata arrives through its brackets."""
    video = client.videos.create(
        model="wan2.5-i2v-preview",
        prompt="the cat stretches",
        input_reference=cat,
        extra_body={"metadata": {"watermark": False, "seed": 7}, "resolution": "480P"},
    )

    assert video.status == "queued"
    assert video.seconds == "5"
    adjusted = [each["field"] for each in (video.model_extra or {}).get("adjustments", [])]
    assert not [field for field in adjusted if field.startswith("metadata")]
    done = client.videos.poll(video.id, poll_interval_ms=200)
    assert (done.status, done.size) == ("completed", "768x512")


def test_retrieve_list_and_delete(client: openai.OpenAI) -> None:
    """Automatic paging sees every video once, newest first; a deleted one is gone."""
    made = [client.videos.create(model="sora-2", prompt=f"number {number}").id for number in range(5)]

    listed = [video.id for video in client.videos.list(limit=2)]

    assert listed[:5] == made[::-1]
    assert len(listed) == len(set(listed))
    assert client.videos.delete(made[0]).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(made[0])


def test_errors_are_the_sdks_own_classes(client: openai.OpenAI, gateway: str) -> None:
    """Each status becomes the SDK's class for it, with message, code, param and request id."""
    with pytest.raises(openai.BadRequestError) as bad:
        client.videos.create(model="no-such-model", prompt="x")
    assert (bad.value.param, bad.value.code, bool(bad.value.request_id)) == ("model", "model_not_found", True)
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve("video_unknown")
    with (
        openai.OpenAI(api_key="wrong", base_url=f"{gateway}/v1") as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.videos.list()


def test_azure_style_client(gateway: str) -> None:
    """`AzureOpenAI` works: its path, its `api-key` header, its api-version."""
    with openai.AzureOpenAI(api_key=OTHER, azure_endpoint=gateway, api_version="preview") as client:
        video = client.videos.create(model="sora-2", prompt="azure")
        assert client.videos.retrieve(video.id).status in {"queued", "in_progress", "completed"}
