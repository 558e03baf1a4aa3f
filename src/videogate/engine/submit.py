"""Accept: check a request against the model's facts and make it durable. Nothing is sent here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from videogate import traces
from videogate.engine import sources
from videogate.engine.forget import forget
from videogate.engine.repeats import fingerprint, key_digest
from videogate.engine.shop import Shop, log
from videogate.engine.sources import SHOWN_MODELS, Choice
from videogate.store.database import DatabaseAway
from videogate.task.errors import Busy, CallerGone, CharacterNotFound, InvalidRequest, VideoExpired, VideoNotFound
from videogate.task.frames import Frame
from videogate.task.model import (
    Added,
    Adjustment,
    Deleted,
    Fitted,
    NewTask,
    Picture,
    Repeat,
    Role,
    Task,
    TaskSpec,
    Trying,
)
from videogate.vendorkit import inputs
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.facts import Model
from videogate.vendorkit.fit import NO_FOOTAGE, Footage, fit
from videogate.vendorkit.values import is_empty

DISK_PAUSE = 60.0  # seconds; until somebody has made room
NO_REPEAT = Repeat()


async def _stays() -> bool:
    return False


async def _no_callbacks(_owner: str, _url: str) -> None:
    raise InvalidRequest("This gateway calls nobody back.", param="callback_url", code="callback_url_not_allowed")


def _as_given(_owner: str, _vendor: Vendor, spec: TaskSpec) -> TaskSpec:
    return spec


class Submissions:
    """The caller's side of the engine: create and delete.

    Args:
        shop: stores and vendors.
        aliases: model names that stand for others.
        wake: tells the poller that something is due.
        callbacks: raises InvalidRequest for a link that a key may not have itself told of its video's end.
        named: gives a caller's characters the ids that a vendor knows them by.
    """

    def __init__(
        self,
        shop: Shop,
        aliases: Mapping[str, str],
        wake: Callable[[], None],
        callbacks: Callable[[str, str], Awaitable[None]] = _no_callbacks,
        named: Callable[[str, Vendor, TaskSpec], TaskSpec] = _as_given,
    ) -> None:
        self._shop = shop
        self._aliases = aliases
        self._wake = wake
        self._callbacks = callbacks
        self._named = named

    async def create(
        self,
        owner: str,
        spec: TaskSpec,
        request_id: str,
        repeat: Repeat = NO_REPEAT,
        gone: Callable[[], Awaitable[bool]] = _stays,
    ) -> Task:
        """Accept a request. On return the task is durable and a crash cannot lose it.

        Args:
            owner: whose task it becomes.
            spec: what is asked for.
            request_id: the id under which the log has the request.
            repeat: what the caller said about earlier tries. A task that one of them made is the answer to this one.
            gone: whether the caller has hung up.

        Raises InvalidRequest, naming the parameter, before anything is stored or spent, Busy and CallerGone; for the
        video that it begins with VideoNotFound and VideoExpired, for its characters CharacterNotFound.
        """
        if spec.callback_url is not None:
            await self._callbacks(owner, spec.callback_url)
        trying = self._trying(owner, spec, repeat)
        try:
            choice = await self._choose(owner, spec)
        except (VideoNotFound, VideoExpired, InvalidRequest):
            # A repeated request is answered as the first was, whatever has become of the video that it begins with.
            again = await self._shop.tasks.made_before(trying) if spec.source else None
            if again is None:
                raise
            await self._shop.inputs.drop(spec.files)
            return _repeated(again, request_id)
        vendor, model = choice.vendor, choice.model
        if not self._shop.disk.has_room():
            raise Busy("The gateway's disk is nearly full, so it takes no new videos. Nothing was spent.", DISK_PAUSE)
        lifted = await self._take_in(lift(choice.spec, vendor))
        try:
            checked = check(self._named(owner, vendor, lifted), vendor, model, choice.footage)
            added = await self._add(self._new(trying, vendor, model, checked, request_id), gone)
        except (InvalidRequest, CharacterNotFound, CallerGone, Busy) as error:
            if not (isinstance(error, DatabaseAway) and error.maybe_done):  # else the task may be there and need them
                await self._shop.inputs.drop(lifted.files)
            raise
        task = added.task
        traces.note({"videogate.video.id": task.id})
        if not added.new:
            await self._shop.inputs.drop(lifted.files)
            return _repeated(task, request_id)
        log.info(
            "task_accepted",
            task=task.id,
            request_id=request_id,
            owner=owner,
            vendor=vendor.name,
            model=model.name,
            state_to=task.state.value,
        )
        self._wake()
        return task

    async def delete(self, owner: str, task_id: str) -> Deleted:
        """Forget a task for its owner, remove its files, and stop its vendor where that can be done.

        Raises VideoNotFound.
        """
        return await forget(self._shop, owner, task_id)

    def _trying(self, owner: str, asked: TaskSpec, repeat: Repeat) -> Trying:
        key = None if repeat.key is None else key_digest(repeat.key)
        return Trying(owner, self._shop.clock(), fingerprint(asked), repeat.tries, key)

    async def _choose(self, owner: str, spec: TaskSpec) -> Choice:
        source = spec.source
        if source is None:
            return Choice(spec, *self._find(spec.model))
        made = await sources.find(self._shop, owner, source)
        if made is not None and not spec.model:
            vendor, model = sources.maker(self._shop, made, source)
            spec = replace(spec, model=made.model)
        else:
            vendor, model = self._find(spec.model)
        await sources.hold(self._shop, source, made, vendor, model)
        return Choice(spec, vendor, model, sources.footage(made))

    def _new(
        self, trying: Trying, vendor: Vendor, model: Model, checked: tuple[TaskSpec, Fitted], request_id: str
    ) -> NewTask:
        prepared, fitted = checked
        now = trying.at
        return NewTask(
            id=self._shop.new_id("video_"),
            owner=trying.owner,
            spec=prepared,
            fitted=fitted,
            vendor=vendor.name,
            account=vendor.account,
            vendor_model=model.name,
            client_ref=self._shop.new_id("vg"),
            created_at=now,
            deadline_at=now + self._shop.terms.deadline,
            request_id=request_id,
            traceparent=traces.traceparent(),
            fingerprint=trying.fingerprint,
            tries=trying.tries,
            idempotency=trying.idempotency,
        )

    async def _add(self, new: NewTask, gone: Callable[[], Awaitable[bool]]) -> Added:
        # A client that hung up tries again, and this try must not come behind that one and make a second video. Once
        # it waits for the database it is ahead of any later one.
        if await gone():
            raise CallerGone
        return await self._shop.tasks.add(new)

    async def _take_in(self, spec: TaskSpec) -> TaskSpec:
        """Bring pictures that came among the options to their stored form, as those of the fields already are."""
        if not spec.pictures:
            return spec
        taken: list[Picture] = []
        try:
            for picture in spec.pictures:
                stored = picture if picture.key else await self._shop.inputs.take(picture, "metadata")
                taken.append(stored)
        except (InvalidRequest, Busy):
            await self._shop.inputs.drop(taken)
            raise
        return replace(spec, pictures=tuple(taken))

    def _find(self, name: str) -> tuple[Vendor, Model]:
        wanted = self._aliases.get(name, name)
        for vendor in self._shop.vendors.values():
            if model := vendor.models.get(wanted):
                return vendor, model
        offered = [each for vendor in self._shop.vendors.values() for each in vendor.models]
        shown = ", ".join(offered[:SHOWN_MODELS]) or "none: no vendor's credentials are set"
        more = f" and {len(offered) - SHOWN_MODELS} more, see GET /v1/models" if len(offered) > SHOWN_MODELS else ""
        raise InvalidRequest(
            f"The model {name[:80]!r} is not available here. Available: {shown}{more}.",
            param="model",
            code="model_not_found",
        )


def _repeated(task: Task, request_id: str) -> Task:
    log.info("task_repeated", task=task.id, request_id=request_id, owner=task.owner, state=task.state.value)
    return task


def lift(spec: TaskSpec, vendor: Vendor) -> TaskSpec:
    """Give everything among the options that is a size, a length or a picture its place in the request.

    Raises InvalidRequest.
    """
    if not spec.options:
        return spec
    flat = inputs.lift_words(inputs.lift_options(spec, vendor.option_groups), vendor.option_words)
    return inputs.lift_pictures(flat, vendor.picture_options)


def check(lifted: TaskSpec, vendor: Vendor, offered: Model, footage: Footage = NO_FOOTAGE) -> tuple[TaskSpec, Fitted]:
    """Hold a request against what the model can do: the request as it will be sent, and how it was fitted.

    `footage` is what is known of the video that it begins with. Raises InvalidRequest.
    """
    model = inputs.choose_way(lifted, offered)
    if model.prompt_needed and not lifted.prompt.strip():
        raise InvalidRequest("prompt must say what the video shows.", param="prompt", code="missing_required_parameter")
    pictures = inputs.arrange(lifted, model, vendor.models.values())
    choice = inputs.chooses(lifted, offered)
    given = {key: value for key, value in lifted.options.items() if key != "action" or not choice}
    options, unused = inputs.unused_options(given, model)
    for name in sorted(model.required_options - {key for key, value in options.items() if not is_empty(value)}):
        raise InvalidRequest(
            f"{model.name} needs metadata.{name}.", param=f"metadata.{name}", code="missing_required_parameter"
        )
    fitted = fit(lifted, model, _shape_giver(pictures), footage)
    ready = replace(lifted, pictures=pictures, options=options)
    return ready, _with(fitted, unused)


def _shape_giver(pictures: tuple[Picture, ...]) -> Frame | None:
    return next((picture.frame for picture in pictures if picture.role is Role.FIRST_FRAME), None)


def _with(fitted: Fitted, more: tuple[Adjustment, ...]) -> Fitted:
    return replace(fitted, adjustments=(*fitted.adjustments, *more)) if more else fitted
