"""Picture sizes as callers write them: `1920x1080`, `1920*1080`, `720P`."""

import re
from dataclasses import dataclass
from math import gcd, log

from videogate.task.errors import InvalidRequest

_EXACT = re.compile(r"(\d{1,5})\s*[xX*×]\s*(\d{1,5})")  # people do paste the typographic ×
_TIER = re.compile(r"(\d{3,4})\s*[pP]")
_RATIO = re.compile(r"(\d{1,3})\s*:\s*(\d{1,3})")
_BIGGEST = 16_384


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def stretch(self) -> float:
        """The longer side by the shorter."""
        return max(self.width, self.height) / min(self.width, self.height)

    @property
    def ratio(self) -> str:
        """The aspect ratio in lowest terms, as in `16:9`."""
        common = gcd(self.width, self.height)
        return f"{self.width // common}:{self.height // common}"

    def distance(self, other: "Frame") -> float:
        """How unlike two frames are: shape counts more than area, both on a logarithmic scale."""
        shape = log(self.width / self.height) - log(other.width / other.height)
        return 4 * abs(shape) + abs(log(self.area / other.area))


@dataclass(frozen=True, slots=True)
class Tier:
    """A resolution class such as 720P, which says nothing about the shape."""

    lines: int

    def __str__(self) -> str:
        return f"{self.lines}P"


def parse_size(text: str, param: str = "size") -> Frame | Tier:
    """Read `WxH`, `W*H` or `720P`.

    Raises InvalidRequest, naming `param`, for anything else.
    """
    if exact := _EXACT.fullmatch(text.strip()):
        frame = Frame(int(exact[1]), int(exact[2]))
        if 0 < frame.width <= _BIGGEST and 0 < frame.height <= _BIGGEST:
            return frame
    elif tier := _TIER.fullmatch(text.strip()):
        return Tier(int(tier[1]))
    raise InvalidRequest(
        f"{param} must be width x height in pixels such as 1280x720, or a resolution such as 720P; got {text[:40]!r}.",
        param=param,
    )


def parse_ratio(text: str, param: str = "aspect_ratio") -> Frame:
    """Read `16:9` as a shape (a frame of 16 by 9).

    Raises InvalidRequest, naming `param`, for anything else.
    """
    found = _RATIO.fullmatch(text.strip())
    if found and int(found[1]) and int(found[2]):
        return Frame(int(found[1]), int(found[2]))
    raise InvalidRequest(f"{param} must look like 16:9; got {text[:40]!r}.", param=param)
