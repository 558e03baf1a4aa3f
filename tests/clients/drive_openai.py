"""OpenAI's SDK for Python, step by step. Run by the Python of the environment that has the version in question.

One line of JSON in is a step's name and what it is given; one line of JSON out is what the SDK gave back.
"""

import asyncio
import io
import json
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
from openai import OpenAI

Given = dict[str, Any]
MODEL: Any = "sora-2"
JSON = {"Content-Type": "application/json"}
LEFT_OUT: Any = getattr(openai, "omit", openai.NotGiven())


def plain(video: Any) -> Any:
    """An answer of the SDK as JSON."""
    return video.model_dump(mode="json")


def create(client: OpenAI, given: Given) -> Any:
    return plain(client.videos.create(model=MODEL, prompt=given["prompt"], seconds="4", size="1280x720"))


def poll(client: OpenAI, given: Given) -> Any:
    # No interval: the helper goes by what the gateway's answers say.
    return plain(client.videos.create_and_poll(model=MODEL, prompt=given["prompt"], seconds="4", size="1280x720"))


def awaited(client: OpenAI, given: Given) -> Any:
    async def both() -> Any:
        async with openai.AsyncOpenAI(api_key=given["key"], base_url=given["url"]) as many:
            video = await many.videos.create_and_poll(
                model=MODEL, prompt=given["prompt"], seconds="4", size="1280x720", poll_interval_ms=100
            )
            content = await many.videos.download_content(video.id)
            await asyncio.to_thread(Path(given["out"]).write_bytes, content.read())
            return plain(video)

    return asyncio.run(both())


def metadata(client: OpenAI, given: Given) -> Any:
    return [
        plain(
            client.videos.create(model=each["model"], prompt=each["prompt"], extra_body={"metadata": each["options"]})
        )
        for each in given["optional"]
    ]


def options(client: OpenAI, given: Given) -> Any:
    return [
        plain(client.videos.create(model=each["model"], prompt=each["prompt"], extra_body=each["options"]))
        for each in given["optional"]
    ]


def as_json(client: OpenAI, given: Given) -> Any:
    body = {"metadata[watermark]": False, "metadata[seed]": 7}
    model: Any = "wan2.5-t2v-preview"
    return plain(client.videos.create(model=model, prompt=given["prompt"], extra_body=body, extra_headers=JSON))


def picture(client: OpenAI, given: Given, reference: Any) -> Any:
    return plain(client.videos.create(model=MODEL, prompt=given["prompt"], input_reference=reference))


def linked(client: OpenAI, given: Given, reference: Any) -> Any:
    body = {"input_reference": reference}
    return plain(client.videos.create(model=MODEL, prompt=given["prompt"], extra_body=body))


def open_file(client: OpenAI, given: Given) -> Any:
    with Path(given["picture"]).open("rb") as file:
        return picture(client, given, file)


def content_of(given: Given) -> bytes:
    return Path(given["picture"]).read_bytes()


def several(client: OpenAI, given: Given) -> Any:
    model: Any = "viduq1"
    files: Any = [Path(given["picture"]), Path(given["second"])]
    return plain(client.videos.create(model=model, prompt=given["prompt"], input_reference=files))


def json_link(client: OpenAI, given: Given) -> Any:
    body = {"input_reference[image_url]": given["link"]}
    return plain(client.videos.create(model=MODEL, prompt=given["prompt"], extra_body=body, extra_headers=JSON))


def retrieve(client: OpenAI, given: Given) -> Any:
    return plain(client.videos.retrieve(given["source"]))


def pages(client: OpenAI, given: Given) -> Any:
    orders: tuple[Any, Any] = ("desc", "asc")
    with OpenAI(api_key=given["five_key"], base_url=given["url"]) as other:
        return [[video.id for video in other.videos.list(limit=2, order=order)] for order in orders]


def delete(client: OpenAI, given: Given) -> Any:
    made = client.videos.create(model=MODEL, prompt=given["prompt"])
    gone = client.videos.delete(made.id)
    return {"made": made.id, "gone": plain(gone), "then": error(client.videos.retrieve, made.id)}


def whole(client: OpenAI, given: Given) -> Any:
    client.videos.download_content(given["big"]).write_to_file(given["out"])


