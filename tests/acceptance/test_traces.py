"""Traces of a real gateway, as a real collector is sent them over OTLP/HTTP."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from acceptance.conftest import KEY, World, ended
from forked import Server

pytestmark = pytest.mark.databases("sqlite")  # what is stored of a trace is one column

SERVICE = "service.name"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PROMPT = "A lighthouse called Zanzibar"
KINDS = {Span.SPAN_KIND_SERVER: "server", Span.SPAN_KIND_CLIENT: "client"}


@dataclass
class Collector:
    """What was sent to it. `answers`: the status of its answers; None: it never answers."""

    answers: int | None = 200
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        """Read what an exporter sent."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {each.value.string_value for each in resource.resource.attributes if each.key == SERVICE}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        """The spans of a name, in the order of their beginnings."""
        return sorted((each for each in self.spans if each.name == name), key=lambda span: span.start_time_unix_nano)


@contextmanager
def collecting(answers: int | None) -> Iterator[Collector]:
    """A collector on a port of its own."""
    collector, over = Collector(answers), Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if collector.answers is None:
                over.wait(60)
                return
            if collector.answers == 200 and self.path == "/v1/traces":
                collector.take(body)
            self.send_response(collector.answers)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that takes everything, and whose address the gateway has."""
    with collecting(200) as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
        yield made


def facts(span: Span) -> dict[str, Any]:
    """A span's attributes."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def make_video(server: Server, model: str = "kling-v1", **headers: str) -> dict[str, Any]:
    """Make a video and read it."""
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        body = {"model": model, "prompt": PROMPT}
        made = client.post("/v1/videos", json=body, headers=headers).raise_for_status().json()
        video = ended(client, made["id"])
        if video["status"] == "succeeded":
            client.get(f"/v1/videos/{video['id']}/content").raise_for_status()
    return video


def log_of(server: Server) -> list[dict[str, Any]]:
    """The server's log; every line is JSON."""
    return [json.loads(line) for line in server.log.read_text("utf-8").splitlines()]


def test_a_video_is_one_story(world: World, collector: Collector) -> None:
    """A create continues its caller's trace and has its submit within; looks and the download are linked to it."""
    with world.gateway() as server:
        video = make_video(server, traceparent=f"00-{TRACE}-{CALLER}-01")
        lines = {line["event"]: line for line in log_of(server) if line.get("task") == video["id"]}

    (create,) = collector.named("POST /videos")
    assert (create.trace_id.hex(), create.parent_span_id.hex()) == (TRACE, CALLER)
    assert (
        facts(create).items()
        >= {
            "http.request.method": "POST",
            "http.route": "/videos",
            "http.response.status_code": 201,
            "videogate.video.id": video["id"],
        }.items()
    )

    (submit,) = collector.named("generate_content kling-v1")
    assert (submit.trace_id, submit.parent_span_id) == (create.trace_id, create.span_id)
    job = world.paid()[0]["id"]
    assert facts(submit) == {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "video",
        "gen_ai.provider.name": "kuaishou.kling",
        "gen_ai.request.model": "kling-v1",
        "server.address": "127.0.0.1",
        "videogate.video.id": video["id"],
        "videogate.attempt": 1,
        "videogate.vendor_task_id": job,
        "videogate.seconds": video["seconds"],
        "videogate.size": facts(submit)["videogate.size"],
    }
    looks, (fetch,) = collector.named("poll kling-v1"), collector.named("fetch kling-v1")
    assert [facts(look)["videogate.sight"] for look in looks][-1] == "succeeded"
    for later in (*looks, fetch):
        assert not later.parent_span_id
        assert later.trace_id != create.trace_id
        assert [(link.trace_id, link.span_id) for link in later.links] == [(create.trace_id, create.span_id)]
        assert facts(later)["videogate.vendor_task_id"] == job
    assert {KINDS[span.kind] for span in (submit, *looks, fetch)} == {"client"}
    assert KINDS[create.kind] == "server"
    assert not [span for span in (create, submit, fetch) if span.status.code == Status.STATUS_CODE_ERROR]
    assert collector.services == {"videogate"}

    assert lines["task_accepted"]["trace_id"] == lines["accepted"]["trace_id"] == TRACE
    assert lines["completed"]["trace_id"] == fetch.trace_id.hex()


def test_spans_hold_no_words_and_no_secrets(world: World, collector: Collector) -> None:
    """Neither the prompt nor a key nor a vendor's secret nor a link's signature leaves for the collector."""
    with world.gateway() as server:
        for model in ("kling-v1", "sora-2"):
            video = make_video(server, model)
            httpx.get(video["url"]).raise_for_status()
        world.fault(vendor="kling", op="submit", mode="moderate_submit", times=1)
        assert make_video(server)["status"] == "failed"

    sent = b"".join(collector.bodies)
    assert b"generate_content" in sent
    secrets = [KEY, "Zanzibar", "signature", "Bearer", "simulator-secret", "eyJ"]
    assert not [secret for secret in secrets if secret.encode() in sent]


