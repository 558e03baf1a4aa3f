"""Characters, which an upstream keeps."""

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from videogate.web.body import read_body
from videogate.web.deps import CallerOf, PartsOf
from videogate.wire.create import read_character

router = APIRouter()


@router.post("/videos/characters")
async def make(request: Request, have: PartsOf, who: CallerOf) -> Response:
    """Make a character of a film."""
    async with read_body(request) as body:
        name, film = read_character(body)
        content = await asyncio.to_thread(film.file.read)
    return JSONResponse(asdict(await have.characters.make(who.id, name, content)))


@router.get("/videos/characters/{character_id}")
async def get(character_id: Annotated[str, Path(max_length=512)], have: PartsOf, who: CallerOf) -> Response:
    """One character."""
    return JSONResponse(asdict(await have.characters.get(who.id, character_id)))
