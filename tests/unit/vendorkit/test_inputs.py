"""Pictures and options: each finds the place that the model has for it, or the caller reads why not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videogate.task.errors import InvalidRequest
from videogate.task.frames import Frame
from videogate.task.model import Picture, Role, TaskSpec
from videogate.vendorkit.facts import Model, OpenFrames, OpenLength, PictureRule
from videogate.vendorkit.inputs import arrange, choose_way, lift_options, lift_pictures, lift_words, unused_options

SPEC = TaskSpec("m", "x")
GROUPS = frozenset({"input", "parameters"})
KEYS = {"img_url": Role.FIRST_FRAME, "last_frame_url": Role.LAST_FRAME}

FIRST, LAST, REFERENCE = (
    Picture(role, url=f"https://example.com/{role.value}.png")
    for role in (Role.FIRST_FRAME, Role.LAST_FRAME, Role.REFERENCE)
)
FILE = Picture(Role.REFERENCE, key="k", mime="image/png", frame=Frame(800, 600), length=1000)


def model(name: str = "m", options: frozenset[str] = frozenset(), **rule: Any) -> Model:
    return Model(name, OpenFrames(), OpenLength(), PictureRule(**rule), options=options)


TEXT = model("text")
ONE = model("one", counts={Role.FIRST_FRAME: (1, 1)})
TWO = model("two", counts={Role.FIRST_FRAME: (1, 1), Role.LAST_FRAME: (1, 1)})
ANY = model("any", counts={Role.REFERENCE: (0, 3)})
ALL = [TEXT, ONE, TWO, ANY]


def with_options(**options: Any) -> TaskSpec:
    return replace(SPEC, options=options)


def test_nested_and_flat_options_are_one() -> None:
    """The vendor's own nesting means what flat keys mean."""
    nested = lift_options(with_options(input={"a": 1}, parameters={"b": 2}, c=3), GROUPS)

    assert nested == lift_options(with_options(a=1, b=2, c=3), GROUPS)
    assert nested.options == {"a": 1, "b": 2, "c": 3}


def test_another_vendors_nesting_is_an_option_like_any() -> None:
    """Only the groups that a vendor names are opened."""
    assert lift_options(with_options(parameters={"a": 1}), ()).options == {"parameters": {"a": 1}}
    assert lift_options(with_options(parameters="text"), GROUPS).options == {"parameters": "text"}


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"size": "720P"}, "size", "720P"),
        ({"duration": 5}, "seconds", "5"),
        ({"seconds": "5"}, "seconds", "5"),
        ({"resolution": "720P"}, "resolution", "720P"),
        ({"ratio": "16:9"}, "aspect_ratio", "16:9"),
        ({"aspect_ratio": "16:9"}, "aspect_ratio", "16:9"),
        ({"parameters": {"duration": 10}}, "seconds", "10"),
    ],
)
def test_sizes_and_lengths_among_the_options_become_the_requests(
    options: dict[str, Any], field: str, value: str
) -> None:
    """They are fitted and reported like the fields that say the same; those win where both are given."""
    lifted = lift_options(with_options(**options), GROUPS)

    assert getattr(lifted, field) == value
    assert not lifted.options
    assert getattr(lift_options(replace(with_options(**options), **{field: "own"}), GROUPS), field) == "own"  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["model", "model_name", "req_key"])
@pytest.mark.parametrize("group", [None, "input"])
def test_no_option_changes_the_model(key: str, group: str | None) -> None:
    """Neither flat nor nested: the model is what was checked."""
    options = {group: {key: "dearer"}} if group else {key: "dearer"}

    with pytest.raises(InvalidRequest) as caught:
        lift_options(with_options(**options), GROUPS)

    assert caught.value.param == f"metadata.{key}"


def test_links_among_the_options_become_pictures() -> None:
    """They are counted and checked like any other picture, and leave the options."""
    spec = replace(with_options(img_url="https://example.com/1.png", last_frame_url="", a=1), pictures=(REFERENCE,))

    lifted = lift_pictures(spec, KEYS)

    assert lifted.pictures == (REFERENCE, Picture(Role.FIRST_FRAME, url="https://example.com/1.png"))
    assert lifted.options == {"a": 1}


def test_a_list_of_links_is_as_many_pictures() -> None:
    """A vendor that takes several pictures under one key is written so by its users."""
    lifted = lift_pictures(with_options(img_url=["https://example.com/1.png", "https://example.com/2.png"]), KEYS)

    assert [each.url for each in lifted.pictures] == ["https://example.com/1.png", "https://example.com/2.png"]


WORDS = {"mode": ("resolution", {"std": "720P", "pro": "1080P"}), "frames": ("seconds", {"121": "5"})}


