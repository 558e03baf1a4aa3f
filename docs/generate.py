"""Writes docs/vendors, docs/errors.md and docs/conformance.md from the facts in the code: `make docs`.

A test holds the pages to what this makes.
"""

import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

import httpx
from pydantic.fields import FieldInfo

from videogate import vendors
from videogate.conformance import CHECKS, GROUPS
from videogate.media.fetch import SafeFetcher
from videogate.settings import PREFIX
from videogate.task.errors import FailureCode
from videogate.task.model import Rework
from videogate.vendorkit.client import VendorClient
from videogate.vendorkit.contract import Vendor
from videogate.vendorkit.facts import (
    FrameTable,
    Model,
    OpenFrames,
    PictureFrames,
    PictureRule,
    SourceFrames,
    Told,
    VideoRule,
)
from videogate.vendorkit.fit import lengths_in_words
from videogate.vendorkit.lines import PlainLine
from videogate.vendorkit.tracing import Trace

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py (`make docs`) from the facts in the code; edit those. -->"

# What each of our codes tells the caller of a failed video. The order is that of the page.
MEANINGS: Mapping[FailureCode, str] = {
    FailureCode.MODERATION_BLOCKED: "The vendor's moderation blocked the prompt, an input or the finished video.",
    FailureCode.INVALID_REQUEST: "The vendor refused a value of the request.",
    FailureCode.INPUT_UNREADABLE: "An input picture, sound or film could not be read.",
    FailureCode.MODEL_UNAVAILABLE: "The vendor does not offer this model to this account.",
    FailureCode.RATE_LIMITED: "The vendor throttled for good; throttling that passes is waited for and never seen.",
    FailureCode.INSUFFICIENT_BALANCE: "The operator's account at the vendor is out of money or credits.",
    FailureCode.VENDOR_CREDENTIALS: "The vendor refused the operator's key.",
    FailureCode.VENDOR_CANCELLED: "The job was cancelled at the vendor.",
    FailureCode.VENDOR_LOST: "The vendor no longer knows the job that it accepted.",
    FailureCode.VENDOR_ERROR: "The vendor failed for a reason of its own.",
    FailureCode.DEADLINE: "The video was not finished before the task's deadline.",
    FailureCode.NOT_RECEIVED: "The request was sent, its answer lost; the vendor has no such job, nothing is billed.",
    FailureCode.UNKNOWN_OUTCOME: "The request was sent and its answer lost: it may be billed, and was not sent again.",
}


SEARCHES: Mapping[Trace, str] = {
    Trace.REFERENCE: "found by our own reference, or surely never made",
    Trace.LIKENESS: "looked for among the jobs that the vendor lists, and bound if nothing else can be it",
    Trace.NOTHING: "cannot be asked for; an operator must look in the console (`videogate tasks review`)",
}
NOUNS: Mapping[Rework, str] = {Rework.REMIX: "a remix", Rework.EDIT: "an edit", Rework.EXTEND: "an extension"}
# What becomes of a vendor's job when its video is deleted, by whether it `cancels`.
DELETED: Mapping[bool, str] = {
    True: "a video that is deleted in time is cancelled there",
    False: "a video that is deleted is made, and billed, all the same",
}


def pages() -> dict[Path, str]:
    """Every generated page, by its path below docs/."""
    found = {Path("vendors") / f"{name}.md": vendor_page(opened(kind)) for name, kind in vendors.discover().items()}
    return {**found, Path("errors.md"): errors_page(), Path("conformance.md"): conformance_page()}


def conformance_page() -> str:
    """What `videogate conformance` checks."""
    lines = [NOTE, "", "# What `videogate conformance` checks", ""]
    lines += [
        "`videogate conformance BASE_URL --key KEY` looks at any server of OpenAI's video format from outside.",
        "A `must` is what clients break on; a `should` is what makes life easier. Exit code 1: a `must` failed.",
        "It makes videos, and says how many before it does.",
        "",
    ]
    for group, members in groupby(CHECKS, lambda each: each.group):
        lines += [f"## {GROUPS[group]}", "", "| check | | claim | needed by |", "|---|---|---|---|"]
        lines += [f"| `{each.id}` | {each.level} | {each.claim} | {each.needed_by} |" for each in members]
        lines += [""]
    return "\n".join(lines)


