"""`videogate demo`: the whole path with no key: simulated vendors, a real gateway, real videos.

With `--url` it makes the videos at a gateway that runs already, such as the one of `docker compose --profile demo`.
"""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import av
import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from videogate import simulator
from videogate.cli.children import ChildFailed, child
from videogate.media.probe import probe

KEY = "demo"
ENDED = frozenset({"completed", "failed"})
LONGEST = 50.0  # seconds until the demo calls itself broken
LONGEST_ELSEWHERE = 1200.0  # real vendors need minutes
POLL = 0.3
PROMPT = "A red kite over a green hill, slow pan, morning light"
PICTURE = (960, 640)


@dataclass
class Job:
    """One video of the demo: what is asked for, and what came."""

    vendor: str
    model: str
    size: str
    seconds: str
    picture: bool
    sdk: bool = True
    video: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None
    made: str = ""
    problem: str = ""

    @property
    def client(self) -> str:
        if self.picture:
            return "HTTP + image"
        return "OpenAI SDK" if self.sdk else "HTTP"


@dataclass(frozen=True, slots=True)
class Place:
    """A running gateway, the key it is asked with, and how many seconds a video may take there."""

    url: str
    key: str
    longest: float = LONGEST


def demo(
    out: Annotated[Path, typer.Option(help="Where the videos are saved.")] = Path("demo-videos"),
    keep: Annotated[bool, typer.Option(help="Leave both servers running until Ctrl-C.")] = False,
    url: Annotated[str | None, typer.Option(help="Start nothing; use the gateway that runs here.")] = None,
    key: Annotated[str, typer.Option(help="Its API key, with --url.")] = KEY,
    yes: Annotated[bool, typer.Option("--yes", help="With --url: do not ask before making videos there.")] = False,
) -> None:
    """Start simulated vendors and a gateway, make videos with each vendor, save and probe them."""
    console = Console(width=None if sys.stdout.isatty() else 140)  # a log has no edge
    if url and not yes:
        typer.confirm(f"This makes two videos with each vendor of {url}, which may bill them. Go on?", abort=True)
    if not _sdk():
        console.print(
            "All is asked for by plain HTTP; with pip install 'videogate\\[demo]' the OpenAI SDK does its part."
        )
    try:
        jobs = _elsewhere(console, url, key, out) if url else _here(console, out, keep=keep)
    except (ChildFailed, httpx.HTTPError) as error:
        console.print(str(error), markup=False)
        raise typer.Exit(1) from None
    if not jobs or any(job.problem for job in jobs):
        raise typer.Exit(1)


def _sdk() -> bool:
    """Whether the OpenAI SDK is installed: an extra, which the image does without."""
    return find_spec("openai") is not None


def _here(console: Console, out: Path, *, keep: bool) -> list[Job]:
    with tempfile.TemporaryDirectory(prefix="videogate-demo-") as name:
        folder = Path(name)
        with child(["videogate.simulator", "--port", "0"], folder=folder, variables={}) as vendors:
            variables = simulator.environment(vendors.url)
            quick = {name.replace("_BASE_URL", "_POLL_INTERVAL"): "0.04" for name in variables if "_BASE_URL" in name}
            ours = {"VIDEOGATE_API_KEYS": KEY, "VIDEOGATE_PORT": "0", "VIDEOGATE_DATA_DIR": str(folder / "data")}
            with child(["videogate", "serve"], folder=folder, variables={**variables, **quick, **ours}) as gateway:
                console.print(f"[bold]Simulated vendors[/] on {vendors.url}   [bold]gateway[/] on {gateway.url}\n")
                jobs = _made(console, Place(gateway.url, KEY), out)
                _how_to_repeat(console, jobs)
                if keep:
                    _wait_for_ctrl_c(console, gateway.url)
    return jobs


def _elsewhere(console: Console, url: str, key: str, out: Path) -> list[Job]:
    """The same at a gateway that runs already. Raises httpx.HTTPError if it cannot be asked."""
    console.print(f"[bold]Gateway[/] on {url}\n")
    return _made(console, Place(url.rstrip("/"), key, LONGEST_ELSEWHERE), out)


