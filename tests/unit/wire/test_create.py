"""The body of a create request."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videogate.task.errors import InvalidRequest
from videogate.task.model import Film, Fit, Rework, Role, Source, TaskSpec
from videogate.wire import errors
from videogate.wire.create import (
    PICTURE_FIELDS,
    PROMPT_LENGTH,
    CreateVideo,
    read_character,
    read_create,
    read_rework,
)
from videogate.wire.fields import METADATA_LENGTH, MOST_KEYS, Upload, from_json, from_pairs

FILE = Upload(BytesIO(b"bytes"))
LINK = "https://a.test/cat.png"


def read(**body: Any) -> CreateVideo:
    return read_create(body, default_model="sora-2", default_fit=Fit.NEAREST)


def test_the_smallest_request() -> None:
    """A prompt alone is enough; the server's settings fill the rest."""
    asked = read(prompt="a lighthouse")

    assert asked.spec.model == "sora-2"
    assert asked.spec.fit is Fit.NEAREST
    assert (asked.spec.size, asked.spec.seconds, asked.spec.options, asked.pictures) == (None, None, {}, ())


def test_a_full_request() -> None:
    """Every field of ours is read; what is left over joins metadata, which wins."""
    asked = read(
        prompt="a",
        model="wan",
        size=" 1920*1080 ",
        seconds=5,
        resolution="720P",
        aspect_ratio="16:9",
        fit="strict",
        seed=1,
        style="oil",
        metadata={"style": "ink", "deep": {"x": [1]}},
    ).spec

    assert (asked.model, asked.size, asked.seconds, asked.fit) == ("wan", "1920*1080", "5", Fit.STRICT)
    assert (asked.resolution, asked.aspect_ratio) == ("720P", "16:9")
    assert asked.options == {"seed": 1, "style": "ink", "deep": {"x": [1]}}


@pytest.mark.parametrize(
    ("value", "text"), [("5", "5"), (5, "5"), (5.0, "5"), (2.5, "2.5"), (" 5 ", "5"), ("", None), (None, None)]
)
def test_seconds_come_as_text_or_number(value: object, text: str | None) -> None:
    """However a client writes the length, it is one text."""
    assert read(prompt="a", seconds=value).spec.seconds == text


def test_null_is_the_same_as_absent() -> None:
    """Clients send null for what they leave out."""
    everything = ("model", "size", "seconds", "resolution", "aspect_ratio", "fit", "metadata", *PICTURE_FIELDS)

    assert read(prompt="a", **dict.fromkeys(everything)) == read(prompt="a")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("input_reference", FILE, [FILE]),
        ("input_reference", [FILE, LINK], [FILE, LINK]),
        ("input_reference", f" {LINK} ", [LINK]),
        ("input_reference", {"image_url": LINK}, [LINK]),
        ("input_reference", {"image_url": {"url": LINK}}, [LINK]),
        ("input_reference", {"type": "image_url", "url": LINK}, [LINK]),
        ("input_reference", {"image_url": FILE}, [FILE]),
        ("image_url", LINK, [LINK]),
        ("images", [LINK, {"url": LINK}], [LINK, LINK]),
        ("last_frame", "data:image/png;base64,AA==", ["data:image/png;base64,AA=="]),
        ("input_reference", "", []),
        ("images", [], []),
    ],
)
def test_pictures_come_in_many_forms(field: str, value: object, shown: list[object]) -> None:
    """Files, links, data URLs and objects are all pictures of the field's role."""
    asked = read(prompt="a", **{field: value})

    assert [sent.value for sent in asked.pictures] == shown
    assert {sent.role for sent in asked.pictures} <= {PICTURE_FIELDS[field]}
    assert asked.spec.options == {}


def test_frames_have_their_roles() -> None:
    """A first and a last frame are told apart from a mere reference."""
    asked = read(prompt="a", first_frame=LINK, last_frame=LINK, input_reference=LINK)

    assert {sent.field: sent.role for sent in asked.pictures} == {
        "input_reference": Role.REFERENCE,
        "first_frame": Role.FIRST_FRAME,
        "last_frame": Role.LAST_FRAME,
    }


def rework(body: dict[str, Any], kind: Rework = Rework.EDIT, video_id: str | None = None) -> CreateVideo:
    return read_rework(body, kind, video_id, default_model="sora-2", default_fit=Fit.NEAREST)


@pytest.mark.parametrize(
    "body",
    [
        {"video": {"id": "video_1"}},
        {"video": " video_1 "},
        from_json('{"video": "{\\"id\\": \\"video_1\\"}"}'),
        from_pairs([("video[id]", "video_1")]),
    ],
)
def test_a_source_comes_in_many_forms(body: dict[str, Any]) -> None:
    """An object, its text, a bracket or the id alone: the same video, whose own model it is."""
    asked = rework({"prompt": "a", "seconds": 8, "x": 1, **body})

    assert asked == CreateVideo(
        TaskSpec("", "a", seconds="8", options={"x": 1}, source=Source(Rework.EDIT, "video_1")), ()
    )


def test_a_source_in_the_path_is_the_one() -> None:
    """What the body says besides is no source: a remix names it in its path."""
    asked = rework({"prompt": "a", "video": "video_2"}, Rework.REMIX, "video_1").spec

    assert (asked.source, asked.options) == (Source(Rework.REMIX, "video_1"), {"video": "video_2"})


def test_a_film_is_a_source_that_needs_a_model() -> None:
    """It still has to be taken in."""
    asked = rework({"prompt": "a", "video": FILE})
    kept = Film("k", "video/mp4", 1, "ab")

    assert (asked.film, asked.spec.model) == (FILE, "sora-2")
    assert asked.with_inputs([], kept).source == Source(Rework.EDIT, film=kept)