def test_a_vendors_word_for_a_field_is_one() -> None:
    """It is fitted and reported like the field that says the same, which wins; a word that is none is named."""
    assert lift_words(with_options(mode="PRO", a=1), WORDS) == replace(SPEC, options={"a": 1}, resolution="1080P")
    assert lift_words(replace(with_options(mode="pro"), resolution="720P"), WORDS).resolution == "720P"
    assert lift_words(with_options(frames=121), WORDS) == replace(SPEC, seconds="5")
    with pytest.raises(InvalidRequest, match="one of std, pro") as caught:
        lift_words(with_options(mode="best"), WORDS)

    assert caught.value.param == "metadata.mode"


WAYS = replace(
    TEXT, way="text", others=(replace(ONE, way="image"), replace(TWO, way="frames"), replace(ANY, way="refs"))
)


@pytest.mark.parametrize(
    ("pictures", "options", "way"),
    [
        ((), {}, "text"),
        ((REFERENCE,), {}, "image"),
        ((FIRST,), {}, "image"),
        ((REFERENCE, REFERENCE), {}, "frames"),
        ((FIRST, LAST), {}, "frames"),
        ((REFERENCE,) * 3, {}, "refs"),
        ((REFERENCE,) * 2, {"action": "refs"}, "refs"),
        ((REFERENCE,) * 9, {}, "refs"),
    ],
)
def test_the_way_follows_from_the_pictures(pictures: tuple[Picture, ...], options: dict[str, Any], way: str) -> None:
    """The first way that takes them is chosen, unless the caller names one; where none does, the closest tells why."""
    assert choose_way(replace(SPEC, pictures=pictures, options=options), WAYS).way == way


def test_a_way_is_chosen_by_the_option_that_it_needs() -> None:
    """Who gives what only one way needs means that way; nobody else comes to it."""
    camera = replace(TEXT, way="camera", options=frozenset({"move"}), required_options=frozenset({"move"}))
    able = replace(TEXT, way="text", others=(camera,))

    assert choose_way(with_options(move="left"), able).way == "camera"
    assert choose_way(SPEC, replace(camera, others=(replace(TEXT, way="text"),))).way == "text"


def test_an_unknown_action_is_named() -> None:
    """The refusal lists the ways."""
    with pytest.raises(InvalidRequest, match="text, image, frames, refs") as caught:
        choose_way(with_options(action="dance"), WAYS)

    assert caught.value.param == "metadata.action"


@pytest.mark.parametrize("empty", [None, "", []])
def test_an_empty_link_is_no_picture(empty: Any) -> None:
    """It neither counts nor stays among the options."""
    lifted = lift_pictures(with_options(img_url=empty), KEYS)

    assert (lifted.pictures, lifted.options) == ((), {})


@pytest.mark.parametrize("value", [5, True, ["https://example.com/1.png", 5], {"url": "x"}])
def test_a_link_that_is_none_is_named(value: Any) -> None:
    """The option's own name is in the error."""
    with pytest.raises(InvalidRequest) as caught:
        lift_pictures(with_options(img_url=value), KEYS)

    assert caught.value.param == "metadata.img_url"


def test_unused_options_are_split_off_and_reported() -> None:
    """What the model does not know is not sent, and the caller reads so; long values are cut."""
    able = model(options=frozenset({"seed"}))

    kept, dropped = unused_options({"seed": 5, "style": "noir", "long": "x" * 500}, able)

    assert kept == {"seed": 5}
    assert [(each.field, each.requested, each.used) for each in dropped[:1]] == [("metadata.style", "noir", None)]
    assert len(dropped[1].requested) == 80


@given(st.dictionaries(st.text(max_size=5), st.integers()), st.frozensets(st.text(max_size=5)))
def test_every_option_is_kept_or_reported(options: dict[str, int], known: frozenset[str]) -> None:
    """None disappears, none is made up."""
    kept, dropped = unused_options(options, model(options=known))

    assert set(kept) == options.keys() & known
    assert {each.field for each in dropped} == {f"metadata.{key}" for key in options.keys() - known}


@pytest.mark.parametrize(
    ("able", "pictures", "roles"),
    [
        (TEXT, (), ()),
        (ONE, (REFERENCE,), (Role.FIRST_FRAME,)),
        (ONE, (FIRST,), (Role.FIRST_FRAME,)),
        (TWO, (REFERENCE, REFERENCE), (Role.FIRST_FRAME, Role.LAST_FRAME)),
        (TWO, (REFERENCE, FIRST), (Role.FIRST_FRAME, Role.LAST_FRAME)),
        (TWO, (LAST, FIRST), (Role.FIRST_FRAME, Role.LAST_FRAME)),
        (ANY, (), ()),
        (ANY, (FIRST, REFERENCE), (Role.REFERENCE, Role.REFERENCE)),
    ],
)
def test_pictures_get_the_roles_that_the_model_has(
    able: Model, pictures: tuple[Picture, ...], roles: tuple[Role, ...]
) -> None:
    """Named roles first, references fill what is left, in the model's own order."""
    assert tuple(each.role for each in arrange(replace(SPEC, pictures=pictures), able, ALL)) == roles


