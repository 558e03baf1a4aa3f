"""The simulator as a server: its admin routes, its end, and the faults it can be told to have."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from videogate.cli.children import Child, child
from videogate.simulator.faults import MODES

QUICK = ("--queue-seconds", "0.1", "--render-seconds", "0.1")
AUTHORIZED = {"authorization": "Bearer simulator"}
DONE = frozenset({"completed", "succeeded"})
UNFINISHED = frozenset({"queued", "in_progress", "pending", "running"})


@dataclass(frozen=True)
class Job:
    """What a poll says: the status in small letters, the code of the error, the link of the result."""

    status: str
    code: str | None
    link: str


def read_sora(body: dict[str, Any]) -> Job:
    """Read a video object."""
    return Job(body["status"], (body["error"] or {}).get("code"), f"/sora/v1/videos/{body['id']}/content")


def read_wanxiang(body: dict[str, Any]) -> Job:
    """Read a task."""
    output = body["output"]
    return Job(output["task_status"].lower(), output.get("code"), output.get("video_url", ""))


@dataclass(frozen=True)
class Calls:
    """How one vendor is called, and which of its answers differ from other vendors'."""

    submit: tuple[str, dict[str, Any]]
    poll: str
    read: Callable[[dict[str, Any]], Job]
    blocked: str  # the code of a job whose video was blocked
    expired: str  # what a dead link answers


CALLS = {
    "sora": Calls(
        ("/sora/v1/videos", {"model": "sora-2", "prompt": "x", "size": "320x240"}),
        "/sora/v1/videos/{id}",
        read_sora,
        "moderation_blocked",
        "404 application/json",
    ),
    "wanxiang": Calls(
        (
            "/wanxiang/api/v1/services/aigc/video-generation/video-synthesis",
            {"model": "wan2.6-t2v", "input": {"prompt": "x"}, "parameters": {"size": "1280*720", "duration": 2}},
        ),
        "/wanxiang/api/v1/tasks/{id}",
        read_wanxiang,
        "DataInspectionFailed",
        "403 application/xml",
    ),
}

# What a submit meets, and how many jobs it makes all the same.
AT_SUBMIT = {
    "throttle": ("429 application/json", 0),
    "refuse": ("401 application/json", 0),
    "moderate_submit": ("400 application/json", 0),
    "error_before": ("500 application/json", 0),
    "error_after": ("500 application/json", 1),
    "no_id": ("200 application/json", 1),
    "junk": ("200 application/json, no JSON", 1),
    "drop_before": ("no answer", 0),
    "drop_after": ("no answer", 1),
    "half": ("200 application/json, broken off", 1),
    "hang": ("silence", 1),
    "late": ("no answer", 0),  # and one job in its own time
    "slow": ("200 application/json", 1),
    "html": ("502 text/html", 0),
    "html_200": ("200 text/html", 0),
    "redirect": ("307 ", 0),
    "moderate": ("200 application/json", 1),
    "fail": ("200 application/json", 1),
    "wait": ("200 application/json", 1),
}
# The status that the poll finds, and whether the job is done in the end.
AT_POLL = {"moderate": ("failed", False), "fail": ("failed", False), "unknown_word": ("somewhere_else", True)}
# What a download meets; how a link is dead is the vendor's own.
AT_RESULT = {"truncate": "200 video/mp4, broken off", "not_mp4": "200 text/html", "expire": ""}


