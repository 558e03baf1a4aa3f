"""The generated pages are current, and the code they describe has nothing that they miss."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from videogate.vendors import discover

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script that writes the pages."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_facts_say(generate: ModuleType) -> None:
    """Whoever changes a fact runs `make docs`."""
    for path, text in generate.pages().items():
        assert (DOCS / path).read_text("utf-8") == text, f"docs/{path} is not current: run make docs"


def test_every_vendor_has_a_page_and_no_page_is_left_over(generate: ModuleType) -> None:
    """The folder's listing is the list of vendors."""
    assert {file.stem for file in (DOCS / "vendors").glob("*.md")} == discover().keys()


@pytest.mark.parametrize("vendor", discover())
def test_a_page_names_every_model_and_metadata_key(vendor: str, generate: ModuleType) -> None:
    """What can be asked for can be read up."""
    page = (DOCS / "vendors" / f"{vendor}.md").read_text("utf-8")
    for model in generate.opened(discover()[vendor]).models.values():
        assert f"`{model.name}`" in page
        for way in model.ways:
            assert all(f"`{key}`" in page for key in way.options)
