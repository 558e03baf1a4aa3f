"""`.env.example` lists every setting there is, with the value it has when nobody sets it."""

import re
from enum import Enum
from itertools import pairwise
from pathlib import Path

from pydantic.fields import FieldInfo

from videogate import vendors
from videogate.settings import PREFIX, Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
SETTING = re.compile(r"(?:# )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def listed() -> dict[str, str]:
    """The settings of the file, commented out or not."""
    found = [match for line in EXAMPLE.read_text().splitlines() if (match := SETTING.fullmatch(line))]
    names = [match["name"] for match in found]
    assert len(names) == len(set(names))
    return {match["name"]: match["value"] for match in found}


def as_text(field: FieldInfo) -> str:
    """A field's default as one would write it into the file; a credential has none."""
    default = field.get_default(call_default_factory=True)
    if field.is_required() or not isinstance(default, (str, int, float, Path, Enum)):
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return str(default.value) if isinstance(default, Enum) else str(default)


def declared() -> dict[str, str]:
    """The settings of the code: our own and every vendor's."""
    own = {PREFIX + name.upper(): as_text(field) for name, field in Settings.model_fields.items()}
    vendors_own = {
        f"{PREFIX}{vendor}_{name}".upper(): as_text(field)
        for vendor, kind in vendors.discover().items()
        for name, field in kind.Config.model_fields.items()
    }
    return own | vendors_own


def test_the_example_has_every_setting_with_its_default() -> None:
    """What the file says of names and defaults is what the code does."""
    assert listed() == declared()


def test_only_the_callers_keys_are_left_to_fill_in() -> None:
    """A copy of the file changes nothing until it is edited."""
    live = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]

    assert live == [f"{PREFIX}API_KEYS="]


def test_every_setting_is_explained() -> None:
    """The line above a setting is a comment that says what it does."""
    lines = EXAMPLE.read_text().splitlines()
    for above, line in pairwise(lines):
        if SETTING.fullmatch(line):
            assert above.startswith("# "), line
            assert not SETTING.fullmatch(above), line