@pytest.fixture(scope="module")
def simulator(start: Callable[..., Child], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The URL of a simulator of all vendors, and its ledger's file."""
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    return start("--ledger", str(ledger), "--no-rate-limits", *QUICK).url, ledger


@pytest.fixture(scope="module")
def authorized(simulator: tuple[str, Path]) -> Iterator[httpx.Client]:
    """A client of it, with a key; it forgets connections sooner than the simulator closes them."""
    limits = httpx.Limits(keepalive_expiry=1.0)
    with httpx.Client(base_url=simulator[0], headers=AUTHORIZED, timeout=20, limits=limits) as client:
        yield client


@pytest.fixture
def http(authorized: httpx.Client) -> Iterator[httpx.Client]:
    """The same; faults are switched off when the test ends."""
    yield authorized
    authorized.delete("/_simulator/faults").raise_for_status()


def met(client: httpx.Client, method: str, url: str, **more: Any) -> str:
    """What a call meets, in a few words."""
    try:
        with client.stream(method, url, **more) as answer:
            head = f"{answer.status_code} {answer.headers.get('content-type', '').partition(';')[0]}"
            try:
                body = answer.read()
            except httpx.RemoteProtocolError:
                return f"{head}, broken off"
    except httpx.TimeoutException:
        return "silence"
    except httpx.TransportError:
        return "no answer"
    if head.endswith("json"):
        try:
            json.loads(body)
        except ValueError:
            return f"{head}, no JSON"
    return head


def jobs(client: httpx.Client) -> list[dict[str, Any]]:
    """What was accepted so far."""
    lines: list[dict[str, Any]] = client.get("/_simulator/ledger").raise_for_status().json()
    return lines


def submit(client: httpx.Client, vendor: str) -> str:
    """Submit a job, and return its id."""
    url, body = CALLS[vendor].submit
    client.post(url, json=body, headers={"x-dashscope-async": "enable"}).raise_for_status()
    return str(jobs(client)[-1]["id"])


def look(client: httpx.Client, vendor: str, job_id: str) -> Job:
    """Poll once."""
    return CALLS[vendor].read(client.get(CALLS[vendor].poll.format(id=job_id)).raise_for_status().json())


def end(client: httpx.Client, vendor: str, job_id: str) -> Job:
    """Poll until the job has ended."""
    until = time.monotonic() + 20
    while (found := look(client, vendor, job_id)).status in UNFINISHED:
        assert time.monotonic() < until, "it did not end in time"
        time.sleep(0.05)
    return found


def test_faults_are_listed_counted_down_and_cleared(http: httpx.Client) -> None:
    """A fault is on the list with the times that are left, strikes in turn, and is gone when cleared."""
    twice = {"vendor": "sora", "op": "list", "mode": "throttle", "times": 2}
    always = {"vendor": "sora", "op": "list", "mode": "refuse", "times": None}
    for wanted in (twice, always):
        http.post("/_simulator/faults", json=wanted).raise_for_status()

    struck = [http.get("/sora/v1/videos").status_code for _ in range(4)]
    left = http.get("/_simulator/faults").json()
    cleared = http.delete("/_simulator/faults").json()

    assert struck == [429, 429, 401, 401]
    assert [(each["mode"], each["times"]) for each in left] == [("refuse", None)]
    assert cleared == []
    assert http.get("/sora/v1/videos").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"vendor": "nobody", "op": "submit", "mode": "throttle"}, "vendor is one of"),
        ({"vendor": "sora", "op": "dance", "mode": "throttle"}, "op is one of"),
        ({"vendor": "sora", "op": "submit", "mode": "expire"}, "mode is, for submit, one of"),
        ({"vendor": "sora", "op": "submit", "mode": "throttle", "times": 0}, "times is a positive integer"),
        ({"vendor": "sora", "op": "submit", "mode": "throttle", "colour": "red"}, "colour"),
        ({"vendor": "sora"}, "missing"),
        (["sora"], "mapping"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(http: httpx.Client, wanted: Any, error: str) -> None:
    """The answer to a bad fault is a 400 that says what is wrong with it, and nothing is switched on."""
    answer = http.post("/_simulator/faults", json=wanted)

    assert answer.status_code == 400
    assert error in answer.json()["error"]
    assert http.get("/_simulator/faults").json() == []


def test_a_fault_that_is_no_json_is_refused(http: httpx.Client) -> None:
    """A body that cannot be read is a 400 as well."""
    assert http.post("/_simulator/faults", content=b"{").status_code == 400


def test_options_of_faults(http: httpx.Client) -> None:
    """`retry_after` becomes the header, `location` the goal, and `after_accept` decides whether the job is made."""
    url, body = CALLS["sora"].submit
    before = len(jobs(http))
    for more in (
        {"mode": "throttle", "retry_after": 2.5},
        {"mode": "redirect", "location": "http://127.0.0.1:1/x", "after_accept": True},
        {"mode": "drop_after", "after_accept": False},
    ):
        http.post("/_simulator/faults", json={"vendor": "sora", "op": "submit", **more}).raise_for_status()

    throttled, moved, lost = http.post(url, json=body), http.post(url, json=body), met(http, "POST", url, json=body)

    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "2.5")
    assert (moved.status_code, moved.headers["location"]) == (307, "http://127.0.0.1:1/x")
    assert lost == "no answer"
    assert len(jobs(http)) == before + 1


