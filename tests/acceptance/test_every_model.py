"""Every model that the interface document names, up to an MP4 that is what its vendor was asked for."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.conftest import World, ended
from forked import Server
from videogate.media.probe import probe

pytestmark = pytest.mark.databases("sqlite")

# The document's models, each with what one sends to it.
TEXT = {
    "sora-2": {"size": "1280x720", "seconds": "8"},
    "wan2.5-t2v-preview": {"size": "1920*1080", "seconds": "10"},
    "kling-v1": {"size": "1024x1024", "seconds": "10"},
    "kling-v2-master": {"size": "1920x1080", "seconds": "5"},
    "jimeng_vgfm_t2v_l20": {"size": "1280x720", "seconds": "5"},
    "viduq1": {"size": "1080x1920", "seconds": "5"},
}
PICTURE = (
    "sora-2",
    "wan2.5-i2v-preview",
    "wan2.2-i2v-flash",
    "wan2.2-i2v-plus",
    "wanx2.1-i2v-plus",
    "wanx2.1-i2v-turbo",
    "kling-v1",
    "kling-v2-master",
    "jimeng_vgfm_i2v_l20",
    "viduq1",
)
# One model a vendor that goes from one picture to another; the first makes them of one size.
TWO = ("wan2.2-kf2v-flash", "kling-v1", "jimeng_v30", "viduq1")


def made(api: httpx.Client, world: World, folder: Path, prompt: str, created: httpx.Response) -> tuple[str, str]:
    """Wait for a video; its size and seconds, which the object, the file and the vendor's own record agree on."""
    assert created.status_code == 201, created.text
    video = ended(api, created.json()["id"], 60)
    assert video["status"] == "succeeded", video["error"]
    file = folder / "video.mp4"
    file.write_bytes(api.get(f"/v1/videos/{video['id']}/content").raise_for_status().content)
    film = probe(file)
    (job,) = [line for line in world.paid() if line["prompt"] == prompt]
    found = (str(film.frame), film.seconds_text)
    assert found == (video["size"], video["seconds"]) == (job["size"], f"{job['seconds']:g}")
    return found


@pytest.mark.parametrize("model", TEXT)
def test_a_text_becomes_a_video(model: str, api: httpx.Client, shared: tuple[World, Server], tmp_path: Path) -> None:
    """The file is what the vendor was asked for; what differs from the request is in the adjustments."""
    prompt = f"a text for {model}"
    created = api.post("/v1/videos", data={"model": model, "prompt": prompt, **TEXT[model]})

    size, seconds = made(api, shared[0], tmp_path, prompt, created)

    adjusted = {each["field"] for each in created.json().get("adjustments", ())}
    assert ("size" in adjusted) == (size != TEXT[model]["size"].replace("*", "x"))
    assert ("seconds" in adjusted) == (seconds != TEXT[model]["seconds"])


@pytest.mark.parametrize("model", PICTURE)
def test_a_picture_becomes_a_video(
    model: str, api: httpx.Client, shared: tuple[World, Server], cat: Path, tmp_path: Path
) -> None:
    """An uploaded picture reaches each vendor in the form that it takes."""
    prompt = f"a picture for {model}"
    form = {"model": model, "prompt": prompt, "seconds": "5"}
    created = api.post("/v1/videos", data=form, files={"input_reference": cat.read_bytes()})

    _, seconds = made(api, shared[0], tmp_path, prompt, created)

    assert seconds == "5"


@pytest.mark.parametrize("model", TWO)
def test_two_pictures_become_a_video(
    model: str, api: httpx.Client, shared: tuple[World, Server], cat: Path, tmp_path: Path
) -> None:
    """A first and a last frame under their own names become one video."""
    prompt = f"two pictures for {model}"
    files = {"first_frame": cat.read_bytes(), "last_frame": cat.read_bytes()}
    created = api.post("/v1/videos", data={"model": model, "prompt": prompt, "seconds": "5"}, files=files)

    assert made(api, shared[0], tmp_path, prompt, created)[1] == "5"


def test_several_references_become_a_video(
    api: httpx.Client, shared: tuple[World, Server], cat: Path, tmp_path: Path
) -> None:
    """More pictures than frames are references, where a model takes them."""
    prompt = "three pictures"
    files = [("input_reference[]", cat.read_bytes())] * 3
    created = api.post("/v1/videos", data={"model": "viduq1", "prompt": prompt}, files=files)

    assert made(api, shared[0], tmp_path, prompt, created) == ("1080x1920", "5")


@pytest.mark.parametrize(
    ("form", "count", "param", "hint"),
    [
        ({"model": "jimeng_vgfm_t2v_l20"}, 1, "input_reference", "jimeng_vgfm_i2v_l20"),
        ({"model": "wan2.2-i2v-plus"}, 0, "input_reference", "wan2.6-t2v"),
        ({"model": "kling-v2-master"}, 2, "input_reference", "kling-v1"),
        ({"model": "kling-v1-5"}, 0, "input_reference", "kling-v1"),
        ({"model": "viduq1-classic"}, 3, "input_reference", "viduq1"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_it_costs(
    form: dict[str, Any], count: int, param: str, hint: str, api: httpx.Client, shared: tuple[World, Server], cat: Path
) -> None:
    """The 400 names the parameter and a model of the same vendor that can; no vendor was asked."""
    prompt = f"impossible {form['model']}"
    files = [("input_reference", cat.read_bytes())] * count
    answer = api.post("/v1/videos", data={**form, "prompt": prompt}, files=files or None)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert hint in error["message"]
    assert not [line for line in shared[0].paid() if line["prompt"] == prompt]