def _made(console: Console, place: Place, out: Path) -> list[Job]:
    out.mkdir(parents=True, exist_ok=True)
    jobs = asyncio.run(_make_all(console, place, out))
    console.print(_table(jobs))
    return jobs


async def _make_all(console: Console, place: Place, out: Path) -> list[Job]:
    headers = {"authorization": f"Bearer {place.key}", "x-video-dialect": "openai"}
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[client]:<12} {task.description:<34}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} % {task.fields[word]:<11}"),
        TimeElapsedColumn(),
    )
    async with httpx.AsyncClient(base_url=place.url, headers=headers, timeout=30) as http:
        jobs = choose((await http.get("/v1/models")).raise_for_status().json()["data"])
        for job in jobs:
            job.sdk = _sdk()
        with Progress(*columns, console=console) as progress:
            await asyncio.gather(*(_make(http, place, job, out, progress) for job in jobs))
    return jobs


def choose(models: list[dict[str, Any]]) -> list[Job]:
    """For each vendor on offer one model that needs only a text, and one that takes a picture."""
    jobs = []
    for vendor in dict.fromkeys(model["owned_by"] for model in models):
        own = [model for model in models if model["owned_by"] == vendor]
        ways = [(model, way) for model in own for way in model["video"].get("ways", [model["video"]])]
        texts = [each for each in ways if not any(least for least, _ in _counts(each[1]))]
        pictures = [each for each in ways if any(least <= 1 <= most for least, most in _counts(each[1])[:1])]
        jobs += [_job(*each, picture=False) for each in texts[:1]]
        jobs += [_job(*each, picture=True) for each in pictures[:1]]
    return jobs


def _counts(way: dict[str, Any]) -> list[tuple[int, int]]:
    """How many pictures at least and at most, role by role."""
    return [(each["min"], each["max"]) for each in way["inputs"].values()]


def _job(model: dict[str, Any], way: dict[str, Any], *, picture: bool) -> Job:
    sizes, lengths = way["sizes"], way["seconds"]
    size = "1280x720" if sizes["kind"] != "list" or "1280x720" in sizes["values"] else sizes["values"][0]
    seconds = {"list": lambda: lengths["values"][0], "range": lambda: max(4, lengths["min"])}.get(
        lengths["kind"], lambda: 4
    )()
    return Job(model["owned_by"], model["id"], size, str(seconds), picture)


async def _make(http: httpx.AsyncClient, place: Place, job: Job, out: Path, progress: Progress) -> None:
    bar = progress.add_task(f"{job.vendor} {job.model}", total=100, client=job.client, word="")
    try:
        async with asyncio.timeout(place.longest):
            await (_with_sdk(place, job) if job.sdk and not job.picture else _by_http(http, job))
            await _follow(http, job, progress, bar)
            await _save(http, job, out)
    except Exception as error:  # noqa: BLE001 (whatever a client raises is a finding, not the end of the demo)
        job.problem = f"{type(error).__name__}: {error}"
    progress.update(bar, word="broken" if job.problem else "saved", completed=0 if job.problem else 100)


async def _with_sdk(place: Place, job: Job) -> None:
    from openai import AsyncOpenAI  # noqa: PLC0415 (an extra)

    async with AsyncOpenAI(api_key=place.key, base_url=f"{place.url}/v1") as client:
        extra: dict[str, Any] = {"size": job.size, "seconds": job.seconds}
        with _silenced_deprecation():
            video = await client.videos.create(model=job.model, prompt=PROMPT, **extra)
    job.video = video.model_dump()


async def _by_http(http: httpx.AsyncClient, job: Job) -> None:
    form = {"model": job.model, "prompt": PROMPT, "size": job.size, "seconds": job.seconds}
    files = {"input_reference": ("kite.png", picture(*PICTURE), "image/png")} if job.picture else None
    job.video = (await http.post("/v1/videos", data=form, files=files)).raise_for_status().json()


