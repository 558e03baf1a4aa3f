"""The import contracts of pyproject.toml hold, and each of them catches what it forbids."""

import ast
import re
import shutil
import sys
from collections.abc import Iterator
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
    "a gateway that leans on its own checks": ("conformance-by-cli", "app.py", "from videogate import conformance"),
    "checks that share our reading": ("layers", "conformance/session.py", "from videogate.wire import fields"),
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
    "a verb that traces by itself": ("opentelemetry", "engine/send.py", "from opentelemetry import trace"),
    "wire that reads rows": ("wire-translates", "wire/video.py", "from videogate.store import rows"),
    "wire that calls vendors": ("wire-translates", "wire/models.py", "from videogate.vendorkit import contract"),
    "a store with model facts": ("store-keeps", "store/rows.py", "from videogate.vendorkit import facts"),
    "a vendor that calls by itself": ("vendors-without-io", "vendors/wanxiang.py", "import httpx"),
    "a task with a library": ("task-is-plain", "task/state.py", "from pydantic import BaseModel"),
}

# Who may open a connection, and why that is no link of somebody else's. A name that ends in / is a folder.
OPENERS = {
    "media/fetch.py": "this is the one fetcher of such links",
    "vendorkit/client.py": "calls a vendor's API below the base URL that the operator wrote",
    "vendorkit/lines.py": "is what that sends submits with",
    "vendorkit/polls.py": "is what that sends polls with",
    "vendorkit/outcome.py": "knows httpx's errors, and opens nothing",
    "traces.py": "speaks to the operator's own collector",
    "app.py": "makes the clients of the vendors' APIs, and asks for the name of its own machine",
    "media/storage.py": "speaks to the operator's own object store",
    "store/postgres.py": "ends connections to the operator's own database server that hang",
    "cli/conformance.py": "begins the checks of a gateway that a person named",
    "cli/demo.py": "asks the gateway that it started itself, or that it was named",
    "conformance/": "plays the callers of a gateway that a person named",
    "simulator/callbacks.py": "plays a vendor that calls back",
    "simulator/kling_callbacks.py": "plays a vendor that calls back",
    "simulator/vidu_callbacks.py": "plays a vendor that calls back",
    "simulator/server.py": "names the type of a socket that it listens on",
}
CLIENTS = (
    *("aiohttp", "ftplib", "http.client", "httpcore", "httpx", "obstore", "openai", "pycurl"),
    "opentelemetry.exporter",
    *("requests", "smtplib", "socket", "urllib.request", "urllib3", "websockets", "xmlrpc.client"),
)
CALLS = {"create_connection", "open_connection", "open_unix_connection", "create_unix_connection", "sock_connect"}

# Lines that open a URL, in the ways that code has of writing so.
DOORS = [
    "import aiohttp",
    "import aiohttp.client as web",
    "from httpx import get",
    "import os, requests",
    "import urllib.request",
    "from urllib import request",
    "from urllib.request import urlopen",
    "from http import client",
    "from http.client import HTTPConnection",
    "from socket import create_connection",
    "def hidden() -> None:\n    import httpx",
    "from asyncio import open_connection",
    "import asyncio\nasyncio.open_connection('a.test', 80)",
    "async def hidden(loop):\n    await loop.create_connection(None, 'a.test', 80)",
]


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


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def opens(code: str) -> bool:
    """Whether code has what it takes to open a URL."""
    tree = ast.parse(code)
    imported = set(imports(tree))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    clients = {name for name in imported if any(f"{name}.".startswith(f"{client}.") for client in CLIENTS)}
    return bool(clients or CALLS & (used | {name.rpartition(".")[2] for name in imported}))


def test_links_are_opened_in_one_place() -> None:
    """Nothing but the fetcher opens a URL, but for those that open none of somebody else's, each with its reason."""
    files = {file.relative_to(SOURCES).as_posix() for file in SOURCES.rglob("*.py") if opens(file.read_text("utf-8"))}
    by_key = {
        key: {file for file in files if file == key or (key[-1] == "/" and file.startswith(key))} for key in OPENERS
    }

    assert files - set().union(*by_key.values()) == set()
    assert {key for key, found in by_key.items() if not found} == set()


@pytest.mark.parametrize("lines", DOORS)
def test_a_second_door_is_seen(lines: str) -> None:
    """Every way of writing it counts as opening a URL."""
    assert opens(lines)


@pytest.mark.parametrize(
    "lines", ["from urllib.parse import urlsplit", "from starlette.requests import Request", "count = peer.requests"]
)
def test_what_opens_nothing_is_no_door(lines: str) -> None:
    """Names that only look alike do not count."""
    assert not opens(lines)


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
