"""Fitting: what a model cannot make is never promised, and never silently changed."""

from dataclasses import replace
from math import log, sqrt
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from videogate.task.errors import InvalidRequest
from videogate.task.frames import Frame, parse_size
from videogate.task.model import Adjustment, Fit, Fitted, TaskSpec
from videogate.vendorkit.facts import (
    Choices,
    FrameRule,
    FrameTable,
    LengthRule,
    Model,
    OpenFrames,
    OpenLength,
    PictureFrames,
    SourceLength,
    Span,
    TierLengths,
)
from videogate.vendorkit.fit import fit, lengths_in_words

RATIOS = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1), "4:3": (4, 3), "21:9": (21, 9)}
TABLE = FrameTable(
    {
        480: {"16:9": Frame(832, 480), "9:16": Frame(480, 832), "1:1": Frame(624, 624)},
        720: {"16:9": Frame(1280, 720), "9:16": Frame(720, 1280), "1:1": Frame(960, 960)},
        1080: {"16:9": Frame(1920, 1080), "9:16": Frame(1080, 1920), "1:1": Frame(1440, 1440)},
    }
)
LOOSE = TaskSpec("m", "x", fit=Fit.NEAREST)
STRICT = replace(LOOSE, fit=Fit.STRICT)


LENGTHS = Span(2, 15)


def model(frames: FrameRule = TABLE, lengths: LengthRule = LENGTHS) -> Model:
    return Model("m", frames, lengths)


def adjusted(fitted: Fitted) -> dict[str, tuple[str, str | None]]:
    return {each.field: (each.requested, each.used) for each in fitted.adjustments}


def made_by(rule: LengthRule) -> list[int]:
    """Every length of a rule, the shortest first."""
    match rule:
        case Choices(allowed):
            return sorted(allowed)
        case Span(least, most):
            return list(range(least, most + 1))
        case OpenLength() | SourceLength():
            return []
        case TierLengths(tiers):
            return sorted({length for each in tiers.values() for length in made_by(each)})


def test_each_tier_has_lengths_of_its_own() -> None:
    """What is made only small is not promised large, and the report says so."""
    able = model(lengths=TierLengths({lines: Choices((4, 8) if lines == 720 else (4,)) for lines in TABLE.tiers}))

    small = fit(replace(LOOSE, size="1280x720", seconds="8"), able)
    large = fit(replace(LOOSE, size="1920x1080", seconds="8"), able)

    assert (small.seconds, large.seconds) == ("8", "4")
    assert "at 1080P" in large.adjustments[0].reason


def test_a_picture_may_choose_among_the_shapes_of_a_table() -> None:
    """A vendor that crops a picture to the nearest of its ratios makes that one, whatever size was asked for."""
    able = model(frames=replace(TABLE, shaped=True))

    tall = fit(replace(LOOSE, size="1280x720"), able, Frame(936, 1664))

    assert tall.ratio == "9:16"
    assert tall.adjustments[0].field == "size"


sides = st.integers(1, 8192)
tiers = st.sampled_from([240, 360, 480, 540, 720, 768, 1080, 1440, 2160])
tables = st.builds(
    FrameTable,
    st.dictionaries(
        tiers, st.dictionaries(st.sampled_from(sorted(RATIOS)), st.builds(Frame, sides, sides), min_size=1), min_size=1
    ),
)
pictured = st.builds(PictureFrames, st.lists(tiers, min_size=1, unique=True).map(tuple), st.sampled_from([2, 8, 16]))
lengths = st.one_of(
    st.builds(Choices, st.lists(st.integers(1, 60), min_size=1, unique=True).map(tuple)),
    st.tuples(st.integers(1, 20), st.integers(0, 40)).map(lambda pair: Span(pair[0], pair[0] + pair[1])),
    st.just(OpenLength()),
)
models = st.builds(model, st.one_of(tables, pictured, st.just(OpenFrames())), lengths)
frames = st.builds(Frame, st.integers(1, 16384), st.integers(1, 16384))
tier_texts = st.tuples(st.integers(100, 9999), st.sampled_from("pP")).map(lambda pair: f"{pair[0]}{pair[1]}")
size_texts = st.one_of(
    st.tuples(frames, st.sampled_from("xX*×")).map(lambda pair: f"{pair[0].width}{pair[1]}{pair[0].height}"), tier_texts
)
ratio_texts = st.tuples(st.integers(1, 32), st.integers(1, 32)).map(lambda pair: f"{pair[0]}:{pair[1]}")
second_texts = st.one_of(st.integers(1, 3600).map(str), st.floats(0.1, 3600).map(str))
asks = st.fixed_dictionaries(
    {},
    optional={"size": size_texts, "resolution": size_texts, "aspect_ratio": ratio_texts, "seconds": second_texts},
)


