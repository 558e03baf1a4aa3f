"""The import contracts of pyproject.toml hold, and each of them catches what it forbids."""

import re
import shutil
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.application.use_cases import lint_imports

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "pyproject.toml"
SOURCES = ROOT / "src" / "videogate"

# The contract that must break, the file it is planted in (made if it is not there), the planted lines.
PLANTS = {
    "a store that reaches up to the engine": ("layers", "store/tasks.py", "import videogate.engine.submit"),
    "wire that decides": ("layers", "wire/video.py", "from videogate.engine import submit"),
    "an engine that renders": ("layers", "engine/submit.py", "from videogate.wire import video"),
    "media that knows the store": ("layers", "media/storage.py", "from videogate.store import tasks"),
    "a vendor that keeps": ("layers", "vendors/sora.py", "from videogate.media import storage"),
    "a task with a vendor": ("layers", "task/model.py", "from videogate.vendorkit import facts"),
    "web that puts together": ("layers", "web/server.py", "import videogate.app"),
    "a simulator that shares our reading": ("layers", "simulator/sora.py", "from videogate.vendorkit import values"),
    "an import hidden in a function": (
        "layers",
        "engine/poll.py",
        "def hidden() -> None:\n    from videogate.web import deps",
    ),
    "a folder that nobody has placed": ("layers", "billing/__init__.py", "PRICE = 1"),
    "a module that nobody has placed": ("layers", "utils.py", "PRICE = 1"),
    "a vendor that leans on another": ("vendors-apart", "vendors/sora.py", "from videogate.vendors import wanxiang"),
    "a command that picks vendors": ("vendors-by-app", "cli/serve.py", "from videogate import vendors"),
    "an engine that picks a vendor": (
        "vendors-by-app",
        "engine/send.py",
        "def hidden() -> None:\n    import videogate.vendors.sora",
    ),
    "an engine that reads settings": ("settings-by-app", "engine/poller.py", "from videogate import settings"),
    "an engine that sets up logs": ("settings-by-app", "engine/poller.py", "from videogate import logs"),
    "an application with a simulator": ("simulator-by-cli", "app.py", "from videogate import simulator"),
    "wire with a web framework": ("http-framework", "wire/create.py", "from starlette.requests import Request"),
    "a vendor with a web framework": ("http-framework", "vendors/sora.py", "import fastapi"),
    "SQL in the engine": ("sql", "engine/reconcile.py", "from sqlalchemy import select"),
    "migrations in a command": ("sql", "cli/migrate.py", "from alembic import command"),
    "a route that counts by itself": ("prometheus", "web/routes/videos.py", "from prometheus_client import Counter"),
    "wire that reads rows": ("wire-translates", "wire/video.py", "from videogate.store import rows"),
    "wire that calls vendors": ("wire-translates", "wire/models.py", "from videogate.vendorkit import contract"),
    "a store with model facts": ("store-keeps", "store/rows.py", "from videogate.vendorkit import facts"),
    "a vendor that calls by itself": ("vendors-without-io", "vendors/wanxiang.py", "import httpx"),
    "a task with a library": ("task-is-plain", "task/state.py", "from pydantic import BaseModel"),
}


def contracts() -> dict[str, str]:
    """The name of every contract, by id."""
    return {each["id"]: each["name"] for each in read_configuration(str(CONTRACTS))["contracts_options"]}


def broken(report: str) -> set[str]:
    """The names of the contracts that a report calls broken; it wraps long names."""
    lines = " ".join(report.partition("Broken contracts")[0].split())
    return {name for name in contracts().values() if f"{name} BROKEN" in lines}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, which is what `videogate` means during the test."""
    copy = tmp_path / "videogate"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.delitem(sys.modules, "videogate", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    return copy


def lint(capsys: pytest.CaptureFixture[str]) -> tuple[bool, str]:
    """Check all contracts. Returns whether they are kept, and the report."""
    kept = lint_imports(str(CONTRACTS), cache_dir=None, no_logo=True)
    return kept, capsys.readouterr().out


def test_the_code_keeps_every_contract(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every import of the package runs the way the contracts say."""
    kept, report = lint(capsys)

    assert kept, report


@pytest.mark.parametrize(("contract", "file", "lines"), PLANTS.values(), ids=PLANTS.keys())
def test_a_planted_violation_is_caught(
    package: Path, capsys: pytest.CaptureFixture[str], contract: str, file: str, lines: str
) -> None:
    """The contract breaks, and its report names the place."""
    planted = package / file
    planted.parent.mkdir(exist_ok=True)
    before = planted.read_text() if planted.exists() else ""
    planted.write_text(f"{before}\n{lines}\n")

    kept, report = lint(capsys)

    assert not kept
    assert contracts()[contract] in broken(report), report
    place = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert re.search(rf"\b{re.escape(place)}\b", report), report


def test_every_contract_has_a_plant() -> None:
    """No contract is there that was never seen to catch anything."""
    assert {contract for contract, _, _ in PLANTS.values()} == contracts().keys()


def test_task_is_forbidden_every_library_in_use() -> None:
    """The list of libraries that `task` must not import has every library that any of our code imports."""
    graph = grimp.build_graph("videogate", include_external_packages=True, cache_dir=None)
    libraries = {
        module
        for module in graph.modules
        if graph.is_module_squashed(module) and module.partition(".")[0] not in sys.stdlib_module_names
    }

    (contract,) = (
        each for each in read_configuration(str(CONTRACTS))["contracts_options"] if each["id"] == "task-is-plain"
    )

    assert set(contract["forbidden_modules"]) == libraries


@pytest.mark.parametrize("vendor", sorted(file.stem for file in (SOURCES / "vendors").glob("[!_]*.py")))
def test_a_vendor_is_named_in_its_own_files_only(vendor: str) -> None:
    """Outside its own file and its simulator no code names a vendor; the default model's name is no vendor's."""
    own = [SOURCES / "vendors" / f"{vendor}.py", *(SOURCES / "simulator").glob(f"{vendor}*.py")]
    word = re.compile(rf"\b{vendor}\b(?!-2\b)", re.IGNORECASE)

    named = [
        f"{file.relative_to(SOURCES)}:{number}: {line.strip()}"
        for file in sorted(SOURCES.rglob("*.py"))
        if file not in own
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if word.search(line)
    ]

    assert not named
