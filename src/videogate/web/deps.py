"""What routes are given: the caller, the dialect, the parts of the application."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from videogate.engine.callbacks import Callbacks
from videogate.engine.characters import Characters
from videogate.engine.figures import Figures
from videogate.engine.results import Results
from videogate.engine.submit import Submissions
from videogate.engine.watch import Watch
from videogate.engine.webhooks import Webhooks
from videogate.media.inputs import InputSpool
from videogate.store.tasks import TaskStore
from videogate.task.model import Fit
from videogate.web.auth import Caller, Keys, authenticate
from videogate.web.health import Health
from videogate.web.links import Links
from videogate.web.models import Catalogue
from videogate.wire import dialect


@dataclass(frozen=True, slots=True)
class Parts:
    """The application as the routes see it, put together by the composition root."""

    submissions: Submissions
    characters: Characters
    tasks: TaskStore
    inputs: InputSpool
    results: Results
    watch: Watch
    keys: Keys
    links: Links
    catalogue: Catalogue
    health: Health
    callbacks: Callbacks
    webhooks: Webhooks
    figures: Figures
    clock: Callable[[], float]
    redirect: bool  # to the storage's own link, where it makes any
    default_model: str
    default_fit: Fit
    default_dialect: str


async def parts(request: Request) -> Parts:  # async: FastAPI takes a plain function to a thread
    """The parts, from the application's state."""
    return cast("Parts", request.app.state.parts)


PartsOf = Annotated[Parts, Depends(parts)]


async def caller(request: Request, have: PartsOf) -> Caller:
    """The authenticated caller."""
    return await authenticate(request, have.keys)


CallerOf = Annotated[Caller, Depends(caller)]


async def _dialect(request: Request, have: PartsOf, who: CallerOf) -> dialect.Dialect:
    return dialect.choose(request.scope["path"], request.headers, of_key=who.dialect, default=have.default_dialect)


DialectOf = Annotated[dialect.Dialect, Depends(_dialect)]