@given(models, asks, st.none() | frames)
def test_nothing_is_promised_that_the_model_cannot_make(
    able: Model, asked: dict[str, Any], picture: Frame | None
) -> None:
    """Whatever is asked for, size, tier, ratio and length are of the model's own."""
    fitted = fit(replace(LOOSE, **asked), able, picture)

    match able.frames:
        case FrameTable(made):
            assert fitted.frame == made[fitted.tier or 0][fitted.ratio or ""]
            assert fitted.size == str(fitted.frame)
        case PictureFrames(known, multiple):
            assert fitted.tier in known
            assert fitted.ratio is None
            assert (fitted.frame is None) == (picture is None)
            assert not fitted.frame or not (fitted.frame.width % multiple or fitted.frame.height % multiple)
        case OpenFrames():
            assert (fitted.frame, fitted.tier, fitted.ratio) == (None, None, None)
            size = parse_size(asked["size"]) if asked.get("size") else None
            assert fitted.size == (str(size) if isinstance(size, Frame) else asked.get("size") or fitted.size)
    match able.lengths:
        case Choices(allowed):
            assert int(fitted.seconds) in allowed
        case Span(least, most):
            assert least <= int(fitted.seconds) <= most
        case OpenLength() | SourceLength():
            assert fitted.seconds == asked.get("seconds", "4")


@given(models, asks, st.none() | frames)
def test_strict_never_adjusts(able: Model, asked: dict[str, Any], picture: Frame | None) -> None:
    """Strict makes exactly what nearest makes without any change, or refuses and names a field that was sent."""
    nearest = fit(replace(LOOSE, **asked), able, picture)
    try:
        strict = fit(replace(STRICT, **asked), able, picture)
    except InvalidRequest as error:
        assert nearest.adjustments
        assert error.param in asked
    else:
        assert strict == nearest
        assert not strict.adjustments


@given(models, asks, st.none() | frames)
def test_an_adjustment_quotes_the_caller(able: Model, asked: dict[str, Any], picture: Frame | None) -> None:
    """Every adjustment says what was asked in the caller's own words, what is made instead, and why."""
    for adjustment in fit(replace(LOOSE, **asked), able, picture).adjustments:
        assert adjustment.requested == asked[adjustment.field]
        assert adjustment.used or isinstance(able.frames, OpenFrames)
        assert able.name in adjustment.reason


@given(tables, st.data(), lengths)
def test_what_a_model_makes_is_made_as_asked(table: FrameTable, data: st.DataObject, rule: LengthRule) -> None:
    """Each of a model's own sizes and lengths is fitted to itself, even under strict."""
    size = data.draw(st.sampled_from(table.all()))
    seconds = data.draw(st.sampled_from(made_by(rule) or [7]))

    fitted = fit(replace(STRICT, size=str(size), seconds=str(seconds)), model(table, rule))

    assert (fitted.frame, fitted.seconds) == (size, str(seconds))


