"""What a model can do, as data.

A fact is asked for by what it says ("which lengths?"), never by the name of a vendor or a model. Each kind of rule has
a variant that leaves the decision to the upstream.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from videogate.task.frames import Frame
from videogate.task.model import Rework, Role


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Exact sizes, by tier (lines) and aspect ratio. `shaped`: the picture chooses the ratio nearest to its own."""

    tiers: Mapping[int, Mapping[str, Frame]]
    shaped: bool = False

    def all(self) -> list[Frame]:
        return [frame for shapes in self.tiers.values() for frame in shapes.values()]


@dataclass(frozen=True, slots=True)
class PictureFrames:
    """The input picture gives the shape, the tier gives the number of pixels; sides are multiples of `multiple`."""

    tiers: tuple[int, ...]
    multiple: int = 16


@dataclass(frozen=True, slots=True)
class OpenFrames:
    """The upstream is the authority: sizes pass through untouched."""


@dataclass(frozen=True, slots=True)
class SourceFrames:
    """The size of the video that it is made from."""


FrameRule = FrameTable | PictureFrames | OpenFrames | SourceFrames


@dataclass(frozen=True, slots=True)
class Choices:
    """One of a few whole numbers of seconds."""

    allowed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Any whole number of seconds from `least` to `most`."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class OpenLength:
    """The upstream, or an audio or video input, decides the length."""


@dataclass(frozen=True, slots=True)
class SourceLength:
    """The length of the video that it is made from."""


@dataclass(frozen=True, slots=True)
class TierLengths:
    """Each tier has lengths of its own: some are made only small."""

    tiers: Mapping[int, "Choices | Span"]


LengthRule = Choices | Span | OpenLength | SourceLength | TierLengths


@dataclass(frozen=True, slots=True)
class PictureRule:
    """Which pictures a model takes: how many at least and at most in each role, and in which forms and limits.

    A `REFERENCE` picture counts for the first role that has room, in the order of `counts`.
    """

    counts: Mapping[Role, tuple[int, int]] = field(default_factory=dict)
    as_file: bool = True  # False: only a link will do
    as_link: bool = True  # False: the vendor opens no links, so we read them and send a file
    mimes: frozenset[str] = frozenset({"image/jpeg", "image/png", "image/webp"})
    most_bytes: int = 10 * 1024 * 1024
    side: tuple[int, int] = (1, 16_384)  # pixels, each side
    stretch: float = 100.0  # the longer side by the shorter, at most

    @property
    def needed(self) -> int:
        return sum(least for least, _ in self.counts.values())

    @property
    def most(self) -> int:
        return sum(most for _, most in self.counts.values())


class Told(StrEnum):
    """How a vendor is told which video it is to begin with."""

    JOB = "job"  # its id of the job: only what the same account made
    RESULT = "result"  # its id of the finished video: likewise
    LINK = "link"  # a link that it opens: anything that we keep


@dataclass(frozen=True, slots=True)
class VideoRule:
    """What a way makes of a video, and which videos it takes.

    `any_model`: also those that another of the account's models made. `as_file`: also a file. Of an extension the
    model's lengths are what is added.
    """

    rework: Rework
    told: Told
    any_model: bool = False
    as_file: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one vendor, used in one way.

    A name that can be used with other inputs too, at another of the vendor's endpoints, has `others`; `way` tells them
    apart. The engine picks the first of `ways` that takes the request's pictures. A way with a `from_video` begins with
    a video, and is for requests that name one.
    `usual_seconds` is how long the vendor usually takes to make a video with it: the poller looks first about then.
    `prompt_needed` says whether the model makes nothing without a text. `options` are the caller's metadata keys that
    mean something to it, `required_options` those without which the vendor refuses.
    """

    name: str
    frames: FrameRule
    lengths: LengthRule
    pictures: PictureRule = field(default_factory=PictureRule)
    usual_seconds: float = 60.0
    prompt_needed: bool = True
    abilities: frozenset[str] = frozenset()  # what GET /v1/models shows beside inputs, sizes and lengths
    options: frozenset[str] = frozenset()
    required_options: frozenset[str] = frozenset()
    source: str = ""
    way: str = ""
    from_video: VideoRule | None = None
    others: tuple["Model", ...] = ()

    @property
    def ways(self) -> tuple["Model", ...]:
        """Every way to use this name, the usual one first."""
        return (self, *self.others)

    def ways_to(self, rework: Rework | None) -> "tuple[Model, ...]":
        """The ways that make this of a video; None: those that begin without one."""
        return tuple(way for way in self.ways if (way.from_video.rework if way.from_video else None) is rework)


def in_ways(ways: Iterable[Model]) -> Model:
    """The ways of one name as one model, the first of them the usual one."""
    first, *others = ways
    return replace(first, others=tuple(others))


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator wants to know of a vendor before the first bill, in words; `source` is the vendor's page."""

    title: str
    source: str
    link: str  # how long a result's link lives
    record: str  # how long a job can be asked for
    cancel: str
    billing: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the vendor documents about how often it may be called, and how many jobs an account runs at once.

    `jobs_at_once` is for vendors that refuse a job too many; None where they let it wait, or say no number.
    """

    polls_per_second: float = 10.0
    submits_per_second: float = 5.0
    submits_at_once: int = 4
    polls_at_once: int = 16
    fetches_at_once: int = 4
    jobs_at_once: int | None = None
