"""Sora: what differs between the servers that speak OpenAI's format.

https://platform.openai.com/docs/api-reference/videos, vLLM-Omni 0.30 and SGLang 0.5.23, read 2026-11-23.
"""

import json
from typing import Any

import httpx
import pytest

from contract.replay import VENDORS, open_vendor, order_of, shown
from videogate.task.errors import InvalidRequest, NotUnderstood
from videogate.task.model import Observation, Receipt, Role, Sight
from videogate.vendorkit.client import Reply
from videogate.vendorkit.openai_family import SIGHTS
from videogate.vendorkit.order import OrderPicture

SORA = VENDORS["sora"]
WORDS = {
    Sight.QUEUED: "queued pending submitted not_start created starting preparing preprocessing",
    Sight.RUNNING: "in_progress processing running generating",
    Sight.SUCCEEDED: "completed complete succeeded success done finished",
    Sight.FAILED: "failed failure fail error cancelled canceled expired deleted rejected",
}


def seen(body: dict[str, Any], status: int = 200) -> Observation:
    """What a poll's answer shows."""
    vendor, _ = open_vendor(SORA)
    return vendor.read_observation(Reply(status, {}, json.dumps(body).encode(), ""))


async def form(asked: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """The request that leaves for this."""
    vendor, wire = open_vendor(SORA, httpx.Response(200, json={"id": "video_1", "status": "queued"}), **settings)
    await vendor.submit(vendor.prepare(order_of(vendor, asked)))
    return shown(wire.sent[0], SORA)


@pytest.mark.parametrize("flavour", ["openai", "vllm", "sglang", "gateway"])
async def test_a_form_is_multipart_even_without_a_file(flavour: str) -> None:
    """Servers of this format tell a form by `multipart/form-data`; some take anything else for JSON."""
    request = await form({"model": "sora-2", "prompt": "waves"}, flavour=flavour)

    assert request["headers"]["content-type"] == "multipart/form-data"
    assert request["form"]["prompt"] == "waves"
    assert ("model" in request["form"]) is (flavour != "vllm")


@pytest.mark.parametrize(
    ("size", "sent"), [("1280x720", "1280x720"), ("640*360", "640x360"), ("1920 × 1080", "1920x1080"), ("720P", "720P")]
)
@pytest.mark.parametrize("seconds", ["3", "4", "12", "7.5"])
async def test_size_and_length_are_not_fitted(size: str, sent: str, seconds: str) -> None:
    """The upstream is the authority: nothing is fitted or reported as fitted, but a size is spelled as it reads one."""
    vendor, _ = open_vendor(SORA)
    asked = {"model": "sora-2", "prompt": "waves", "size": size, "seconds": seconds}

    request = await form(asked)

    assert (request["form"]["size"], request["form"]["seconds"]) == (sent, seconds)
    assert (order_of(vendor, asked).fitted.size, order_of(vendor, asked).fitted.adjustments) == (sent, ())


async def test_what_was_not_asked_for_is_not_sent() -> None:
    """The upstream has defaults of its own."""
    assert (await form({"model": "sora-2", "prompt": "waves"}))["form"] == {"prompt": "waves", "model": "sora-2"}


@pytest.mark.parametrize("flavour", ["openai", "vllm", "sglang", "gateway"])
def test_no_option_names_a_path_on_the_server(flavour: str) -> None:
    """Fields that a server opens as files or directories of its own are never passed on."""
    vendor, _ = open_vendor(SORA, flavour=flavour)
    options = vendor.models["sora-2"].options

    assert not [name for name in options if "path" in name or name in ("lora", "profile", "input_reference", "model")]


async def test_an_option_is_one_field_of_text() -> None:
    """Nested values travel as JSON text, flags in lower case, and empty ones not at all."""
    options = {"seed": 7, "extra_params": {"a": [1, {"b": None}]}, "negative_prompt": "", "fps": None, "flow_shift": []}

    request = await form({"model": "sora-2", "prompt": "waves", "options": options}, flavour="sglang")

    assert request["form"] == {
        "prompt": "waves",
        "model": "sora-2",
        "seed": "7",
        "extra_params": '{"a": [1, {"b": null}]}',
    }


def test_a_picture_is_a_file_or_nothing() -> None:
    """A link that nobody read is not passed on in the hope that the upstream opens it."""
    vendor, _ = open_vendor(SORA)
    order = order_of(vendor, {"model": "sora-2", "prompt": "waves"})
    linked = type(order)(
        order.client_ref,
        order.model,
        order.prompt,
        order.fitted,
        pictures=(OrderPicture(Role.REFERENCE, url="https://example.com/1.png"),),
    )

    assert not order.model.pictures.as_link
    with pytest.raises(InvalidRequest) as caught:
        vendor.prepare(linked)
    assert caught.value.param == "input_reference"


def test_the_models_are_openais_and_those_of_the_settings() -> None:
    """A self-hosted server's models are named in the settings; spaces and empty names do no harm."""
    vendor, _ = open_vendor(SORA, models=" Wan-AI/Wan2.2 , ,ltx-2,sora-2")

    assert list(vendor.models) == [
        "sora-2",
        "sora-2-pro",
        "sora-2-2025-10-06",
        "sora-2-2025-12-08",
        "sora-2-pro-2025-10-06",
        "Wan-AI/Wan2.2",
        "ltx-2",
    ]


def test_the_words_for_states() -> None:
    """Every known word of these servers, in any case, and no other, has a meaning."""
    expected = {word: sight for sight, words in WORDS.items() for word in words.split()}

    assert expected == SIGHTS
    for word, sight in expected.items():
        assert seen({"id": "v", "status": word.upper()}).sight is sight


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (0, 0),
        (37, 37),
        (37.9, 37),
        ("37%", 37),
        ("37", 37),
        (250, 100),
        (-3, 0),
        (None, None),
        ("half", None),
        ([], None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_progress_in_every_form(given: Any, read: int | None) -> None:
    """A number, a text, a percentage: from 0 to 100, or not known."""
    assert seen({"id": "v", "status": "running", "progress": given}).progress == read


@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://example.com/v.mp4"},
        {"urls": ["https://example.com/v.mp4"]},
        {"video_url": "https://example.com/v.mp4"},
        {"video": {"url": "https://example.com/v.mp4"}},
        {"outputs": {"video_url": "https://example.com/v.mp4"}},
        {"unsigned_urls": ["https://example.com/v.mp4"]},
        {"metadata": {"url": "https://example.com/v.mp4"}},
    ],
)
def test_a_link_wherever_servers_put_it(body: dict[str, Any]) -> None:
    """The link in the record is the result."""
    artifact = seen({"id": "v", "status": "completed", **body}).artifact

    assert artifact is not None
    assert artifact.url == "https://example.com/v.mp4"