def test_a_named_frame_keeps_its_picture() -> None:
    """A reference beside a named last frame becomes the first one, not the other way round."""
    placed = arrange(replace(SPEC, pictures=(REFERENCE, LAST)), TWO, ALL)

    assert [(each.role, each.url) for each in placed] == [
        (Role.FIRST_FRAME, REFERENCE.url),
        (Role.LAST_FRAME, LAST.url),
    ]


@pytest.mark.parametrize(
    ("able", "pictures", "hint"),
    [
        (TEXT, (REFERENCE,), "Models that take 1: one, any"),
        (ONE, (REFERENCE, REFERENCE), "Models that take 2: two, any"),
        (ONE, (LAST,), "one takes 1 picture at most as first_frame"),
        (ANY, (REFERENCE,) * 4, "any takes 3 pictures at most"),
        (ANY, (LAST,), "any takes 3 pictures at most as reference"),
    ],
)
def test_too_many_pictures(able: Model, pictures: tuple[Picture, ...], hint: str) -> None:
    """The refusal names the field and a model that can."""
    with pytest.raises(InvalidRequest, match=hint) as caught:
        arrange(replace(SPEC, pictures=pictures), able, ALL)

    assert (caught.value.param, caught.value.code) == ("input_reference", "unsupported_input")


@pytest.mark.parametrize(("able", "pictures", "param"), [(ONE, (), "input_reference"), (TWO, (FIRST,), "last_frame")])
def test_too_few_pictures(able: Model, pictures: tuple[Picture, ...], param: str) -> None:
    """The caller reads which one is missing, and which model needs none."""
    with pytest.raises(InvalidRequest, match="Models that need none: text") as caught:
        arrange(replace(SPEC, pictures=pictures), able, ALL)

    assert (caught.value.param, caught.value.code) == (param, "missing_input")


@pytest.mark.parametrize(
    ("rule", "file", "told"),
    [
        ({"as_file": False}, FILE, "only as a public link"),
        ({}, replace(FILE, mime="image/gif"), "jpeg, png, webp; this one is image/gif"),
        ({"most_bytes": 999}, FILE, "at most 999 bytes; this one has 1000"),
        ({"side": (601, 8000)}, FILE, "601 to 8000 pixels; this one is 800x600"),
        ({"stretch": 1.2}, FILE, "1.2 times as long as wide; this one is 800x600"),
        ({"side": (1, 799)}, FILE, "1 to 799 pixels; this one is 800x600"),
    ],
)
def test_files_that_do_not_suit(rule: dict[str, Any], file: Picture, told: str) -> None:
    """A file's form, type, length and sides are checked before anything is spent; a link is the vendor's to open."""
    able = model(counts={Role.REFERENCE: (0, 1)}, **rule)

    with pytest.raises(InvalidRequest, match=told) as caught:
        arrange(replace(SPEC, pictures=(file,)), able, [able])

    assert caught.value.param == "input_reference"
    assert arrange(replace(SPEC, pictures=(REFERENCE,)), able, [able]) == (REFERENCE,)


@pytest.mark.parametrize("rule", [{}, {"most_bytes": 1000}, {"side": (600, 800)}, {"as_link": False}])
def test_files_at_the_limit_suit(rule: dict[str, Any]) -> None:
    """The limits belong to what is allowed."""
    able = model(counts={Role.REFERENCE: (0, 1)}, **rule)

    assert arrange(replace(SPEC, pictures=(FILE,)), able, [able]) == (FILE,)


roles = st.dictionaries(
    st.sampled_from(list(Role)), st.tuples(st.integers(0, 2), st.integers(0, 3)).map(lambda pair: (pair[0], sum(pair)))
)


@given(roles, st.lists(st.sampled_from([FIRST, LAST, REFERENCE]), max_size=6))
def test_what_is_arranged_suits_the_model(counts: dict[Role, tuple[int, int]], pictures: list[Picture]) -> None:
    """Every picture is kept, in a role that the model has, in a number that it takes; or the request is refused."""
    able = model(counts=counts)
    try:
        placed = arrange(replace(SPEC, pictures=tuple(pictures)), able, [able])
    except InvalidRequest as error:
        assert error.param
        return
    assert sorted(str(each.url) for each in placed) == sorted(str(each.url) for each in pictures)
    for role, (least, most) in counts.items():
        assert least <= sum(each.role is role for each in placed) <= most
    assert {each.role for each in placed} <= counts.keys()
