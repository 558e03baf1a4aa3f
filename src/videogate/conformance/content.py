"""Content: the file of a finished video."""

import re

import httpx

from videogate.conformance.check import Check
from videogate.conformance.client import of
from videogate.conformance.findings import Skipped, brief, envelope, expect
from videogate.conformance.session import WATCHED, Session
from videogate.conformance.watch import BROKEN, DONE

EARLY = (400, 404)
PICTURES = (b"RIFF", b"\xff\xd8\xff", b"\x89PNG")
DOTNET = "image/webp, text/plain, video/mp4"


def _early(session: Session) -> None:
    watch = session.watch
    if watch.early is None:
        raise Skipped("the request got no answer")
    if watch.words[1:2] and watch.words[1] in DONE | BROKEN:
        raise Skipped("the video had ended before one could ask")
    envelope(watch.early, *EARLY)


def _whole(session: Session) -> None:
    answer = session.whole
    expect(answer.status_code == httpx.codes.OK, brief(answer))
    expect(answer.content[4:8] == b"ftyp", f"no MP4: {brief(answer)}")


def _media_type(session: Session) -> None:
    kind = session.whole.headers.get("content-type", "")
    expect(kind.partition(";")[0].strip() == "video/mp4", kind or "no content type")


def _direct(session: Session) -> None:
    answer = session.content(method="GET", follow=False)
    expect(answer.status_code == httpx.codes.OK, f"{answer.status_code} to another place")


def _length(session: Session) -> None:
    told, came = session.whole.headers.get("content-length"), len(session.whole.content)
    expect(told == str(came), f"Content-Length {told}, {came} bytes")


def _accept(session: Session) -> None:
    for kind in ("application/binary", DOTNET, "*/*"):
        answer = session.content(headers={"accept": kind, "range": "bytes=0-99"})
        expect(answer.status_code in (200, 206), f"Accept: {kind}: {brief(answer)}")


def _disposition(session: Session) -> None:
    value = session.whole.headers.get("content-disposition", "")
    expect(re.search(r"filename\*?=.*\.mp4", value), value or "no Content-Disposition")


def _private(session: Session) -> None:
    value = session.whole.headers.get("cache-control", "")
    expect("private" in value or "no-store" in value, value or "no Cache-Control")


def _variant_video(session: Session) -> None:
    answer = session.content(variant="video")
    expect(answer.status_code == httpx.codes.OK and answer.content == session.whole.content, brief(answer))


def _variant_unknown(session: Session) -> None:
    envelope(session.content(variant="hologram"), 400, param="variant")


def _thumbnail(session: Session) -> None:
    _picture(session, "thumbnail")


def _spritesheet(session: Session) -> None:
    _picture(session, "spritesheet")


def _picture(session: Session, variant: str) -> None:
    answer = session.content(variant=variant)
    if answer.status_code == httpx.codes.BAD_REQUEST:
        envelope(answer, 400, param="variant")
        return
    kind = answer.headers.get("content-type", "")
    sound = kind.startswith("image/") and answer.content.startswith(PICTURES)
    expect(answer.status_code == httpx.codes.OK and sound, f"{kind}: {brief(answer)}")


def _url(session: Session) -> str:
    url = session.finished.get("url")
    if not isinstance(url, str) or not url:
        raise Skipped("the server gives no `url`")
    return url


def _opens(session: Session, url: str, key: str | None) -> None:
    answer = session.client.send("GET", url, headers={"authorization": key, "accept": "*/*"}, follow=True)
    expect(answer.status_code == httpx.codes.OK and answer.content[4:8] == b"ftyp", brief(answer))


def _url_alone(session: Session) -> None:
    _opens(session, _url(session), None)


def _url_with_key(session: Session) -> None:
    url = _url(session)
    # Another host gets a made-up key: the real one is not for it.
    key = session.target.key if session.client.is_here(url) else "not-a-key"
    _opens(session, url, f"Bearer {key}")


def _repeated(session: Session) -> None:
    path = of(session.made(WATCHED), "/content")
    first, again = (session.client.send("GET", path, follow=True) for _ in range(2))
    expect(again.content == first.content == session.whole.content, f"{brief(first)}, then {brief(again)}")


CHECKS = tuple(
    Check(f"content.{name}", claim, needed_by, look, must=must, shared=(WATCHED,))
    for name, claim, needed_by, look, must in (
        (
            "early",
            "Before the end content is a 400 or 404 in the envelope: never 409, 425, 5xx or a success.",
            "OpenAI's SDKs send again on 409 and 5xx, and save any 2xx as the film.",
            _early,
            True,
        ),
        ("whole", "Content is a 200 with an MP4.", "Everybody.", _whole, True),
        ("media-type", "Content is called video/mp4.", "Browsers, LiteLLM.", _media_type, True),
        (
            "direct",
            "Content comes from the server itself, without a redirect.",
            "OpenAI's .NET SDK; clients whose key does not follow to another host.",
            _direct,
            False,
        ),
        ("length", "`Content-Length` is the file's.", "Whoever must notice that a download broke off.", _length, True),
        (
            "accept",
            "Any `Accept` gets the content: application/binary, or a list without it.",
            "OpenAI's Python and .NET SDKs.",
            _accept,
            True,
        ),
        ("repeated", "Content can be fetched again, and is the same.", "Retries.", _repeated, True),
        ("disposition", "`Content-Disposition` names an .mp4 file.", "Browsers.", _disposition, False),
        ("private", "`Cache-Control` keeps shared caches out.", "Whoever sits behind a proxy.", _private, False),
        ("variant-video", "`variant=video` is the film.", "The reference; OpenAI's SDKs.", _variant_video, True),
        (
            "variant-unknown",
            "A variant that does not exist is a 400 that names `variant`.",
            "OpenAI's SDKs would save anything else.",
            _variant_unknown,
            True,
        ),
        (
            "thumbnail",
            "`variant=thumbnail` is a picture, or a 400 that names `variant`.",
            "The reference.",
            _thumbnail,
            True,
        ),
        (
            "spritesheet",
            "`variant=spritesheet` is a picture, or a 400 that names `variant`.",
            "The reference.",
            _spritesheet,
            True,
        ),
        ("url-alone", "`url` opens without a header, where there is one.", "Players and web pages.", _url_alone, True),
        (
            "url-with-key",
            "`url` opens with an Authorization header too, where there is one.",
            "LobeHub attaches its key to it.",
            _url_with_key,
            True,
        ),
    )
)
