"""For monitoring."""

from fastapi import APIRouter
from starlette.responses import Response

from videogate.engine.figures import CONTENT_TYPE
from videogate.web.deps import CallerOf, PartsOf

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(have: PartsOf, _who: CallerOf) -> Response:
    """Counters and gauges in Prometheus' text format. Behind a key: they tell what the gateway is used for."""
    return Response(await have.figures.text(), headers={"content-type": CONTENT_TYPE})
