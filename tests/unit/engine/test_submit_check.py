"""A request held against what a model can do, before anything is stored."""

from typing import Any

import pytest

from unit.engine.support import MODELS, Maker, MakerConfig, Scene
from videogate.engine.submit import check, lift
from videogate.task.errors import InvalidRequest
from videogate.task.frames import Frame
from videogate.task.model import Fit, Fitted, Picture, Role, TaskSpec
from videogate.vendorkit.contract import Vendor

LINK = "https://a.test/cat.png"
FILE = Picture(Role.REFERENCE, key="k", mime="image/png", frame=Frame(640, 480), length=100)


@pytest.fixture
def vendor() -> Vendor:
    return Maker(MakerConfig(), None)  # type: ignore[arg-type]


def checked(vendor: Vendor, **fields: Any) -> tuple[TaskSpec, Fitted]:
    spec = TaskSpec(**{"model": "text-1", "prompt": "a lighthouse", **fields})
    return check(lift(spec, vendor), vendor, MODELS[spec.model])


def test_what_fits_is_not_adjusted(vendor: Vendor) -> None:
    """An exact request is made as asked, and nothing is reported."""
    _, fitted = checked(vendor, size="1280x720", seconds="8", options={"seed": 7})

    assert (fitted.size, fitted.seconds, fitted.adjustments) == ("1280x720", "8", ())


def test_what_does_not_fit_is_reported(vendor: Vendor) -> None:
    """The nearest size and length are used, and every difference is told: sizes, lengths and unused options."""
    _, fitted = checked(vendor, size="1920*1080", seconds="5", options={"seed": 7, "wind": "strong"})

    assert (fitted.size, fitted.seconds) == ("1280x720", "4")
    told = {each.field: (each.requested, each.used) for each in fitted.adjustments}
    assert told == {
        "size": ("1920*1080", "1280x720"),
        "seconds": ("5", "4"),
        "metadata.wind": ("strong", None),
    }


def test_strict_refuses_what_does_not_fit(vendor: Vendor) -> None:
    """Under `strict` the request is refused with the allowed values."""
    with pytest.raises(InvalidRequest, match="4 or 8") as caught:
        checked(vendor, size="1280x720", seconds="5", fit=Fit.STRICT)

    assert caught.value.param == "seconds"


def test_nested_and_flat_metadata_mean_the_same(vendor: Vendor) -> None:
    """The vendor's own nesting and flat keys give equal requests; sizes among them become the request's own."""
    flat = checked(vendor, options={"seed": 7, "size": "832x480", "duration": 8})
    nested = checked(vendor, options={"parameters": {"seed": 7, "size": "832x480", "duration": 8}})

    assert flat == nested
    assert (flat[1].size, flat[1].seconds, flat[0].options) == ("832x480", "8", {"seed": 7})


def test_a_field_wins_over_metadata(vendor: Vendor) -> None:
    """What stands at the top counts where metadata says otherwise."""
    _, fitted = checked(vendor, seconds="8", options={"duration": 4})

    assert fitted.seconds == "8"


def test_links_in_metadata_become_pictures(vendor: Vendor) -> None:
    """A picture's link among the options is the same as one in its own field."""
    spec, _ = checked(vendor, model="picture-1", options={"img_url": LINK})

    assert spec.pictures == (Picture(Role.FIRST_FRAME, url=LINK),)
    assert spec.options == {}


def test_a_reference_takes_the_first_role_that_has_room(vendor: Vendor) -> None:
    """`input_reference` becomes a first frame, a second one the last frame."""
    spec, _ = checked(vendor, model="picture-1", prompt="", pictures=(FILE, Picture(Role.REFERENCE, url=LINK)))

    assert [picture.role for picture in spec.pictures] == [Role.FIRST_FRAME, Role.LAST_FRAME]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n\t"}, "prompt"),
        ({"size": "huge"}, "size"),
        ({"size": "0x720"}, "size"),
        ({"resolution": "best"}, "resolution"),
        ({"aspect_ratio": "wide"}, "aspect_ratio"),
        ({"aspect_ratio": "0:1"}, "aspect_ratio"),
        ({"seconds": "soon"}, "seconds"),
        ({"seconds": "-1"}, "seconds"),
        ({"seconds": "nan"}, "seconds"),
        ({"seconds": "inf"}, "seconds"),
        ({"seconds": "1e9"}, "seconds"),
        ({"options": {"model": "other"}}, "metadata.model"),
        ({"options": {"parameters": {"model": "other"}}}, "metadata.model"),
        ({"options": {"img_url": 7}}, "metadata.img_url"),
        ({"model": "strict-1"}, "metadata.voice"),
        ({"pictures": (FILE,)}, "input_reference"),
        ({"model": "picture-1"}, "input_reference"),
        ({"model": "picture-1", "pictures": (FILE,) * 3}, "input_reference"),
        (
            {"model": "picture-1", "pictures": (Picture(Role.REFERENCE, key="k", mime="image/bmp"),)},
            "input_reference",
        ),
        (
            {
                "model": "picture-1",
                "pictures": (Picture(Role.REFERENCE, key="k", mime="image/png", frame=Frame(8, 480)),),
            },
            "input_reference",
        ),
        (
            {
                "model": "picture-1",
                "pictures": (Picture(Role.REFERENCE, key="k", mime="image/png", length=11 * 1024 * 1024),),
            },
            "input_reference",
        ),
    ],
)
async def test_what_cannot_be_made_names_its_parameter(scene: Scene, fields: dict[str, Any], param: str) -> None:
    """A request that no adjusting can save is refused with the field to change, before a row is written."""
    with pytest.raises(InvalidRequest) as caught:
        await scene.create(**fields)

    assert caught.value.param == param
    assert scene.desk.everything() == ([], [])
