"""Videos made from videos: which one is meant, whether a model takes it, and how its vendor is told."""

from collections.abc import Callable
from dataclasses import dataclass

from videogate.engine.shop import Shop
from videogate.store.claims import Claim
from videogate.task.errors import InvalidRequest, VideoExpired, VideoNotFound
from videogate.task.frames import Frame, parse_size
from videogate.task.model import Film, Source, Task, TaskSpec
from videogate.task.state import PHASES, TaskState
from videogate.vendorkit.client import FilePart
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.facts import Model, Told, VideoRule
from videogate.vendorkit.fit import NO_FOOTAGE, Footage
from videogate.vendorkit.order import OrderSource

SHOWN_MODELS = 12  # names in an error text
_ENDINGS = {"video/mp4": "mp4", "video/quicktime": "mov"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Who makes what a request asks for: `spec` names its model, `footage` tells of the video that it begins with."""

    spec: TaskSpec
    vendor: Vendor
    model: Model
    footage: Footage = NO_FOOTAGE


async def find(shop: Shop, owner: str, source: Source) -> Task | None:
    """The caller's video that a request begins with; None if that is a file.

    Raises VideoNotFound, and InvalidRequest for one that is not completed.
    """
    if source.video_id is None:
        return None
    made = await shop.tasks.get(owner, source.video_id)
    if made is None:
        raise VideoNotFound(source.video_id, source.param)
    if made.state is not TaskState.SUCCEEDED:
        raise InvalidRequest(
            f"Only a completed video can be used; '{made.id}' is {PHASES[made.state].value}.",
            param=source.param,
            code="video_not_ready",
        )
    return made


def maker(shop: Shop, made: Task, source: Source) -> tuple[Vendor, Model]:
    """Who made a video. Raises InvalidRequest if that is not on offer any more."""
    vendor = shop.vendors.get(made.vendor)
    if vendor is not None and (model := vendor.models.get(made.vendor_model)):
        return vendor, model
    raise _unable(shop, source, f"The model {made.model} is not available here just now.")


async def hold(shop: Shop, source: Source, made: Task | None, vendor: Vendor, model: Model) -> None:
    """Hold the video that a request begins with against what the model takes.

    Raises InvalidRequest, naming the models that can, and VideoExpired.
    """
    verb = source.rework.value
    ways = model.ways_to(source.rework)
    rule = ways[0].from_video if ways else None
    if rule is None:
        raise _unable(shop, source, f"{model.name} cannot {verb} a video.")
    if made is None:
        if not rule.as_file:
            raise _unable(shop, source, f"{model.name} takes no file to {verb}, only the id of a video made here.")
    elif rule.told is Told.LINK:
        _hold_link(shop, source, made, model)
    elif made.account != vendor.account or not (rule.any_model or made.vendor_model == model.name):
        whose = f"{vendor.name} made here" if rule.any_model else "it made here itself"
        raise _unable(shop, source, f"{model.name} can {verb} only videos that {whose}.")
    elif rule.told is Told.RESULT and await _result(shop, made) is None:
        raise InvalidRequest(
            f"Of '{made.id}' too little is known to {verb} it: it was made by an earlier version of this gateway.",
            param=source.param,
            code="unsupported_input",
        )


def footage(made: Task | None) -> Footage:
    """What is known of a video for the fit of another."""
    if made is None:
        return NO_FOOTAGE
    size = parse_size(made.size)
    return Footage(size if isinstance(size, Frame) else None, made.seconds)


async def order_source(shop: Shop, vendor: Vendor, claim: Claim, spec: TaskSpec, model: Model) -> OrderSource | None:
    """The video that an order begins with, as its vendor is told of it. Raises InvalidRequest for one that is gone."""
    source, rule = spec.source, model.from_video
    if source is None or rule is None:
        return None
    if source.film is not None:
        return OrderSource(source.rework, film=await _part(shop, source.film))
    video_id = source.video_id or ""
    if rule.told is Told.LINK:
        made = await shop.tasks.get(claim.task.owner, video_id)
        link = shop.video_link(claim.task.owner, video_id) if made and made.kept(shop.clock()) else None
        if link is None:
            raise InvalidRequest(f"The video '{video_id}' is gone.", param=source.param)
        return OrderSource(source.rework, link=link)
    receipt = await shop.tasks.receipt(video_id)
    if receipt is None or claim.task.account != vendor.account:
        raise InvalidRequest(f"The account that made '{video_id}' is not the one in use now.", param=source.param)
    return OrderSource(source.rework, receipt=receipt)


def _hold_link(shop: Shop, source: Source, made: Task, model: Model) -> None:
    if not made.kept(shop.clock()):
        raise VideoExpired(made.id, source.param)
    if shop.video_link(made.owner, made.id) is None:
        raise InvalidRequest(
            f"{model.name} opens a link to the video, and this gateway has no address for it: its operator must set "
            "VIDEOGATE_PUBLIC_URL.",
            param=source.param,
            code="unsupported_input",
        )


async def _result(shop: Shop, made: Task) -> str | None:
    receipt = await shop.tasks.receipt(made.id)
    return receipt.result if receipt else None


async def _part(shop: Shop, film: Film) -> FilePart:
    return FilePart(f"video.{_ENDINGS[film.mime]}", await shop.inputs.film(film), film.mime)


def _unable(shop: Shop, source: Source, why: str) -> InvalidRequest:
    """A refusal that names the models which can."""
    suits: Callable[[VideoRule], bool] = (lambda rule: rule.as_file) if source.film else (lambda _rule: True)
    able = [
        model.name
        for vendor in shop.vendors.values()
        for model in vendor.models.values()
        if any(way.from_video and suits(way.from_video) for way in model.ways_to(source.rework))
    ]
    names = ", ".join(able[:SHOWN_MODELS]) or "none"
    more = f" and {len(able) - SHOWN_MODELS} more, see GET /v1/models" if len(able) > SHOWN_MODELS else ""
    return InvalidRequest(f"{why} Models that can: {names}{more}.", param="model", code="unsupported_input")
