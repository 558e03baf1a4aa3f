"""What a request in OpenAI's video format begins with: a finished video by its id, a film, characters.

https://platform.openai.com/docs/api-reference/videos (remix, edit, extend, create character) and the guide, read
2026-11-23.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import av

from videogate.simulator.sora_inputs import error, invalid
from videogate.simulator.vendor import Refused
from videogate.simulator.world import Job, Stage

LONGEST_NAME = 80  # characters of a character's name
MOST_CHARACTERS = 2  # in one video


@dataclass(frozen=True, slots=True)
class Source:
    """A video to go on from; `id` is None for a film, whose model the request names itself."""

    id: str | None
    model: str
    width: int
    height: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Character:
    """A character."""

    id: str
    name: str
    created: int


def finished(job: Job, param: str) -> Source:
    """A job as a source. Raises Refused for one that is not completed."""
    if job.stage()[0] is not Stage.DONE:
        raise invalid("Only a completed video can be used.", param)
    return Source(job.id, job.model, job.width, job.height, job.seconds)


async def read_source(fields: dict[str, Any], find: Callable[[str], Job]) -> Source:
    """The source of an edit or an extension: `video`, an object with an id or a file. Raises Refused."""
    film, video = fields.get("film"), fields.get("video")
    if isinstance(film, bytes):
        width, height, seconds = await asyncio.to_thread(read_film, film)
        return Source(None, str(fields.get("model") or "sora-2"), width, height, seconds)
    if not isinstance(video, dict) or not isinstance(video.get("id"), str):
        message = "Invalid type for 'video': expected a file or an object with an id."
        raise Refused(error(400, message, code="invalid_type", param="video"))
    return finished(find(video["id"]), "video")


def read_film(data: bytes) -> tuple[int, int, float]:
    """Width, height and seconds of an MP4. Raises Refused."""
    try:
        with av.open(BytesIO(data), "r", format="mp4") as container:
            context, length = container.streams.video[0].codec_context, container.duration
            return context.width, context.height, round((length or 0) / av.time_base, 1)
    except (av.FFmpegError, IndexError, ValueError):
        raise invalid("Unsupported file: expected video/mp4.", "video") from None


def read_characters(fields: dict[str, Any], known: dict[str, Character]) -> list[str]:
    """The ids of the characters that a video is to show. Raises Refused."""
    given = fields.get("characters") or []
    if not isinstance(given, list) or len(given) > MOST_CHARACTERS:
        raise invalid(f"Invalid 'characters': a list of at most {MOST_CHARACTERS}.", "characters")
    ids = [each.get("id") if isinstance(each, dict) else None for each in given]
    if unknown := [each for each in ids if each not in known]:
        raise Refused(error(404, f"Character with id '{unknown[0]}' not found.", param="characters"))
    return [str(each) for each in ids]


def read_name(fields: dict[str, Any]) -> str:
    """A character's name. Raises Refused."""
    name = fields.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        raise invalid(f"Invalid 'name': 1 to {LONGEST_NAME} characters.", "name")
    return name
