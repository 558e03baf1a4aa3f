"""Where clients are tested: vendors, a witness before them, a gateway, files, and videos that are there already."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from acceptance.conftest import KEY, OTHER, World, ended, make_world
from clients.roster import Client
from clients.wires import HOST, Witness, site, witnessed
from videogate import simulator
from videogate.cli.demo import picture

Given = dict[str, Any]
SOURCE = "a source"  # the prompt of the video that is there already
# What is asked for beside a prompt, by the model that has it.
OPTIONAL: dict[str, Any] = {
    "wan2.5-t2v-preview": {"watermark": False, "seed": 7},
    "kling-v1": {
        "camera_control": {"type": "simple", "config": {"zoom": 5}},
        "negative_prompt": "rain",
        "nothing": ["a", "b"],
    },
}


@dataclass(frozen=True)
class Stage:
    """What a step may be given, and what its judge may look at."""

    world: World
    witness: Witness
    url: str
    page: str  # the address of an empty page of another site
    api: httpx.Client
    files: Path
    source: dict[str, Any]
    big: str
    unfinished: str
    five: list[str]

    def given(self, client: Client, step: str) -> Given:
        """What a client needs for a step."""
        prompt = f"{client.name}: {step}"
        wanted = enumerate(OPTIONAL.items())
        return {
            "url": f"{self.url}{client.path}",
            "key": KEY,
            "five_key": OTHER,
            "prompt": prompt,
            "optional": [
                {"model": model, "prompt": f"{prompt} {number}", "options": options}
                for number, (model, options) in wanted
            ],
            "picture": str(self.files / "cat.png"),
            "second": str(self.files / "dog.png"),
            "film": str(self.files / "film.mp4"),
            "link": f"{self.page}cat.png",
            "data": (self.files / "cat.txt").read_text("utf-8"),
            "data_file": str(self.files / "cat.txt"),
            "source": self.source["id"],
            "big": self.big,
            "unfinished": self.unfinished,
            "page": self.page,
        }

    def file(self, name: str) -> bytes:
        """A file that clients send."""
        return (self.files / name).read_bytes()

    def paid(self, prompt: str) -> list[dict[str, Any]]:
        """The jobs with this prompt that vendors accepted."""
        return [job for job in self.world.paid() if job["prompt"] == prompt]


@contextmanager
def set_stage(folder: Path) -> Iterator[Stage]:
    """A stage in an empty folder."""
    files = folder / "files"
    files.mkdir()
    _pictures(files)
    with (
        make_world(folder, render_seconds=0.3) as world,
        witnessed(world.vendors.url) as witness,
        site(files) as port,
        world.gateway(**_settings(witness.url, f"http://{HOST}:{port}")) as server,
        httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as api,
    ):
        source = ended(api, _made(api, SOURCE, seconds="4", size="640x360"))
        big = ended(api, _made(api, "two megabytes", seconds="60", size="1440x2560"))
        for name, video in (("film.mp4", source), ("big.mp4", big)):
            content = api.get(f"/v1/videos/{video['id']}/content").raise_for_status().content
            (files / name).write_bytes(content)
        world.fault(vendor="sora", op="submit", mode="wait", delay=3600)
        unfinished = _made(api, "unfinished")
        witness.of("unfinished")
        other = {"authorization": f"Bearer {OTHER}"}
        five = [_made(api, f"number {number}", other) for number in range(5)]
        yield Stage(
            world, witness, server.url, f"http://{HOST}:{port}/", api, files, source, big["id"], unfinished, five
        )


def _settings(vendors: str, origin: str) -> dict[str, str]:
    found = {name: value for name, value in simulator.environment(vendors).items() if name.endswith("_BASE_URL")}
    urls = {name.removeprefix("VIDEOGATE_"): value for name, value in found.items()}
    return {**urls, "CORS_ORIGINS": origin, "FETCH_ALLOW_PRIVATE": "true"}


def _pictures(files: Path) -> None:
    (files / "index.html").write_text("<!doctype html><title>A page of somebody else</title>", "utf-8")
    (files / "cat.png").write_bytes(picture(960, 640))
    (files / "dog.png").write_bytes(picture(640, 640))
    encoded = b64encode((files / "cat.png").read_bytes()).decode()
    (files / "cat.txt").write_text(f"data:image/png;base64,{encoded}", "utf-8")


def _made(api: httpx.Client, prompt: str, headers: dict[str, str] | None = None, **asked: Any) -> str:
    wanted = {"model": "sora-2", "prompt": prompt, **asked}
    answer = api.post("/v1/videos", content=json.dumps(wanted), headers=headers)
    made: str = answer.raise_for_status().json()["id"]
    return made