@pytest.mark.parametrize("vendor", CALLS)
def test_the_ledger(http: httpx.Client, simulator: tuple[str, Path], vendor: str) -> None:
    """A job that was accepted is in the ledger and in its file; a submit that was refused is not."""
    url, body = CALLS[vendor].submit
    before = len(jobs(http))

    job_id = submit(http, vendor)
    refused = http.post(url, json=body, headers={"authorization": "Bearer wrong", "x-dashscope-async": "enable"})

    line = jobs(http)[-1]
    assert (line["vendor"], line["id"], line["model"], line["prompt"]) == (vendor, job_id, body["model"], "x")
    assert refused.status_code == 401
    assert len(jobs(http)) == before + 1
    assert [json.loads(text) for text in simulator[1].read_text("utf-8").splitlines()] == jobs(http)


def test_the_ledger_keeps_the_callers_own_reference(http: httpx.Client) -> None:
    """An `Idempotency-Key` and the body's digest are witnessed, so that repeated submits can be told apart."""
    url, body = CALLS["sora"].submit

    for reference in ("a", "b"):
        http.post(url, json=body, headers={"idempotency-key": reference}).raise_for_status()

    first, second = jobs(http)[-2:]
    assert (first["idempotency_key"], second["idempotency_key"]) == ("a", "b")
    assert first["digest"] == second["digest"]


def test_the_ledger_says_what_was_cancelled(http: httpx.Client, simulator: tuple[str, Path]) -> None:
    """A cancelled job's line, in the file too, says so, and no other line changes; one that was refused is not."""
    before = jobs(http)
    waits = {"vendor": "wanxiang", "op": "submit", "mode": "wait", "delay": 600}
    http.post("/_simulator/faults", json=waits).raise_for_status()
    ids = [submit(http, "wanxiang") for _ in range(2)]
    end(http, "wanxiang", ids[1])

    answers = [http.post(f"/wanxiang/api/v1/tasks/{job_id}/cancel").status_code for job_id in ids]
    later = submit(http, "sora")

    assert answers == [200, 400]
    assert jobs(http)[: len(before)] == before
    assert [(line["id"], line["cancelled"]) for line in jobs(http)[len(before) :]] == [
        (ids[0], 1),
        (ids[1], 0),
        (later, 0),
    ]
    assert [json.loads(text) for text in simulator[1].read_text("utf-8").splitlines()] == jobs(http)


def test_stats(http: httpx.Client) -> None:
    """Every call is counted, by vendor and operation, whatever became of it."""
    before = http.get("/_simulator/stats").json()

    http.get("/sora/v1/videos/unknown")
    http.get("/wanxiang/api/v1/tasks/unknown", headers={"authorization": "Bearer wrong"})

    after = http.get("/_simulator/stats").json()
    assert {name for name in after if after[name] != before.get(name, 0)} == {"sora.poll", "wanxiang.poll"}


@pytest.mark.parametrize("vendor", CALLS)
def test_looks(http: httpx.Client, vendor: str) -> None:
    """Every poll that finds a job counts for that job, and no call else."""
    first, second = submit(http, vendor), submit(http, vendor)
    for name in (first, first, "unknown"):
        http.get(CALLS[vendor].poll.format(id=name))

    looks = {line["id"]: line["looks"] for line in http.get("/_simulator/looks").json() if line["vendor"] == vendor}
    assert (looks[first], looks[second]) == (2, 0)


