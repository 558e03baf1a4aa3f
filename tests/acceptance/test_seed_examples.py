"""Every Sora and Wanxiang example of the interface document, with real curl, up to a playable MP4."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from acceptance.conftest import KEY, ended
from videogate.media.probe import probe

# The document's own arguments: curl's first, then its JavaScript examples as the FormData they build.
EXAMPLES = {
    "sora, text": (
        ["prompt=一个穿着宇航服的宇航员在月球上行走, 高品质, 电影级", "model=sora-2", "seconds=5", "size=1920x1080"],
        ("1920x1080", "5"),
    ),
    "sora, picture": (
        ["prompt=猫咪慢慢睁开眼睛,伸懒腰", "model=sora-2", "seconds=3", "size=1920x1080", "input_reference=@{cat}"],
        ("1920x1080", "3"),
    ),
    "wanxiang, text": (
        [
            "prompt=一只可爱的小猫在花园里玩耍,阳光明媚,色彩鲜艳",
            "model=wan2.5-t2v-preview",
            "seconds=5",
            "size=1920*1080",
        ],
        ("1920x1080", "5"),
    ),
    "wanxiang, picture link": (
        [
            "prompt=让这张图片动起来,添加自然的运动效果",
            "model=wan2.5-i2v-preview",
            "seconds=5",
            "size=1280P",
            'metadata={"img_url":"https://example.com/image.jpg"}',
        ],
        ("1920x1080", "5"),
    ),
    "wanxiang, text with options": (
        [
            "prompt=一只可爱的小猫在花园里玩耍,阳光明媚,色彩鲜艳",
            "model=wan2.5-t2v-preview",
            "seconds=5",
            "size=1920*1080",
            'metadata={"watermark":false,"prompt_extend":true}',
        ],
        ("1920x1080", "5"),
    ),
    "wanxiang, picture file": (
        [
            "prompt=让这张图片动起来,添加自然的运动效果",
            "model=wan2.5-i2v-preview",
            "seconds=3",
            "resolution=720P",
            "input_reference=@{cat}",
            'metadata={"watermark":false,"prompt_extend":true}',
        ],
        ("1168x768", "5"),  # the picture is 3:2; 720P's pixels in that shape, sides in sixteens
    ),
    "wanxiang, two frames": (
        [
            "prompt=从开始到结束的平滑过渡动画",
            "model=wan2.2-kf2v-flash",
            "seconds=4",
            (
                'metadata={"first_frame_url":"https://example.com/start.jpg",'
                '"last_frame_url":"https://example.com/end.jpg","resolution":"720P","watermark":false}'
            ),
        ],
        ("1280x720", "5"),
    ),
}


def curl(*arguments: str) -> tuple[int, str]:
    """Run curl; its answer's status and body."""
    done = subprocess.run(
        ["curl", "--silent", "--write-out", "\n%{http_code}", *arguments], capture_output=True, text=True, check=True
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_ends_in_a_playable_mp4(name: str, gateway: str, api: httpx.Client, cat: Path, tmp_path: Path) -> None:
    """The example works verbatim: 201, `processing`, then `succeeded`, and the MP4 is what the object says."""
    fields, made = EXAMPLES[name]
    key = ["-H", f"Authorization: Bearer {KEY}"]
    form = [part for field in fields for part in ("-F", field.replace("{cat}", str(cat)))]

    status, body = curl(f"{gateway}/v1/videos", *key, *form)

    created = json.loads(body)
    assert (status, created["status"], created["object"]) == (201, "processing", "video")
    video = ended(api, created["id"])
    assert video["status"] == "succeeded", video["error"]
    assert (video["size"], video["seconds"], video["progress"], video["quality"]) == (*made, 100, "standard")
    file = tmp_path / "video.mp4"
    status, _ = curl(f"{gateway}/v1/videos/{video['id']}/content", *key, "-o", str(file))
    assert status == 200
    film = probe(file)
    assert (str(film.frame), film.seconds_text) == made
