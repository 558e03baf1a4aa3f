"""What every client does: one list, from which the tests and docs/clients.md are made."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, and what must be true of it."""

    group: str
    title: str
    claim: str


CREATE, PICTURES, READ, DOWNLOAD, REWORK, TROUBLE = (
    "Making a video",
    "Pictures",
    "Reading",
    "Downloading",
    "Videos from videos",
    "Trouble",
)
_ARRIVES = "The vendor gets the picture byte for byte"

STEPS: Mapping[str, Step] = {
    "create": Step(CREATE, "create", "A queued video with every field of OpenAI's, each of its type."),
    "poll": Step(
        CREATE,
        "create and poll",
        "The client's own helper, or the loop of its documentation, ends with a completed video of the size and length"
        " that were asked for, which is paid for once.",
    ),
    "async": Step(CREATE, "async", "The asynchronous client makes, awaits and downloads a video."),
    "metadata": Step(
        CREATE,
        "`metadata`",
        "Nested options, lists, numbers and flags reach two vendors with their types; the caller is told of one that"
        " the model does not have.",
    ),
    "options": Step(CREATE, "options beside it", "The same options at the top of the request mean the same."),
    "json": Step(CREATE, "brackets in JSON", "`metadata[watermark]` as a name in a JSON body is read as in a form."),
    "picture-file": Step(PICTURES, "a path", f"{_ARRIVES}."),
    "picture-open": Step(PICTURES, "an open file", f"{_ARRIVES}, also of a body without a length."),
    "picture-bytes": Step(PICTURES, "bytes", f"{_ARRIVES}, whatever type and name it is labelled with."),
    "picture-stream": Step(PICTURES, "a stream in memory", f"{_ARRIVES}."),
    "picture-blob": Step(PICTURES, "a Blob", f"{_ARRIVES}."),
    "picture-named": Step(PICTURES, "with name and type", f"{_ARRIVES}; its name may be in any script."),
    "picture-fetched": Step(PICTURES, "what `fetch` got", f"{_ARRIVES}."),
    "picture-several": Step(PICTURES, "two files", "The vendor gets both, in their order."),
    "picture-link": Step(
        PICTURES, "a link in an object", "The gateway opens `image_url`; the vendor gets what is there."
    ),
    "picture-data": Step(PICTURES, "a data URL", f"{_ARRIVES}."),
    "picture-text": Step(PICTURES, "a link alone", "`input_reference` may be the link itself."),
    "picture-json": Step(PICTURES, "a link in JSON", "`input_reference[image_url]` may be a name in a JSON body."),
    "retrieve": Step(READ, "retrieve", "The video as anybody reads it."),
    "list": Step(
        READ,
        "list",
        "Five videos over three pages, each once, newest first and oldest first; the client turns the pages.",
    ),
    "delete": Step(READ, "delete", "It is gone: a retrieve afterwards is the client's error for a 404."),
    "download": Step(DOWNLOAD, "whole", "The MP4 byte for byte."),
    "download-stream": Step(DOWNLOAD, "in pieces", "The MP4 byte for byte, in more than one piece."),
    "download-variant": Step(DOWNLOAD, "thumbnail", "A WebP picture."),
    "remix": Step(REWORK, "remix", "A video that names its source; the vendor is told its own id of it."),
    "edit": Step(REWORK, "edit", "An edit of a video by its id; the vendor is told its own id of it."),
    "edit-file": Step(REWORK, "edit of a file", "The vendor gets the film byte for byte."),
    "extend": Step(REWORK, "extend", "As long as both parts together; the vendor is told its own id of the source."),
    "extend-file": Step(REWORK, "extend a file", "The vendor gets the film byte for byte."),
    "errors": Step(
        TROUBLE,
        "errors",
        "An unknown model, a wrong key, an unknown video, content before there is any: the client's own classes, and"
        " our words in them.",
    ),
    "failed": Step(TROUBLE, "a failed video", "It ends as `failed` with a code and a message, and raises nothing."),
    "lost": Step(
        TROUBLE,
        "a lost answer",
        "The line breaks when the answer comes. The request comes twice, and one video is paid.",
    ),
    "lost-upload": Step(TROUBLE, "a lost answer, with a file", "The same with a picture."),
}