def test_what_went_wrong_shows_as_its_kind(world: World, collector: Collector) -> None:
    """A submit that was refused, throttled or lost is an error of that kind; a look without an answer is one too."""
    world.fault(vendor="kling", op="submit", mode="moderate_submit", times=1)
    world.fault(vendor="vidu", op="submit", mode="throttle", retry_after=0, times=1)
    world.fault(vendor="sora", op="submit", mode="drop_after", times=1)
    world.fault(vendor="vidu", op="poll", mode="error_before", times=1)
    with world.gateway() as server:
        for model in ("kling-v1", "viduq1", "sora-2"):
            make_video(server, model)

    def kinds(name: str) -> list[str | None]:
        return [facts(span).get("error.type") for span in collector.named(name)]

    assert kinds("generate_content kling-v1") == ["moderation_blocked"]
    assert kinds("generate_content viduq1") == ["Throttled", None]
    assert kinds("generate_content sora-2") == ["OutcomeUnknown"]
    assert "Unavailable" in kinds("poll viduq1")
    assert [facts(span)["videogate.attempt"] for span in collector.named("generate_content viduq1")] == [1, 2]


def test_sampling_is_the_librarys_own(world: World, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its standard variables say how much is kept: here, what callers ask to be traced and its submits."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "films")
    with world.gateway() as server:
        make_video(server)
        make_video(server, traceparent=f"00-{TRACE}-{CALLER}-01")

    assert {span.name for span in collector.spans} == {"POST /videos", "generate_content kling-v1"}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert collector.services == {"films"}


@pytest.mark.parametrize("trouble", ["refuses", "hangs", "fails"])
def test_a_collector_in_trouble_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """Creates are answered, videos complete and the server stops with 0 in time, whatever the collector does."""
    with collecting(None if trouble == "hangs" else 503) as collector:
        url = "http://127.0.0.1:9" if trouble == "refuses" else collector.url
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # so that it is tried again and again
        with world.gateway() as server:
            began = time.monotonic()
            answer = httpx.post(
                f"{server.url}/v1/videos",
                json={"model": "kling-v1", "prompt": PROMPT},
                headers={"authorization": f"Bearer {KEY}"},
            )
            assert answer.status_code == 201
            assert time.monotonic() - began < 2
            assert make_video(server)["status"] == "succeeded"
            began = time.monotonic()
            server.terminate()
            assert server.ended(20) == 0
            assert time.monotonic() - began < 15


# Makes an application, runs it for one request, and says what was imported for traces. OpenTelemetry's interfaces do
# not count: FastAPI imports them itself.
RUNS = """
import asyncio, sys
if sys.argv[1] == "without":
    sys.modules["opentelemetry.sdk"] = None
import httpx
from videogate.app import create_app
from videogate.settings import environment, read_settings

async def main():
    app = create_app(read_settings(), environment()).asgi
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            (await client.get("/health/ready")).raise_for_status()

asyncio.run(main())
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf", "requests")
print([name for name, module in sys.modules.items() if name.startswith(heavy) and module])
"""


def run(folder: Path, extra: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run it, `with` or `without` the library."""
    own = {"VIDEOGATE_API_KEYS": "vg-test", "VIDEOGATE_DATA_DIR": str(folder / "data"), "PATH": ""}
    return subprocess.run(
        [sys.executable, "-c", RUNS, extra],
        cwd=folder,
        env={**own, **variables},
        capture_output=True,
        text=True,
        check=True,
    )


def test_nothing_is_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    """Without the variables, or with traces switched off, a server that has answered holds nothing of the library."""
    off: tuple[dict[str, str], ...] = (
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"},
    )
    for variables in off:
        assert run(tmp_path, "with", variables).stdout == "[]\n"


def test_the_missing_extra_is_named_at_the_start(tmp_path: Path) -> None:
    """With the variables and without the library the gateway serves, and a warning has the command that installs it."""
    done = run(tmp_path, "without", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})

    (warning,) = (line for line in map(json.loads, done.stderr.splitlines()) if line["event"] == "no_traces")
    assert warning["level"] == "warning"
    assert "pip install 'videogate[otel]'" in warning["why"]
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "'zipkin' is none of otlp, console, none"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "'grpc' is not spoken here"),
    ],
    ids=["exporter", "protocol"],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    """An exporter or protocol that is not there is a warning that names it; the gateway serves."""
    done = run(tmp_path, "with", variables)

    (warning,) = (line for line in map(json.loads, done.stderr.splitlines()) if line["event"] == "no_traces")
    assert words in warning["why"]
