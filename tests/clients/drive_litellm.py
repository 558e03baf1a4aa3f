"""LiteLLM's SDK, step by step. Run by the Python of the environment that has it.

One line of JSON in is a step's name and what it is given; one line of JSON out is what the SDK gave back.
"""

import asyncio
import io
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import litellm  # type: ignore[import-not-found] # it is in an environment of its own
from litellm.types.videos.utils import extract_original_video_id  # type: ignore[import-not-found]

Given = dict[str, Any]
MODEL = "openai/sora-2"


def at(given: Given) -> dict[str, Any]:
    """Where the gateway is."""
    return {"api_base": given["url"], "api_key": given["key"], "custom_llm_provider": "openai"}


def plain(video: Any) -> Any:
    """An answer of the SDK as JSON; without the wrapping that it puts around ids."""
    return {**video.model_dump(mode="json"), "id": inner(video.id)}


def inner(video_id: str) -> str:
    """The gateway's id within LiteLLM's, which names the provider and the model beside it."""
    return str(extract_original_video_id(video_id))


def create(given: Given, **more: Any) -> Any:
    return litellm.video_generation(model=MODEL, prompt=given["prompt"], **{**at(given), **more})


async def finished(video: Any, given: Given) -> Any:
    """LiteLLM has no poll helper: this is the loop of its documentation."""
    while video.status in ("queued", "in_progress"):
        await asyncio.sleep(0.2)
        video = await litellm.avideo_status(video.id, **at(given))
    return video


def awaited(given: Given) -> Any:
    async def both() -> Any:
        asked: Any = {"seconds": "4", "size": "1280x720", **at(given)}
        video = await litellm.avideo_generation(model=MODEL, prompt=given["prompt"], **asked)
        video = await finished(video, given)
        content = await litellm.avideo_content(video.id, **at(given))
        await asyncio.to_thread(Path(given["out"]).write_bytes, content)
        return plain(video)

    return asyncio.run(both())


def options(given: Given) -> Any:
    return [
        plain(
            litellm.video_generation(
                model=f"openai/{each['model']}", prompt=each["prompt"], extra_body=each["options"], **at(given)
            )
        )
        for each in given["optional"]
    ]


def open_file(given: Given) -> Any:
    with Path(given["picture"]).open("rb") as file:
        return plain(create(given, input_reference=file))


def content_of(given: Given) -> bytes:
    return Path(given["picture"]).read_bytes()


def pages(given: Given) -> Any:
    """It lists a page at a time: its caller asks for the next one."""
    return [_pages({**at(given), "api_key": given["five_key"]}, order) for order in ("desc", "asc")]


def _pages(there: dict[str, Any], order: str) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page: Any = litellm.video_list(limit=2, order=order, after=after, **there)
        ids += [inner(video["id"]) for video in page["data"]]
        if not page["has_more"]:
            return ids
        after = page["last_id"]


def save(given: Given, **more: Any) -> None:
    content: Any = litellm.video_content(given["big"], **at(given), **more)
    Path(given["out"]).write_bytes(content)


def edit_file(given: Given) -> Any:
    film = Path(given["film"]).read_bytes()
    return plain(litellm.video_edit("", prompt=given["prompt"], video=film, **at(given)))


def error(call: Callable[[], Any]) -> Any:
    """What a call raises, as its caller sees it."""
    try:
        call()
    except Exception as raised:  # noqa: BLE001 (which class it is, is the question)
        status = getattr(raised, "status_code", None)
        return {"class": type(raised).__name__, "status": status, "message": str(raised)}
    return None


def errors(given: Given) -> Any:
    there = at(given)
    return {
        "model": error(lambda: litellm.video_generation(model="openai/no-such-model", prompt="x", **there)),
        "key": error(lambda: litellm.video_list(**{**there, "api_key": "vg-wrong"})),
        "unknown": error(lambda: litellm.video_status("video_unknown", **there)),
        "early": error(lambda: litellm.video_content(given["unfinished"], **there)),
    }


def lost(given: Given, **more: Any) -> Any:
    """It sends a create once: its caller asks again, with a key of its own."""
    there = {"api_base": given["lossy"], "extra_headers": {"Idempotency-Key": given["prompt"]}}
    try:
        return plain(create(given, **there, **more))
    except litellm.InternalServerError:  # what it makes of a line that broke
        return plain(create(given, **there, **more))


STEPS: dict[str, Callable[[Given], Any]] = {
    "create": lambda given: plain(create(given, seconds="4", size="1280x720")),
    "poll": lambda given: plain(asyncio.run(finished(create(given, seconds="4", size="1280x720"), given))),
    "async": awaited,
    "options": options,
    "picture-open": open_file,
    "picture-bytes": lambda given: plain(create(given, input_reference=content_of(given))),
    "picture-stream": lambda given: plain(create(given, input_reference=io.BytesIO(content_of(given)))),
    "retrieve": lambda given: plain(litellm.video_status(given["source"], **at(given))),
    "list": pages,
    "download": save,
    "download-variant": lambda given: save(given, variant="thumbnail"),
    "remix": lambda given: plain(litellm.video_remix(given["source"], prompt=given["prompt"], **at(given))),
    "edit": lambda given: plain(litellm.video_edit(given["source"], prompt=given["prompt"], **at(given))),
    "edit-file": edit_file,
    "extend": lambda given: plain(
        litellm.video_extension(given["source"], prompt=given["prompt"], seconds="4", **at(given))
    ),
    "errors": errors,
    "failed": lambda given: plain(asyncio.run(finished(create(given), given))),
    "lost": lost,
    "lost-upload": lambda given: lost(given, input_reference=content_of(given)),
}


def main() -> None:
    """Do the steps that come in, until there are no more."""
    out, sys.stdout = sys.stdout, sys.stderr  # LiteLLM prints
    litellm.suppress_debug_info = True
    for line in sys.stdin:
        step, given = json.loads(line)
        try:
            answer = {"result": STEPS[step](given)}
        except Exception:  # noqa: BLE001 (the test says what it was)
            answer = {"raised": traceback.format_exc()}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