@given(st.floats(0.1, 100), lengths)
def test_a_length_is_the_nearest_and_of_two_the_shorter(asked: float, rule: LengthRule) -> None:
    """No other length is closer; where two are as close, the cheaper is made."""
    assume(not isinstance(rule, OpenLength))

    made = int(fit(replace(LOOSE, seconds=str(asked)), model(lengths=rule)).seconds)

    assert made == min(made_by(rule), key=lambda each: abs(each - asked))


@given(frames, st.sampled_from([480, 720, 1080]))
def test_a_picture_keeps_its_shape_and_gets_the_tiers_pixels(picture: Frame, tier: int) -> None:
    """Sides differ from the ideal by less than one step of the vendor's."""
    assume(1 / 8 <= picture.width / picture.height <= 8)

    made = fit(replace(LOOSE, resolution=f"{tier}P"), model(PictureFrames((tier,))), picture).frame

    assert made is not None
    area, ratio = tier * tier * 16 / 9, picture.width / picture.height
    assert 0 <= sqrt(area * ratio) - made.width < 16
    assert 0 <= sqrt(area / ratio) - made.height < 16


def test_the_pages_own_example_of_a_picture() -> None:
    """750x1000 at 720P makes 816x1104: https://help.aliyun.com/zh/model-studio/legacy-image-to-video-api-reference."""
    fitted = fit(replace(LOOSE, resolution="720P"), model(PictureFrames((480, 720))), Frame(750, 1000))

    assert (fitted.size, fitted.tier) == ("816x1104", 720)


@pytest.mark.parametrize(
    ("asked", "size", "changes"),
    [
        ({}, "720x1280", {}),
        ({"size": "1280*720"}, "1280x720", {}),
        ({"size": "720P"}, "1280x720", {}),
        ({"size": "480p", "aspect_ratio": "1:1"}, "624x624", {}),
        ({"aspect_ratio": "9:16"}, "720x1280", {}),
        ({"resolution": "1080P", "aspect_ratio": "9:16"}, "1080x1920", {}),
        ({"size": "1280P"}, "1920x1080", {"size": ("1280P", "1080P")}),
        ({"size": "1024x1792"}, "1080x1920", {"size": ("1024x1792", "1080x1920")}),
        ({"size": "1000x1000"}, "960x960", {"size": ("1000x1000", "960x960")}),
        ({"aspect_ratio": "21:9"}, "1280x720", {"aspect_ratio": ("21:9", "16:9")}),
        ({"resolution": "4000P"}, "1920x1080", {"resolution": ("4000P", "1080P")}),
    ],
)
def test_sizes_as_callers_say_them(asked: dict[str, Any], size: str, changes: dict[str, Any]) -> None:
    """A resolution is wide, nothing at all is the interface's default, and shape counts more than pixels."""
    fitted = fit(replace(LOOSE, **asked), model())

    assert fitted.size == size
    assert adjusted(fitted) == changes


@pytest.mark.parametrize(
    ("rule", "asked", "made"),
    [
        (Choices((5, 10)), None, "5"),
        (Choices((5, 10)), "3", "5"),
        (Choices((10, 5)), "7.5", "5"),
        (Choices((5, 10)), "60", "10"),
        (Span(2, 15), None, "4"),
        (Span(2, 15), "1", "2"),
        (Span(2, 15), "2.5", "2"),
        (Span(2, 15), "3.5", "3"),
        (Span(2, 15), "3.6", "4"),
        (Span(5, 15), None, "5"),
        (OpenLength(), "7.25", "7.25"),
    ],
)
def test_lengths_as_callers_say_them(rule: LengthRule, asked: str | None, made: str) -> None:
    """The nearest is made; a change is reported only to callers who asked for something."""
    fitted = fit(replace(LOOSE, seconds=asked), model(lengths=rule))

    assert fitted.seconds == made
    assert bool(fitted.adjustments) is (asked is not None and float(asked) != float(made))