@pytest.mark.parametrize("link", [None, "", "/srv/out.mp4", "file:///etc/passwd", "s3://bucket/v.mp4", 5, ["x"]])
def test_without_a_link_the_content_is_asked_for(link: Any) -> None:
    """What is no web link is not one; the content has its own path, asked without `variant`."""
    artifact = seen({"id": "v", "status": "completed", "url": link}).artifact

    assert artifact is not None
    assert artifact.url == "/videos/v/content"


@pytest.mark.parametrize("status", [200, 400, 404, 422, 500, 503])
def test_a_failed_jobs_record_counts_under_every_status(status: int) -> None:
    """VLLM answers with the job's record under the job's own error status."""
    found = seen({"id": "v", "object": "video", "status": "failed", "error": {"code": 422, "message": "no"}}, status)

    assert found.sight is Sight.FAILED
    assert found.failure is not None
    assert (found.failure.vendor_code, found.failure.vendor_message) == ("422", "no")


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        ({"code": "moderation_blocked", "message": "m"}, "moderation_blocked"),
        ({"code": "content_policy_violation", "message": "m"}, "moderation_blocked"),
        ({"code": "input_safety", "message": "m"}, "moderation_blocked"),
        ({"code": "insufficient_quota", "message": "m"}, "insufficient_balance"),
        ({"code": "invalid_size", "message": "m"}, "invalid_request"),
        ({"code": 500, "message": "m"}, "vendor_error"),
        ({"message": "m"}, "vendor_error"),
        ("m", "vendor_error"),
        (None, "vendor_error"),
    ],
)
def test_why_a_job_failed(error: Any, ours: str) -> None:
    """Moderation and money are told apart; the rest is the vendor's error, with its words where it gives any."""
    found = seen({"id": "v", "status": "failed", "error": error})

    assert found.failure is not None
    assert found.failure.code.value == ours
    assert found.failure.vendor_message == ("m" if error else None)


