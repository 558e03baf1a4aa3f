"""For supervisors and load balancers."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from videogate.web.deps import CallerOf, PartsOf

router = APIRouter(prefix="/health")


@router.get("/live")
async def live() -> Response:
    """The process runs."""
    return JSONResponse({"status": "ok"})


@router.get("/ready")
async def ready(have: PartsOf) -> Response:
    """Requests can be served."""
    problems = await have.health.problems()
    return JSONResponse({"status": "not ready" if problems else "ok", "problems": problems}, 503 if problems else 200)


@router.get("/vendors")
async def vendors(have: PartsOf, _who: CallerOf) -> Response:
    """How the calls of vendors have been going, as far as they were made. Behind a key, and no sign of readiness."""
    return JSONResponse({"vendors": have.health.vendors()})