def stream(client: OpenAI, given: Given) -> Any:
    pieces = 0
    with (
        client.videos.with_streaming_response.download_content(given["big"]) as answer,
        Path(given["out"]).open("wb") as file,
    ):
        for piece in answer.iter_bytes(65_536):
            pieces += 1
            file.write(piece)
    return pieces


def variant(client: OpenAI, given: Given) -> Any:
    client.videos.download_content(given["source"], variant="thumbnail").write_to_file(given["out"])


def remix(client: OpenAI, given: Given) -> Any:
    return plain(client.videos.remix(given["source"], prompt=given["prompt"]))


def edit(client: OpenAI, given: Given) -> Any:
    body = {"video": {"id": given["source"]}}
    return plain(client.videos.edit(prompt=given["prompt"], video=LEFT_OUT, extra_body=body))


def edit_file(client: OpenAI, given: Given) -> Any:
    return plain(client.videos.edit(prompt=given["prompt"], video=Path(given["film"])))


def extend(client: OpenAI, given: Given) -> Any:
    body = {"video": {"id": given["source"]}}
    return plain(client.videos.extend(prompt=given["prompt"], seconds="4", video=LEFT_OUT, extra_body=body))


def extend_file(client: OpenAI, given: Given) -> Any:
    return plain(client.videos.extend(prompt=given["prompt"], seconds="4", video=Path(given["film"])))


def error(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a call raises, as its caller sees it."""
    try:
        call(*arguments, **named)
    except openai.APIStatusError as raised:
        shown = {"class": type(raised).__name__, "status": raised.status_code, "message": str(raised)}
        return {**shown, "code": raised.code, "param": raised.param, "request_id": raised.request_id}
    return None


def errors(client: OpenAI, given: Given) -> Any:
    model: Any = "no-such-model"
    with OpenAI(api_key="vg-wrong", base_url=given["url"]) as stranger:
        return {
            "model": error(client.videos.create, model=model, prompt="x"),
            "key": error(stranger.videos.list),
            "unknown": error(client.videos.retrieve, "video_unknown"),
            "early": error(client.videos.download_content, given["unfinished"]),
        }


def failed(client: OpenAI, given: Given) -> Any:
    return plain(client.videos.create_and_poll(model=MODEL, prompt=given["prompt"], poll_interval_ms=100))


def lost(client: OpenAI, given: Given, **more: Any) -> Any:
    with OpenAI(api_key=given["key"], base_url=given["lossy"]) as unlucky:
        return plain(unlucky.videos.create(model=MODEL, prompt=given["prompt"], **more))


STEPS: dict[str, Callable[[OpenAI, Given], Any]] = {
    "create": create,
    "poll": poll,
    "async": awaited,
    "metadata": metadata,
    "options": options,
    "json": as_json,
    "picture-file": lambda client, given: picture(client, given, Path(given["picture"])),
    "picture-open": open_file,
    "picture-bytes": lambda client, given: picture(client, given, content_of(given)),
    "picture-stream": lambda client, given: picture(client, given, io.BytesIO(content_of(given))),
    "picture-named": lambda client, given: picture(client, given, ("猫.png", content_of(given), "image/png")),
    "picture-several": several,
    "picture-link": lambda client, given: linked(client, given, {"image_url": given["link"]}),
    "picture-data": lambda client, given: linked(client, given, {"image_url": given["data"]}),
    "picture-text": lambda client, given: linked(client, given, given["link"]),
    "picture-json": json_link,
    "retrieve": retrieve,
    "list": pages,
    "delete": delete,
    "download": whole,
    "download-stream": stream,
    "download-variant": variant,
    "remix": remix,
    "edit": edit,
    "edit-file": edit_file,
    "extend": extend,
    "extend-file": extend_file,
    "errors": errors,
    "failed": failed,
    "lost": lost,
    "lost-upload": lambda client, given: lost(client, given, input_reference=Path(given["picture"])),
}


def main() -> None:
    """Do the steps that come in, until there are no more."""
    # The SDK marks its video methods as deprecated since OpenAI's own service ended.
    warnings.simplefilter("ignore", DeprecationWarning)
    for line in sys.stdin:
        step, given = json.loads(line)
        try:
            with OpenAI(api_key=given["key"], base_url=given["url"]) as client:
                answer = {"result": STEPS[step](client, given)}
        except Exception:  # noqa: BLE001 (the test says what it was)
            answer = {"raised": traceback.format_exc()}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