@pytest.mark.parametrize(
    "video", [None, "", " ", {}, {"id": None}, {"id": ""}, {"id": 5}, [], ["a", "b"], 5, "a" * 256]
)
def test_what_is_no_source_is_refused(video: object) -> None:
    """The caller reads what `video` is to be."""
    with pytest.raises(InvalidRequest) as caught:
        rework({"prompt": "a", "video": video})

    assert caught.value.param == "video"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"video": FILE}, "name"),
        ({"name": "", "video": FILE}, "name"),
        ({"name": "n" * 81, "video": FILE}, "name"),
        ({"name": "a\ud800", "video": FILE}, "name"),
        ({"name": ["a"], "video": FILE}, "name"),
        ({"name": "Bob"}, "video"),
        ({"name": "Bob", "video": "video_1"}, "video"),
    ],
)
def test_a_character_needs_a_name_and_a_film(body: dict[str, Any], param: str) -> None:
    """Each is named when it lacks."""
    assert read_character({"name": "Bob", "video": FILE}) == ("Bob", FILE)
    with pytest.raises(InvalidRequest) as caught:
        read_character(body)

    assert caught.value.param == param


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": 5}, "prompt"),
    ({"prompt": ["a"]}, "prompt"),
    ({"prompt": {"a": 1}}, "prompt"),
    ({"prompt": FILE}, "prompt"),
    ({"prompt": "a\0b"}, "prompt"),
    ({"prompt": "a\ud800"}, "prompt"),
    ({"prompt": "a" * (PROMPT_LENGTH + 1)}, "prompt"),
    ({"model": 5}, "model"),
    ({"model": ["a"]}, "model"),
    ({"model": "a\0"}, "model"),
    ({"model": "a" * 256}, "model"),
    ({"model": FILE}, "model"),
    ({"size": 1280}, "size"),
    ({"size": ["1x1"]}, "size"),
    ({"size": "1x1\ud800"}, "size"),
    ({"resolution": {"a": 1}}, "resolution"),
    ({"aspect_ratio": True}, "aspect_ratio"),
    ({"seconds": True}, "seconds"),
    ({"seconds": [5]}, "seconds"),
    ({"seconds": {"a": 5}}, "seconds"),
    ({"seconds": FILE}, "seconds"),
    ({"seconds": "5" * 300}, "seconds"),
    ({"fit": "loose"}, "fit"),
    ({"fit": ["strict"]}, "fit"),
    ({"fit": {}}, "fit"),
    ({"fit": 5}, "fit"),
    ({"metadata": "text"}, "metadata"),
    ({"metadata": [1]}, "metadata"),
    ({"metadata": 5}, "metadata"),
    ({"metadata": FILE}, "metadata"),
    ({"metadata": {f"k{number}": 1 for number in range(MOST_KEYS + 1)}}, "metadata"),
    ({"metadata": {"a": "b\0"}}, "metadata.a"),
    ({"metadata": {"a": {"b": ["c\ud800"]}}}, "metadata.a"),
    ({"metadata": {"a": "b" * (METADATA_LENGTH + 1)}}, "metadata.a"),
    ({"metadata": {"a": {"f": FILE}}}, "f"),
    ({"song": FILE}, "song"),
    ({"input_reference": 5}, "input_reference"),
    ({"input_reference": True}, "input_reference"),
    ({"input_reference": {}}, "input_reference.image_url"),
    ({"input_reference": {"image_url": 5}}, "input_reference.image_url"),
    ({"input_reference": {"image_url": {"link": LINK}}}, "input_reference.image_url"),
    ({"input_reference": {"file_id": "file_1"}}, "input_reference.file_id"),
    ({"input_reference": "https://a.test/\ud800"}, "input_reference"),
    ({"input_reference": {"image_url": "https://a.test/\0"}}, "input_reference"),
    ({"images": [LINK, 5]}, "images"),
]


@pytest.mark.parametrize(("body", "param"), BAD, ids=lambda value: None if isinstance(value, dict) else value)
def test_every_bad_input_names_its_field(body: dict[str, Any], param: str) -> None:
    """A caller learns which field to change, in an answer that can be sent."""
    with pytest.raises(InvalidRequest) as caught:
        read(**{"prompt": "a", **body})

    assert caught.value.param == param
    json.dumps(errors.render(caught.value).body, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    ['{"prompt": "a", "\\ud800": 1}', '{"prompt": "a", "metadata": {"\\udfff": {"\\ud800": "\\ud800"}}}'],
)
def test_an_error_about_broken_text_can_be_sent(body: str) -> None:
    """A name that is no valid text is refused by an answer that is."""
    with pytest.raises(InvalidRequest) as caught:
        read(**from_json(body))

    json.dumps(errors.render(caught.value).body, ensure_ascii=False).encode()


def test_a_data_url_in_metadata_may_be_long() -> None:
    """A picture among the options is no text that is too long."""
    long = "data:image/png;base64," + "A" * (2 * METADATA_LENGTH)

    assert read(prompt="a", metadata={"img_url": long}).spec.options == {"img_url": long}


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(FILE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["prompt", "model", "size", "seconds", "fit", "metadata", "x", *PICTURE_FIELDS])


@settings(max_examples=300)
@given(st.dictionaries(fields, values, max_size=5))
def test_no_body_breaks_the_reader(body: dict[str, Any]) -> None:
    """Any values in any fields are read or refused, and what is read is clean text."""
    try:
        spec = read_create(body, default_model="m", default_fit=Fit.STRICT).spec
    except InvalidRequest as error:
        assert error.message
    else:
        for each in (spec.model, spec.prompt, spec.size or "", spec.seconds or ""):
            each.encode()
