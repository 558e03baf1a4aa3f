"""The floor: a bare FastAPI app with the same routes, answering constants, in a server with our settings.

`python bench/floor.py VIDEO PORT`. It does less than a gateway: no key is checked, nothing is read, nothing is kept.
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse

from videogate.cli.serve import GRACE

VIDEO = {
    "id": "video_0123456789abcdef0123456789abcdef",
    "object": "video",
    "model": "sora-2",
    "status": "completed",
    "progress": 100,
    "created_at": 1_800_000_000,
    "completed_at": 1_800_000_060,
    "expires_at": 1_800_604_860,
    "prompt": "An astronaut walks on the moon",
    "size": "720x1280",
    "seconds": "4",
    "quality": "standard",
    "remixed_from_video_id": None,
    "error": None,
    "url": "http://127.0.0.1:8000/v1/videos/video_0123456789abcdef0123456789abcdef/content?" + "signature=" + "0" * 80,
}

app = FastAPI()
film = Path(sys.argv[1])


@app.post("/v1/videos")
async def create(request: Request) -> dict[str, object]:
    """The form is parsed, as it must be."""
    form = await request.form()
    return {**VIDEO, "prompt": str(form["prompt"])}


@app.get("/v1/videos/{video_id}")
async def retrieve(video_id: str) -> dict[str, object]:  # noqa: ARG001 (of the route)
    return VIDEO


@app.get("/v1/videos")
async def page() -> dict[str, object]:
    return {
        "object": "list",
        "data": [VIDEO] * 20,
        "first_id": VIDEO["id"],
        "last_id": VIDEO["id"],
        "has_more": True,
    }


@app.get("/v1/videos/{video_id}/content")
async def content(video_id: str) -> FileResponse:  # noqa: ARG001 (of the route)
    return FileResponse(film, media_type="video/mp4")


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    uvicorn.Server(config).run()
