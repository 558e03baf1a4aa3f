"""Spans of the calls that are made for a task, by OpenTelemetry's conventions for generative AI.

A submit stands in the trace of the request that asked for the video. What comes later, for minutes or hours, stands in
traces of its own, linked to that request.
"""

from contextlib import AbstractContextManager
from urllib.parse import urlsplit

from videogate import traces
from videogate.store.claims import Claim
from videogate.task.errors import Refused, VendorError
from videogate.traces import Facts, Span
from videogate.vendorkit.contract import Vendor


def submit(vendor: Vendor, claim: Claim) -> AbstractContextManager[Span]:
    """The span of a submit."""
    if not traces.on():
        return traces.child("", {}, None)
    task = claim.task
    facts: Facts = {
        "gen_ai.operation.name": "generate_content",
        "gen_ai.output.type": "video",  # of ours: the conventions have no word for videos
        "videogate.size": task.size,
        "videogate.seconds": task.seconds,
        **_facts(vendor, claim),
    }
    return traces.child(f"generate_content {task.vendor_model}", facts, task.traceparent)


def look(vendor: Vendor, claim: Claim) -> AbstractContextManager[Span]:
    """The span of a look at a job."""
    return _later("poll", vendor, claim)


def fetch(vendor: Vendor, claim: Claim) -> AbstractContextManager[Span]:
    """The span of the download of a result."""
    return _later("fetch", vendor, claim)


def kind_of(error: VendorError) -> str:
    """What kind of error it is, in one of few words."""
    return error.failure.code.value if isinstance(error, Refused) else type(error).__name__


def _later(verb: str, vendor: Vendor, claim: Claim) -> AbstractContextManager[Span]:
    if not traces.on():
        return traces.linked("", {}, None)
    return traces.linked(f"{verb} {claim.task.vendor_model}", _facts(vendor, claim), claim.task.traceparent)


def _facts(vendor: Vendor, claim: Claim) -> Facts:
    receipt = claim.attempt.receipt
    return {
        "gen_ai.provider.name": vendor.provider,
        "gen_ai.request.model": claim.task.vendor_model,
        "server.address": urlsplit(vendor.config.base_url).hostname,
        "videogate.video.id": claim.task.id,
        "videogate.attempt": claim.attempt.number,
        "videogate.vendor_task_id": receipt.vendor_task_id if receipt else None,
    }