def opened(kind: type[Vendor]) -> Vendor:
    """A vendor with settings that lead nowhere."""
    secrets = dict.fromkeys(kind.Config.credentials(), "none")
    config = kind.Config.model_validate(secrets)
    nowhere = PlainLine(httpx.AsyncClient())
    client = VendorClient(kind.name, config.base_url, secrets=(), submits=nowhere, polls=nowhere, opener=SafeFetcher())
    return kind(config, client)


def vendor_page(vendor: Vendor) -> str:
    """A vendor's page."""
    terms = vendor.terms
    lines = [NOTE, "", f"# {terms.title}", "", f"The vendor's own documents: <{terms.source}>.", ""]
    lines += ["## Settings", "", "| variable | default |", "|---|---|", *_settings(vendor), ""]
    lines += ["## Models", ""]
    lines += ["| model | way | pictures | sizes | seconds | prompt |", "|---|---|---|---|---|---|"]
    lines += [_model_row(way) for model in vendor.models.values() for way in model.ways_to(None)]
    lines += ["", "A model with several ways takes the first that has room for the request's pictures;"]
    lines += ["`metadata.action` may name one.", "", "## Videos from videos", "", *_reworks(vendor), ""]
    lines += ["## Metadata keys", "", *_options(vendor), ""]
    if vendor.picture_options:
        keys = ", ".join(f"`{key}` ({role.value})" for key, role in vendor.picture_options.items())
        lines += [f"Pictures may also be links in `metadata`: {keys}.", ""]
    if vendor.option_words:
        words = (
            f"`{key}={word}` ({field} {meaning})"
            for key, (field, each) in vendor.option_words.items()
            for word, meaning in each.items()
        )
        lines += [f"The vendor's own words: {', '.join(words)}.", ""]
    lines += ["## Pictures", "", *_picture_rules(vendor), "", "## Terms", ""]
    lines += [f"- **Link of a result**: {terms.link}.", f"- **Record of a job**: {terms.record}."]
    lines += [f"- **Cancelling**: {terms.cancel}; {DELETED[vendor.cancels]}.", f"- **Billing**: {terms.billing}."]
    lines += [
        f"- **Rates kept**: {vendor.limits.polls_per_second:g} looks and {vendor.limits.submits_per_second:g} submits"
    ]
    lines += [f"  a second, {vendor.limits.submits_at_once} submits at once.", f"- **Jobs at once**: {_jobs(vendor)}."]
    lines += [f"- **A submit whose answer was lost**: {SEARCHES[vendor.tracing.by]}.", "", "## Errors", ""]
    lines += ["| the vendor's code | ours |", "|---|---|"]
    lines += [f"| `{code}` | [`{ours.value}`](../errors.md) |" for code, ours in vendor.codes]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Every code of a failed video, and which vendors' codes lead to it."""
    assert set(MEANINGS) == set(FailureCode)
    lines = [NOTE, "", "# Why a video failed", ""]
    lines += [
        "A failed video has `error.code`, one of these, and `error.message`, a sentence. Where the vendor gave its own"
    ]
    lines += ["code and words they stand beside it as `vendor_code` and `vendor_message`. Keys are never in them.", ""]
    lines += ["| code | meaning |", "|---|---|"]
    lines += [f"| `{code.value}` | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(lines) + "\n"


def _settings(vendor: Vendor) -> Iterator[str]:
    for name, field in type(vendor.config).model_fields.items():
        yield f"| `{PREFIX}{vendor.name.upper()}_{name.upper()}` | {_default(field)} |"


def _default(field: FieldInfo) -> str:
    return "" if field.is_required() or field.default in (None, "") else f"`{field.default}`"


def _jobs(vendor: Vendor) -> str:
    most = vendor.limits.jobs_at_once
    kept = f"{most}, the rest waits here" if most else "any number"
    return f"{kept}; `{PREFIX}{vendor.name.upper()}_MAX_JOBS` sets another"


def _model_row(model: Model) -> str:
    return (
        f"| `{model.name}` | {model.way or '-'} | {_pictures(model)} | {_sizes(model)} |"
        f" {lengths_in_words(model.lengths)} | {_prompt(model)} |"
    )


def _pictures(model: Model) -> str:
    return ", ".join(_count(role.value, *bounds) for role, bounds in model.pictures.counts.items()) or "none"


def _prompt(model: Model) -> str:
    return "needed" if model.prompt_needed else "optional"


def _reworks(vendor: Vendor) -> Iterator[str]:
    rows: dict[str, list[str]] = {}
    for way in (way for model in vendor.models.values() for way in model.ways if way.from_video):
        rows.setdefault(_rework_row(way, way.from_video), []).append(f"`{way.name}`")
    if rows:
        yield from ("| models | make | of | sizes | seconds | pictures | prompt |", "|---|---|---|---|---|---|---|")
    else:
        yield "None: no call for it is documented."
    yield from (f"| {', '.join(names)} | {row}" for row, names in rows.items())


def _rework_row(way: Model, rule: VideoRule | None) -> str:
    assert rule is not None
    whose = "a video that the same model made here"
    if rule.any_model:
        whose = "a video that any model of this vendor made here"
    if rule.told is Told.LINK:
        whose = f"any video made here, with `{PREFIX}PUBLIC_URL` set"
    adds = "adds " if rule.rework is Rework.EXTEND else ""
    return (
        f"{NOUNS[rule.rework]} | {whose}{', or a file' if rule.as_file else ''} | {_sizes(way)} |"
        f" {adds}{lengths_in_words(way.lengths)} | {_pictures(way)} | {_prompt(way)} |"
    )


def _count(role: str, least: int, most: int) -> str:
    return f"{role} {least}" if least == most else f"{role} {least}-{most}"


def _sizes(model: Model) -> str:
    match model.frames:
        case FrameTable(tiers, shaped):
            sizes = "; ".join(
                f"{lines}P {', '.join(str(frame) for frame in each.values())}" for lines, each in tiers.items()
            )
            return f"{sizes}, as the picture's shape is nearest" if shaped else sizes
        case PictureFrames(tiers):
            giver = "source" if model.from_video else "picture"
            return f"{', '.join(f'{lines}P' for lines in tiers)} in the {giver}'s shape"
        case SourceFrames():
            return "the source's own"
        case OpenFrames():
            return "the upstream's own"


def _options(vendor: Vendor) -> Iterator[str]:
    ways = [way for model in vendor.models.values() for way in model.ways if way.options or not way.from_video]
    by_keys = sorted(ways, key=lambda way: sorted(way.options))
    for keys, group in groupby(by_keys, key=lambda way: sorted(way.options)):
        names = sorted({f"`{way.name}`{f' ({way.way})' if way.way else ''}" for way in group})
        yield f"- {', '.join(f'`{key}`' for key in keys) or 'none'}: {', '.join(names)}"


def _picture_rules(vendor: Vendor) -> Iterator[str]:
    rules = {_rule(way.pictures) for model in vendor.models.values() for way in model.ways if way.pictures.most}
    yield from sorted(rules)


def _rule(rule: PictureRule) -> str:
    forms = " or ".join(
        word for word, given in (("a file or data URL", rule.as_file), ("a link", rule.as_link)) if given
    )
    kinds = ", ".join(sorted(mime.removeprefix("image/") for mime in rule.mimes))
    shape = f", at most {rule.stretch:g} times as long as wide" if rule.stretch < PictureRule().stretch else ""
    sides = f"sides of {rule.side[0]} to {rule.side[1]} pixels"
    return f"- {forms}; {kinds}; at most {rule.most_bytes:,} bytes; {sides}{shape}"


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        target = DOCS / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, "utf-8")
        sys.stdout.write(f"docs/{path}\n")


if __name__ == "__main__":
    main()