@pytest.mark.parametrize(
    ("status", "body", "ours", "later"),
    [
        (400, {"error": {"message": "m", "type": "invalid_request_error"}}, "invalid_request", False),
        (401, {"error": {"message": "m", "type": "invalid_request_error"}}, "vendor_credentials_refused", False),
        (403, {"error": {"message": "m", "type": "permission_error"}}, "vendor_credentials_refused", False),
        (404, {"error": {"message": "m", "code": "model_not_found"}}, "model_unavailable", False),
        (422, {"detail": [{"loc": ["body", "prompt"], "msg": "Field required"}]}, "invalid_request", False),
        (400, {"detail": "m"}, "invalid_request", False),
        (400, {"error": "m"}, "invalid_request", False),
        (400, {"code": "invalid_request", "message": "m", "data": None}, "invalid_request", False),
        (400, {"object": "error", "message": "m", "type": "BadRequestError", "code": 400}, "invalid_request", False),
        (429, {"error": {"message": "m", "type": "requests"}}, "rate_limited", True),
        (429, {"error": {"message": "m", "code": "insufficient_quota"}}, "insufficient_balance", False),
    ],
)
def test_refusals_in_every_form(status: int, body: dict[str, Any], ours: str, later: bool) -> None:
    """OpenAI's object, a text, FastAPI's detail and the flat form: the status decides where the code does not."""
    vendor, _ = open_vendor(SORA)

    refusal = vendor.read_refusal(Reply(status, {}, json.dumps(body).encode(), ""))

    assert refusal is not None
    assert (refusal.failure.code.value, refusal.later) == (ours, later)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": {"message": "m"}}),
        (400, {"message": "no Route matched with those values"}),
        (400, {"error": {}}),
        (400, {"error": None}),
        (500, {"id": "v", "status": "failed", "error": {"message": "m"}}),
    ],
)
def test_what_is_no_refusal(status: int, body: dict[str, Any]) -> None:
    """A job's record, a proxy's body and an error without words refuse nothing."""
    vendor, _ = open_vendor(SORA)

    assert vendor.read_refusal(Reply(status, {}, json.dumps(body).encode(), "")) is None


def test_a_lost_job_is_missing_only_in_the_servers_own_words() -> None:
    """A 404 from elsewhere does not say that the job is gone."""
    assert seen({"error": {"message": "not found"}}, 404).sight is Sight.MISSING
    with pytest.raises(NotUnderstood):
        seen({"error": {"message": "not found"}}, 410)
    with pytest.raises(NotUnderstood):
        seen({"message": "no Route matched with those values"}, 404)


def test_a_job_is_looked_at_by_its_id() -> None:
    """The id of the receipt, below `/videos`."""
    vendor, _ = open_vendor(SORA)

    call = vendor.poll_call(Receipt("video_1"))

    assert (call.method, call.path, call.json, call.form) == ("GET", "/videos/video_1", None, None)
