"""What must be true after each step: by what the client gave back, what came to the vendors, and what was paid."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clients.roster import Client
from clients.stage import SOURCE, Given, Stage
from clients.wires import Lossy, unwrapped

Judge = Callable[[Stage, Client, Given, Any], None]

# OpenAI's thirteen fields, and their types in a video that has just been made.
FIELDS: Mapping[str, type | None] = {
    "id": str,
    "object": str,
    "model": str,
    "status": str,
    "progress": int,
    "created_at": int,
    "completed_at": None,
    "expires_at": None,
    "prompt": str,
    "size": str,
    "seconds": str,
    "remixed_from_video_id": None,
    "error": None,
}
# The status, code and param of each error, and words of its message.
ERRORS: Mapping[str, tuple[int, str, str | None, str]] = {
    "model": (400, "model_not_found", "model", "no-such-model"),
    "key": (401, "invalid_api_key", None, "No valid API key"),
    "unknown": (404, "video_not_found", "video_id", "video_unknown"),
    "early": (400, "video_not_ready", "video_id", "not completed"),
}
_SDK = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError"}
CLASSES: Mapping[str, Mapping[int, str]] = {
    **dict.fromkeys(("python", "node", "litellm"), _SDK),
    "curl": dict.fromkeys(_SDK, "exit 22"),
    "browser": dict.fromkeys(_SDK, "Error"),
}


def made(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """A new video of this prompt, whose whole record its client has."""
    kept = {name: kind for name, kind in FIELDS.items() if name not in client.drops}
    found = {name: None if video[name] is None else type(video[name]) for name in kept}
    assert found == kept, video
    truth = shown(stage, video["id"])
    assert truth["prompt"] == given["prompt"]
    assert (video["object"], video["status"], video["progress"]) == ("video", client.words["queued"], 0)
    assert (video["size"], video["seconds"], video["model"]) == ("1280x720", "4", "sora-2")
    assert video["created_at"] == truth["created_at"]


def shown(stage: Stage, video_id: str) -> dict[str, Any]:
    """A video as anybody reads it, in OpenAI's words."""
    answer = stage.api.get(f"/openai/v1/videos/{video_id}").raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def completed(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """A completed video, paid for once."""
    assert (video["status"], video["progress"]) == (client.words["completed"], 100)
    assert (video["size"], video["seconds"], video["error"]) == ("1280x720", "4", None)
    assert shown(stage, video["id"])["prompt"] == given["prompt"]
    assert len(stage.paid(given["prompt"])) == 1


def awaited(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """A completed video, and its content in a file."""
    completed(stage, client, given, video)
    assert Path(given["out"]).read_bytes() == stage.api.get(f"/v1/videos/{video['id']}/content").content


def optional(stage: Stage, client: Client, given: Given, videos: Any) -> None:
    """Each vendor got its options; the one that is none is reported."""
    wanxiang, kling = (stage.witness.of(each["prompt"]) for each in given["optional"])
    assert (wanxiang["watermark"], wanxiang["seed"]) == (False, 7)
    assert kling["camera_control"] == given["optional"][1]["options"]["camera_control"]
    assert kling["negative_prompt"] == "rain"
    adjusted = [each for each in shown(stage, videos[1]["id"])["adjustments"] if each["field"].startswith("metadata")]
    assert [(each["field"], each["used"]) for each in adjusted] == [("metadata.nothing", None)]


def bracketed(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """The vendor got the options that stood in brackets."""
    sent = stage.witness.of(given["prompt"])
    assert (sent["watermark"], sent["seed"]) == (False, 7)
    assert not [each for each in shown(stage, video["id"]).get("adjustments", []) if "metadata" in each["field"]]


def pictured(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """The vendor got the picture."""
    assert stage.witness.of(given["prompt"])["input_reference"] == stage.file("cat.png")
    assert shown(stage, video["id"])["prompt"] == given["prompt"]


def two_pictures(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """The vendor got both pictures in their order."""
    images = [unwrapped(each) for each in stage.witness.of(given["prompt"])["images"]]
    assert images == [stage.file("cat.png"), stage.file("dog.png")]


def as_it_is(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """The video's record: nothing is missing but what the client drops, nothing else."""
    truth = shown(stage, given["source"])
    truth["status"] = client.words[truth["status"]]
    kept = [name for name in FIELDS if name not in client.drops]
    assert {name: video[name] for name in kept} == {name: truth[name] for name in kept}


def all_five(stage: Stage, client: Client, given: Given, listed: Any) -> None:
    """Every video once, in both orders."""
    assert listed == [stage.five[::-1], stage.five]


def gone(stage: Stage, client: Client, given: Given, result: Any) -> None:
    """The video is gone for everybody, and the client says so in its own way."""
    answer = result["gone"]
    assert (answer["id"], answer["object"], answer["deleted"]) == (result["made"], "video.deleted", True)
    assert (result["then"]["class"], result["then"]["status"]) == (CLASSES[client.family][404], 404)
    assert stage.api.get(f"/v1/videos/{result['made']}").status_code == 404


def saved(stage: Stage, client: Client, given: Given, result: Any) -> None:
    """The file is the video, byte for byte."""
    assert Path(given["out"]).read_bytes() == stage.file("big.mp4")


def in_pieces(stage: Stage, client: Client, given: Given, pieces: Any) -> None:
    """So it is when it came in pieces."""
    saved(stage, client, given, None)
    assert pieces > 1


def thumbnail(stage: Stage, client: Client, given: Given, result: Any) -> None:
    """The file is a WebP picture."""
    head = Path(given["out"]).read_bytes()[:12]
    assert (head[:4], head[8:]) == (b"RIFF", b"WEBP")


def reworked(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """The vendor was told its own id of the source, once."""
    stage.witness.of(given["prompt"])
    (job,), (source,) = stage.paid(given["prompt"]), stage.paid(SOURCE)
    assert job["source"] == source["id"]
    assert shown(stage, video["id"])["prompt"] == given["prompt"]


def remixed(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """A remix names its source."""
    reworked(stage, client, given, video)
    assert video["remixed_from_video_id"] == given["source"]
    assert (video["size"], video["seconds"]) == ("640x360", "4")


def extended(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """An extension is as long as both parts together."""
    reworked(stage, client, given, video)
    assert video["seconds"] == "8"


def film(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """The vendor got the film."""
    assert stage.witness.of(given["prompt"])["video"] == stage.file("film.mp4")
    assert shown(stage, video["id"])["prompt"] == given["prompt"]


def errors(stage: Stage, client: Client, given: Given, found: Any) -> None:
    """Each error is one of the client's own, with what we said in it."""
    assert found.keys() == ERRORS.keys()
    for name, (status, code, param, words) in ERRORS.items():
        error = found[name]
        kind = client.errors.get(name, CLASSES[client.family][status])
        assert (error["class"], error["status"]) == (kind, status), error
        assert words in error["message"]
        if client.family != "litellm":  # its errors have a message alone
            assert (error["code"], error["param"]) == (code, param)
            assert error["request_id"]


def failed(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """A failure that can be read."""
    assert video["status"] == "failed"
    assert video["error"]["code"] == "vendor_error"
    assert video["error"]["message"] == shown(stage, video["id"])["error"]["message"]


def lost(stage: Stage, client: Client, given: Given, video: Any) -> None:
    """Two requests came through the line, and one video was made of them and paid for."""
    line: Lossy = given["line"]
    assert line.cut
    assert len(line.posts) == 2
    if client.family in ("python", "node"):
        assert [post["x-stainless-retry-count"] for post in line.posts] == ["0", "1"]
    stage.witness.of(given["prompt"])
    listed = stage.api.get("/v1/videos?limit=100").raise_for_status().json()["data"]
    assert [each["id"] for each in listed if each["prompt"] == given["prompt"]] == [video["id"]]
    assert len(stage.paid(given["prompt"])) == 1


JUDGES: Mapping[str, Judge] = {
    "create": made,
    "poll": completed,
    "async": awaited,
    "metadata": optional,
    "options": optional,
    "json": bracketed,
    "picture-file": pictured,
    "picture-open": pictured,
    "picture-bytes": pictured,
    "picture-stream": pictured,
    "picture-blob": pictured,
    "picture-named": pictured,
    "picture-fetched": pictured,
    "picture-several": two_pictures,
    "picture-link": pictured,
    "picture-data": pictured,
    "picture-text": pictured,
    "picture-json": pictured,
    "retrieve": as_it_is,
    "list": all_five,
    "delete": gone,
    "download": saved,
    "download-stream": in_pieces,
    "download-variant": thumbnail,
    "remix": remixed,
    "edit": reworked,
    "edit-file": film,
    "extend": extended,
    "extend-file": film,
    "errors": errors,
    "failed": failed,
    "lost": lost,
    "lost-upload": lost,
}