def test_an_unknown_vendor_ends_the_start() -> None:
    """`--only` with a name that is none exits with an error that lists those that are."""
    command = [sys.executable, "-m", "videogate.simulator", "--port", "0", "--only", "nobody"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 2
    assert "no vendor 'nobody'" in ended.stderr
    assert "sora, " in ended.stderr


def test_only_one_vendor_is_served(start: Callable[..., Child]) -> None:
    """With `--only` there is that vendor at the root, with its own key, and no other."""
    url = start("--only", "sora", "--key", "another").url

    with httpx.Client(base_url=url, headers={"authorization": "Bearer another"}) as client:
        assert client.get("/v1/videos").status_code == 200
        assert client.get("/v1/videos", headers=AUTHORIZED).status_code == 401
        assert client.get("/sora/v1/videos").status_code == 404
        assert client.get("/wanxiang/api/v1/tasks/").status_code == 404


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_end(tmp_path: Path, ending: signal.Signals) -> None:
    """A signal ends it with code 0, at once, even while a call hangs; nothing is in its log."""
    with (
        child(["videogate.simulator", "--port", "0"], folder=tmp_path, variables={}) as server,
        httpx.Client(base_url=server.url, headers=AUTHORIZED, timeout=20) as http,
        ThreadPoolExecutor(1) as thread,
    ):
        http.post("/_simulator/faults", json={"vendor": "sora", "op": "list", "mode": "hang"}).raise_for_status()
        hanging = thread.submit(met, http, "GET", "/sora/v1/videos")
        until = time.monotonic() + 20
        while http.get("/_simulator/stats").json() != {"sora.list": 1}:
            assert time.monotonic() < until, "the call did not arrive"
            time.sleep(0.02)

        server.process.send_signal(ending)

        assert server.process.wait(10) == 0
        assert hanging.result(10) == "no answer"
        assert server.log.read_text("utf-8") == ""


def test_every_fault_has_its_line_in_this_file() -> None:
    """The tables above name every mode for every operation that it changes."""
    assert AT_SUBMIT.keys() == {mode for mode, operations in MODES.items() if "submit" in operations}
    assert AT_SUBMIT.keys() | AT_POLL.keys() | AT_RESULT.keys() == MODES.keys()


@pytest.mark.parametrize("vendor", CALLS)
@pytest.mark.parametrize("mode", AT_SUBMIT)
def test_faults_at_submit(http: httpx.Client, vendor: str, mode: str) -> None:
    """A fault shows as it says, once, and only those that say so take the job on."""
    url, body = CALLS[vendor].submit
    before = len(jobs(http))
    wanted = {"vendor": vendor, "op": "submit", "mode": mode, "delay": 0.3}
    http.post("/_simulator/faults", json=wanted).raise_for_status()
    more = {"json": body, "headers": {"x-dashscope-async": "enable"}}

    began = time.monotonic()
    answer = met(http, "POST", url, timeout=1.0 if mode == "hang" else 20.0, **more)
    took = time.monotonic() - began

    assert (answer, len(jobs(http)) - before) == AT_SUBMIT[mode]
    assert mode != "slow" or took >= 0.3
    assert http.get("/_simulator/faults").json() == []
    if mode == "late":
        until = time.monotonic() + 20
        while len(jobs(http)) == before:
            assert time.monotonic() < until, "the job was not made"
            time.sleep(0.02)
        assert time.monotonic() - began >= 0.3
        assert len(jobs(http)) == before + 1


@pytest.mark.parametrize("vendor", CALLS)
@pytest.mark.parametrize("mode", ["moderate", "fail"])
def test_a_job_that_was_doomed_at_submit(http: httpx.Client, vendor: str, mode: str) -> None:
    """The job is accepted, takes its time, and then fails with the vendor's code."""
    http.post("/_simulator/faults", json={"vendor": vendor, "op": "submit", "mode": mode}).raise_for_status()

    began = time.monotonic()
    job = end(http, vendor, submit(http, vendor))
    took = time.monotonic() - began

    assert job.status == "failed"
    assert (job.code == CALLS[vendor].blocked) is (mode == "moderate")
    assert took >= 0.2  # queue and rendering


@pytest.mark.parametrize("vendor", CALLS)
def test_a_job_that_must_wait(http: httpx.Client, vendor: str) -> None:
    """The job stays in the queue while the one after it, which need not wait, is made."""
    waits = {"vendor": vendor, "op": "submit", "mode": "wait", "delay": 600}
    http.post("/_simulator/faults", json=waits).raise_for_status()
    first, second = submit(http, vendor), submit(http, vendor)

    assert end(http, vendor, second).status in DONE
    assert look(http, vendor, first).status in {"queued", "pending"}


@pytest.mark.parametrize("vendor", CALLS)
@pytest.mark.parametrize("mode", AT_POLL)
def test_faults_at_a_poll(http: httpx.Client, vendor: str, mode: str) -> None:
    """A poll finds the job failed, for good, or with a word that no document knows, once."""
    job_id = submit(http, vendor)
    http.post("/_simulator/faults", json={"vendor": vendor, "op": "poll", "mode": mode}).raise_for_status()

    job = look(http, vendor, job_id)

    status, done = AT_POLL[mode]
    assert job.status == status
    assert (job.code == CALLS[vendor].blocked) is (mode == "moderate")
    assert (end(http, vendor, job_id).status in DONE) is done


@pytest.mark.parametrize("vendor", CALLS)
def test_faults_at_a_result(http: httpx.Client, vendor: str) -> None:
    """A download breaks off, is a web page or a dead link; the one after it is right."""
    link = end(http, vendor, submit(http, vendor)).link

    found: dict[str, tuple[str, str]] = {}
    for mode in AT_RESULT:
        http.post("/_simulator/faults", json={"vendor": vendor, "op": "result", "mode": mode}).raise_for_status()
        found[mode] = met(http, "GET", link), met(http, "GET", link)

    expected = AT_RESULT | {"expire": CALLS[vendor].expired}
    assert found == {mode: (answer, "200 video/mp4") for mode, answer in expected.items()}
