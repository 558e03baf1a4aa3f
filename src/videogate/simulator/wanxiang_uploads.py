"""DashScope's temporary uploads: a policy, a form, and an `oss://` address that one model may read.

https://www.alibabacloud.com/help/en/model-studio/get-temporary-file-url, read 2026-11-23.
"""

import time
from base64 import b64encode
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from videogate.simulator.faults import Fault
from videogate.simulator.pictures import read_picture
from videogate.simulator.vendor import Unreadable, here
from videogate.simulator.wanxiang_models import BY_NAME, Invalid
from videogate.simulator.world import World

POLICY_SECONDS = 300
FILE_SECONDS = 48 * 3600
MOST_MEGABYTES = 100
_OSS = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'


def oss_error(message: str) -> Response:
    """A refusal of the object storage, which speaks XML."""
    return Response(_OSS.format(code="AccessDenied", message=message), 403, media_type="application/xml")


class Uploads:
    """Policies that were given out, and what is known of the files that came; the files are not kept."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._policies: dict[str, tuple[str, str, float]] = {}  # policy -> folder, model, end
        self._files: dict[str, tuple[str, float, tuple[int, int] | None]] = {}  # key -> model, end, size

    def policy(self, request: Request) -> Response:
        """A policy for the model that is asked for. Raises Invalid."""
        model = request.query_params.get("model", "")
        if request.query_params.get("action") != "getPolicy" or model not in BY_NAME:
            raise Invalid("InvalidParameter", "Model not exist.")
        folder = f"dashscope-instant/{self._world.hex(16)}/{time.strftime('%Y-%m-%d')}/{self._world.uuid()}"
        policy = b64encode(self._world.hex(24).encode()).decode()
        self._policies[policy] = folder, model, time.time() + POLICY_SECONDS
        data: dict[str, Any] = {
            "policy": policy,
            "signature": "simulated",
            "upload_dir": folder,
            "upload_host": f"{here(request)}/oss",
            "expire_in_seconds": POLICY_SECONDS,
            "max_file_size_mb": MOST_MEGABYTES,
            "capacity_limit_mb": 999_999_999,
            "oss_access_key_id": "simulated",
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        return JSONResponse({"request_id": self._world.uuid(), "data": data})

    async def receive(self, request: Request, _fault: Fault | None) -> Response:
        """Take a file; the form carries its own permission."""
        try:
            async with request.form() as form:
                file, policy, key = form.get("file"), str(form.get("policy")), str(form.get("key"))
                folder, model, end = self._policies.get(policy, ("", "", 0.0))
                if time.time() > end:
                    return oss_error("Invalid according to Policy: Policy expired.")
                if not isinstance(file, UploadFile) or not key.startswith(f"{folder}/"):
                    return oss_error("Invalid according to Policy: Policy Condition failed.")
                data = await file.read()
        except Unreadable:
            return oss_error("The body of your POST request is not well-formed multipart/form-data.")
        if key in self._files:
            return oss_error("The object you specified already exists and can not be overwritten.")
        try:
            picture = read_picture(data)
            size = picture.width, picture.height
        except ValueError:
            size = None
        self._files[key] = model, time.time() + FILE_SECONDS, size
        return Response(status_code=200)

    def stored(self, url: str, model: str) -> tuple[int, int] | None:
        """The size of the picture that was uploaded for a model; None: no picture. Raises KeyError."""
        owner, end, size = self._files[url.removeprefix("oss://")]
        if owner != model or time.time() > end:
            raise KeyError(url)
        return size
