"""What can be asked for."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from videogate.task.errors import NotServed
from videogate.web.deps import CallerOf, PartsOf

router = APIRouter()


@router.get("/models")
async def list_models(have: PartsOf, _who: CallerOf) -> Response:
    """Every model of the vendors that are on."""
    return JSONResponse(have.catalogue.all())


@router.get("/models/{name:path}")
async def get_model(name: str, have: PartsOf, _who: CallerOf) -> Response:
    """One model."""
    found = have.catalogue.get(name)
    if found is None:
        raise NotServed(404, f"The model {name[:80]!r} is not available here.", "model_not_found")
    return JSONResponse(found)
