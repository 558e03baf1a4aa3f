"""The wheel has all that a server needs, and only that."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from videogate.store.tables import metadata

ROOT = Path(__file__).parents[2]
INGREDIENTS = ("pyproject.toml", "README.md", "LICENSE", "src", "alembic")
WHERE = "from videogate.store.migrate import scripts; print(scripts())"


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Run a command of this interpreter's modules. Returns its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VIDEOGATE_", "PYTHONPATH"))}
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=kept | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in INGREDIENTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    run("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), ".", cwd=tree)
    (built,) = out.glob("videogate-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed, to be put on the path."""
    target = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", str(target), str(wheel), cwd=target)
    return target


def test_the_wheel_holds_the_package_and_its_migrations(wheel: Path) -> None:
    """Every module and every revision is inside; tests, caches and other folders are not."""
    names = set(ZipFile(wheel).namelist())

    modules = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src" / "videogate").rglob("*.py")}
    scripts = {f"videogate/_alembic/{file.relative_to(ROOT / 'alembic')}" for file in (ROOT / "alembic").rglob("*.py")}
    assert modules | scripts | {"videogate/_alembic/script.py.mako"} <= names
    assert {name.split("/")[0] for name in names} == {
        "videogate",
        wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info",
    }
    assert not [name for name in names if "__pycache__" in name or "tests" in name.split("/")]


def test_an_installed_wheel_migrates_a_new_database(installed: Path, tmp_path: Path) -> None:
    """From any folder the installed package makes its schema, with its own scripts."""
    data = tmp_path / "data"
    variables = {"PYTHONPATH": str(installed), "VIDEOGATE_DATA_DIR": str(data)}

    run("-m", "videogate", "migrate", cwd=tmp_path, **variables)

    assert run("-c", WHERE, cwd=tmp_path, **variables) == str(installed / "videogate" / "_alembic")
    with sqlite3.connect(data / "gateway.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {"alembic_version", *metadata.tables} <= tables