def test_strict_says_what_would_be_allowed() -> None:
    """A refusal holds the field and every value that the model takes."""
    with pytest.raises(InvalidRequest, match="5 or 10 seconds") as caught:
        fit(replace(STRICT, seconds="3"), model(lengths=Choices((5, 10))))
    assert caught.value.param == "seconds"
    with pytest.raises(InvalidRequest, match=r"832x480.*1440x1440") as caught:
        fit(replace(STRICT, size="800x600"), model())
    assert caught.value.param == "size"


@pytest.mark.parametrize("text", ["0", "-1", "five", "nan", "inf", "1e9", "3601", "5s"])
@pytest.mark.parametrize("rule", [Span(2, 15), Choices((5,)), OpenLength()])
def test_a_length_that_is_none(text: str, rule: LengthRule) -> None:
    """What is no length is refused, by models that leave lengths open, too."""
    with pytest.raises(InvalidRequest) as caught:
        fit(replace(LOOSE, seconds=text), model(lengths=rule))

    assert caught.value.param == "seconds"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("size", "big"),
        ("size", "0x0"),
        ("size", "99999x1"),
        ("resolution", "HD"),
        ("aspect_ratio", "16/9"),
        ("aspect_ratio", "0:1"),
    ],
)
@pytest.mark.parametrize("rule", [TABLE, PictureFrames((720,)), OpenFrames()])
def test_a_size_that_is_none(field: str, text: str, rule: FrameRule) -> None:
    """The field that cannot be read is the one that is named."""
    with pytest.raises(InvalidRequest) as caught:
        fit(replace(LOOSE, **{field: text}), model(rule))  # type: ignore[arg-type]

    assert caught.value.param == field


def test_an_open_model_is_fitted_to_nothing() -> None:
    """The caller's own values are what it will read, a size as everybody writes one."""
    for size in ("1234x567", "1234*567", "1234 X 567"):
        fitted = fit(replace(STRICT, size=size, seconds="7"), model(OpenFrames(), OpenLength()))
        assert fitted == Fitted("1234x567", "7")


def test_what_an_open_model_is_not_told_is_reported() -> None:
    """The format has no field for a resolution or a ratio: callers read that theirs was left out."""
    asked: dict[str, Any] = {"resolution": "720P", "aspect_ratio": "16:9"}

    fitted = fit(replace(LOOSE, **asked), model(OpenFrames()))

    assert adjusted(fitted) == {"resolution": ("720P", None), "aspect_ratio": ("16:9", None)}
    with pytest.raises(InvalidRequest):
        fit(replace(STRICT, **asked), model(OpenFrames()))


@pytest.mark.parametrize(
    ("picture", "changes"),
    [(Frame(1000, 750), {}), (Frame(1088, 832), {}), (Frame(1600, 900), {"aspect_ratio": ("4:3", "16:9")}), (None, {})],
)
def test_a_picture_decides_over_a_ratio(picture: Frame | None, changes: dict[str, Any]) -> None:
    """A ratio that the picture does not have is not made, and that is said."""
    assert adjusted(fit(replace(LOOSE, aspect_ratio="4:3"), model(PictureFrames((720,))), picture)) == changes


def test_the_nearest_shape_beats_the_nearest_pixels() -> None:
    """A tall request is not made wide because the number of pixels would fit better."""
    fitted = fit(replace(LOOSE, size="1000x1800"), model())

    assert fitted.frame is not None
    assert log(fitted.frame.height / fitted.frame.width) > 0
    assert fitted.adjustments == (Adjustment("size", "1000x1800", "1080x1920", fitted.adjustments[0].reason),)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Choices((5, 10)), "5 or 10 seconds"),
        (Span(2, 15), "2 to 15 seconds"),
        (OpenLength(), "any length that the upstream takes"),
    ],
)
def test_lengths_in_words(rule: LengthRule, words: str) -> None:
    """Error texts and the catalogue say it alike."""
    assert lengths_in_words(rule) == words