async def _follow(http: httpx.AsyncClient, job: Job, progress: Progress, bar: TaskID) -> None:
    while _tell(job, progress, bar) not in ENDED:
        await asyncio.sleep(POLL)
        job.video = (await http.get(f"/v1/videos/{job.video['id']}")).raise_for_status().json()
    if job.video["status"] == "failed":
        job.problem = str(job.video["error"])


def _tell(job: Job, progress: Progress, bar: TaskID) -> str:
    """Show how far a video is; where bars cannot move, such as a container's log, a line for each status."""
    status = str(job.video["status"])
    before = progress.tasks[bar].fields["word"]
    progress.update(bar, completed=job.video["progress"], word=status)
    if status != before and not progress.console.is_terminal:
        progress.console.print(f"{job.vendor} {job.model}: {status}", highlight=False)
    return status


async def _save(http: httpx.AsyncClient, job: Job, out: Path) -> None:
    if job.problem:
        return
    path = out / f"{job.vendor}-{job.model}{'-image' if job.picture else ''}.mp4"
    async with http.stream("GET", f"/v1/videos/{job.video['id']}/content") as answer:
        answer.raise_for_status()
        with path.open("wb") as file:
            async for chunk in answer.aiter_bytes():
                file.write(chunk)
    job.file, film = path, await asyncio.to_thread(probe, path)
    job.made = f"{film.frame}, {film.seconds_text} s"
    said = f"{job.video['size']}, {job.video['seconds']} s"
    asked = f"{job.size}, {job.seconds} s"
    if job.made != said:
        job.problem = f"the file is {job.made}, the video object says {said}"
    elif not job.picture and job.made != asked:
        job.problem = f"the file is {job.made}, asked for was {asked}"


def picture(width: int, height: int) -> bytes:
    """A PNG: a blue slope, so that every byte of the demo is ours."""
    frame = av.VideoFrame(width, height, "rgb24")
    row = b"".join(bytes((column * 255 // width, 96, 160)) for column in range(width))
    stride = frame.planes[0].line_size
    frame.planes[0].update(row.ljust(stride, b"\0") * height)
    buffer = BytesIO()
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return buffer.getvalue()


def _table(jobs: list[Job]) -> Table:
    table = Table(title="\nWhat was made", title_justify="left")
    for column in ("vendor", "model", "client", "asked", "made (probed)", "file"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        made = f"[red]{job.problem}[/]" if job.problem else f"[green]{job.made}[/]"
        table.add_row(job.vendor, job.model, job.client, f"{job.size}, {job.seconds} s", made, str(job.file or "-"))
    return table


def _how_to_repeat(console: Console, jobs: list[Job]) -> None:
    base = "http://127.0.0.1:9000"
    console.print("\n[bold]Repeat it by hand[/]: simulated vendors in one terminal, the gateway in a second:")
    exports = " ".join(f"{name}={value}" for name, value in simulator.environment(base).items())
    command = "videogate" if shutil.which("videogate") else os.path.relpath(sys.argv[0])
    lines = [f"{command} simulate", f"VIDEOGATE_API_KEYS={KEY} {exports} {command} serve"]
    for job in jobs:
        image = " -F input_reference=@picture.png" if job.picture else ""
        lines.append(
            f"curl http://127.0.0.1:8000/v1/videos -H 'Authorization: Bearer {KEY}' -F model={job.model}"
            f" -F 'prompt={PROMPT}' -F size={job.size} -F seconds={job.seconds}{image}"
        )
    lines.append(f"curl http://127.0.0.1:8000/v1/videos/VIDEO_ID -H 'Authorization: Bearer {KEY}'")
    lines.append(f"curl http://127.0.0.1:8000/v1/videos/VIDEO_ID/content -H 'Authorization: Bearer {KEY}' -o video.mp4")
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def _wait_for_ctrl_c(console: Console, gateway: str) -> None:
    console.print(f"\nThe gateway stays on {gateway} (API key: {KEY}). Ctrl-C ends it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("Stopping.")


@contextmanager
def _silenced_deprecation() -> Iterator[None]:
    """OpenAI's SDK marks these methods as deprecated, since OpenAI's own service ended; this one has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
