"""Sora: OpenAI, and every other server of its format.

Wire: https://platform.openai.com/docs/api-reference/videos, read 2026-11-23. OpenAI ended its own service on
2026-09-24; the format lives on in the servers that `flavour` names.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import SecretStr

from videogate.task.model import Rework, Role
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.facts import (
    LengthRule,
    Limits,
    Model,
    OpenFrames,
    OpenLength,
    PictureRule,
    SourceFrames,
    SourceLength,
    Terms,
    Told,
    VideoRule,
)
from videogate.vendorkit.openai_family import OpenAIFamily, Quirks
from videogate.vendorkit.tracing import Trace, Tracing


class Config(VendorConfig):
    """`models` adds names, comma-separated, to OpenAI's own; `flavour` says which server answers."""

    api_key: SecretStr
    base_url: str = "https://api.openai.com/v1"
    flavour: Literal["openai", "vllm", "sglang", "gateway"] = "openai"
    models: str = ""


MODELS = ("sora-2", "sora-2-pro", "sora-2-2025-10-06", "sora-2-2025-12-08", "sora-2-pro-2025-10-06")

_SAMPLING = frozenset(
    {"seed", "fps", "num_frames", "num_inference_steps", "guidance_scale", "guidance_scale_2", "negative_prompt"}
)
# The extra fields of each server, as its 2026-11 packages declare them; fields that name local paths are left out.
FLAVOURS: Mapping[str, Quirks] = {
    "openai": Quirks(options=frozenset({"characters"}), reworks=frozenset(Rework), characters=True),
    "gateway": Quirks(
        options=frozenset({"seed", "negative_prompt", "metadata", "characters"}),
        reworks=frozenset(Rework),
        characters=True,
    ),
    "vllm": Quirks(
        send_model=False,
        options=_SAMPLING | {"flow_shift", "boundary_ratio", "true_cfg_scale", "generate_sound", "extra_params"},
    ),
    "sglang": Quirks(options=_SAMPLING | {"flow_shift", "true_cfg_scale", "enable_teacache", "extra_params"}),
}

PICTURES = PictureRule(
    counts={Role.REFERENCE: (0, 1)},
    as_link=False,
    mimes=frozenset({"image/jpeg", "image/png", "image/webp"}),
    most_bytes=20 * 1024 * 1024,
)
# A remix and an edit keep the length, an extension adds what it is told to.
REWORKS: tuple[tuple[VideoRule, LengthRule], ...] = (
    (VideoRule(Rework.REMIX, Told.JOB), SourceLength()),
    (VideoRule(Rework.EDIT, Told.JOB, as_file=True), SourceLength()),
    (VideoRule(Rework.EXTEND, Told.JOB, as_file=True), OpenLength()),
)
TERMS = Terms(
    title="Sora, and every server of OpenAI's video format",
    source="https://platform.openai.com/docs/guides/video-generation",
    link="an hour at OpenAI, the server's own choice elsewhere; servers that give none are asked for the content",
    record="the server's own choice; several keep jobs in memory and forget them at a restart",
    # OpenAI refuses to delete a running job, vLLM-Omni aborts it, SGLang forgets it while it goes on; and no answer
    # tells a job that was stopped from one that had just been finished.
    cancel="no call for it that its servers agree on",
    billing="the server's own; OpenAI billed each second of video",
)
LIMITS = Limits(polls_per_second=20, submits_per_second=5, submits_at_once=4, polls_at_once=32, fetches_at_once=4)


class Sora(OpenAIFamily):
    """Sizes and lengths are fitted to nothing: the upstream is the authority."""

    name = "sora"
    provider = "openai"
    Config = Config
    limits = LIMITS
    terms = TERMS
    # Its list shows the prompt; for how long a server remembers is its own choice.
    tracing = Tracing(Trace.LIKENESS, seconds=86_400)

    @property
    def quirks(self) -> Quirks:  # type: ignore[override]
        """Those of the server that the settings name."""
        return FLAVOURS[self.config.flavour]

    def offered(self) -> Mapping[str, Model]:
        extra = (name.strip() for name in self.config.models.split(","))
        return {name: self._model(name) for name in dict.fromkeys((*MODELS, *extra)) if name}

    def _model(self, name: str) -> Model:
        usual = Model(
            name,
            frames=OpenFrames(),
            lengths=OpenLength(),
            pictures=PICTURES,
            usual_seconds=120,
            abilities=frozenset({"text", "picture"}),
            options=self.quirks.options,
            source="https://platform.openai.com/docs/guides/video-generation",
        )
        bare = replace(usual, frames=SourceFrames(), pictures=PictureRule(), options=frozenset())
        reworks = [
            replace(bare, way=rule.rework.value, from_video=rule, lengths=lengths)
            for rule, lengths in REWORKS
            if rule.rework in self.quirks.reworks
        ]
        return replace(usual, others=tuple(reworks))
