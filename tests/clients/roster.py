"""The clients: where each comes from, which steps it cannot do and why, and in what else it differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal

Words = Mapping[str, str]  # a status of OpenAI's, and the word that a client reads for it

OPENAI: Words = {word: word for word in ("queued", "in_progress", "completed", "failed")}
OURS: Words = {"queued": "processing", "in_progress": "processing", "completed": "succeeded", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class Client:
    """One client in one version.

    Attributes:
        family: which driver drives it.
        package: what is installed for it, as its package manager calls it; None: nothing, it is there or it is not.
        everyday: whether `make test` runs it, too.
        path: of its base URL.
        drops: fields of a video that it does not pass on.
        errors: of the step of this name, those whose class does not follow from the status.
        cannot: steps, and why it has no way to do them.
        differs: what else its users should know, in sentences.
    """

    name: str
    family: Literal["python", "litellm", "node", "curl", "browser"]
    version: str
    package: str | None = None
    everyday: bool = False
    path: str = "/v1"
    words: Words = field(default_factory=lambda: OPENAI)
    drops: frozenset[str] = frozenset()
    errors: Mapping[str, str] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)
    differs: tuple[str, ...] = ()


_NOT_PYTHON = {
    "picture-blob": "Python has no Blob",
    "picture-fetched": "Python has no `fetch`; `input_reference` may be the bytes that another library got",
}
_NO_EDITS = "this version has neither edits nor extensions"
_OLDEST = dict.fromkeys(("edit", "edit-file", "extend", "extend-file"), _NO_EDITS)
_OBJECTS = (
    '`input_reference={"image_url": …}` and `video={"id": …}` raise in the SDK before anything is sent: give them in'
    " `extra_body`."
)
_NODE = {
    "async": "it has no other kind of client",
    "picture-file": "it takes no path; `fs.createReadStream` opens one",
    "picture-stream": "JavaScript has none beside a Blob and a file",
}
_NO_HELPER = "It has no poll helper; the loop of OpenAI's guide is run."
_CHUNKED = "`fs.ReadStream` goes without a length, and the SDK does not send it again: use `toFile` for retries."
_NEVER = "every create of it is a form"
_FILE = "it sends whatever `input_reference` is as a file"
_LITELLM = {
    "metadata": "it keeps a field of this name to itself: give options at the top, in `extra_body`",
    "json": _NEVER,
    "picture-json": _NEVER,
    "picture-file": "it takes no path: open the file",
    "picture-blob": "Python has no Blob",
    "picture-named": "it names and labels files itself",
    "picture-fetched": "Python has no `fetch`",
    **dict.fromkeys(("picture-link", "picture-data", "picture-text"), _FILE),
    "picture-several": "it takes one",
    "delete": "its SDK has none for this format",
    "download-stream": "it reads the whole into memory",
    "extend-file": "it takes an id",
}
_REPEATS = (
    "Chromium repeats a request whose answer was lost on a line that was in use before, and counts no tries: send an"
    " `Idempotency-Key` with each create."
)
_PLAIN = {
    "async": "there is no other kind",
    "picture-open": "that is what a path is here",
}

CLIENTS: Mapping[str, Client] = {
    "openai-python": Client(
        "openai-python 3", "python", version("openai"), everyday=True, cannot=_NOT_PYTHON, differs=(_OBJECTS,)
    ),
    "openai-python-2": Client(
        "openai-python 2", "python", "2.54.0", "openai==2.54.0", cannot=_NOT_PYTHON, differs=(_OBJECTS,)
    ),
    "openai-python-2.2": Client(
        "openai-python 2.2",
        "python",
        "2.2.0",
        "openai==2.2.0",
        cannot={**_NOT_PYTHON, **_OLDEST},
        differs=(_OBJECTS, "Without a file a create of it is JSON."),
    ),
    "openai-node-7": Client(
        "openai-node 7",
        "node",
        "7.59.0",
        "openai@7.59.0",
        everyday=True,
        cannot=_NODE,
        differs=(_NO_HELPER, _CHUNKED, "It wants Node 22 or newer."),
    ),
    "openai-node-6": Client(
        "openai-node 6",
        "node",
        "6.49.0",
        "openai@6.49.0",
        cannot={**_NODE, "picture-blob": "it leaves out a Blob that has no name: make a `File` of it"},
        differs=(_NO_HELPER, _CHUNKED),
    ),
    "litellm": Client(
        "LiteLLM's SDK",
        "litellm",
        "1.110.2",
        "litellm==1.110.2",
        drops=frozenset({"prompt"}),
        errors={"model": "NotFoundError"},
        cannot=_LITELLM,
        differs=(
            "Models are named `openai/…`, with `api_base` set.",
            "It wraps ids in its own; `video_status` and the others unwrap them. It keeps no `prompt`.",
            "Its errors have a class, a status and a message; an unknown model is a `NotFoundError`, by its code.",
            "It lists one page at a time, and has no poll helper.",
            "It never sends a create again: a caller who does should give an `Idempotency-Key` in `extra_headers`.",
        ),
    ),
    "curl": Client(
        "curl",
        "curl",
        "the machine's (7.88.1)",
        everyday=True,
        words=OURS,
        cannot={
            **_PLAIN,
            "picture-bytes": "it has no memory of its own to send from",
            "picture-blob": "it has no Blob",
            "picture-fetched": "it has no `fetch`",
        },
        differs=(
            "It reads the gateway's own status words, unless it asks for OpenAI's; see the dialects in the README.",
            "`--retry` sends a create again: give an `Idempotency-Key`, since curl does not count its tries.",
        ),
    ),
    "browser": Client(
        "a browser's `fetch` and `FormData`",
        "browser",
        "the machine's (Chromium 150)",
        everyday=True,
        path="/openai/v1",
        cannot={
            **_PLAIN,
            "picture-bytes": "bytes become a Blob",
            "picture-stream": "no browser sends a stream in a form",
        },
        differs=(
            "The page's origin must be in `VIDEOGATE_CORS_ORIGINS`.",
            'A path is what the reader of the page chose in an `<input type="file">`.',
            "At `/openai/v1` it reads OpenAI's status words, at `/v1` the gateway's.",
            _REPEATS,
        ),
    ),
}
