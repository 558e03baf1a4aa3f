"""The Dockerfile, as far as it can be judged without Docker; `make image-rehearsal` carries it out."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal import dockerfile
from rehearsal.context import Context

TOP = Path(__file__).parents[2]
TEXT = (TOP / "docker" / "Dockerfile").read_text("utf-8")
STAGES = dockerfile.read(TEXT)
FINAL = STAGES[-1]


def only(word: str) -> str:
    """What follows the one instruction of this name in the final stage."""
    (rest,) = (step.rest for step in FINAL.steps if step.word == word)
    return rest


@pytest.fixture(scope="module")
def context() -> Context:
    """What an image may be built from."""
    return Context(TOP, (TOP / ".dockerignore").read_text("utf-8"))


def test_the_linter_finds_nothing() -> None:
    """hadolint, which also reads the shell in it, has no remark, not even for information."""
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert program is not None, "hadolint comes with the development packages"
    done = subprocess.run([program, "docker/Dockerfile"], cwd=TOP, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_copied_is_there(context: Context) -> None:
    """Every COPY finds files that `.dockerignore` lets in, or a stage that comes before."""
    names = [stage.name for stage in STAGES]
    for number, stage in enumerate(STAGES):
        for copy in (dockerfile.copy_of(step.rest) for step in stage.steps if step.word == "COPY"):
            if copy.stage is None:
                assert all(context.files(source) for source in copy.sources), copy
            else:
                assert copy.stage in names[:number]


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "data/gateway.db",
        "docker/compose.yaml",
        "src/videogate/__pycache__/app.cpython-311.pyc",
        "tests/conftest.py",
    ],
)
def test_nothing_else_is_sent_to_the_builder(context: Context, path: str) -> None:
    """Secrets, data, caches and what a server does not need stay out of the build."""
    assert not context.lets_in(path)


def test_it_runs_as_nobody_by_number() -> None:
    """The user is a number that is not root's, which is all that Kubernetes believes."""
    user, _, group = only("USER").partition(":")

    assert int(user) > 0
    assert int(group) > 0


def test_it_starts_the_gateway_and_says_whether_it_is_ready() -> None:
    """CMD is the command itself, which gets the signals; the check asks for readiness with a limit of its own."""
    options, check = dockerfile.health_of(only("HEALTHCHECK"))

    assert dockerfile.command_of(only("CMD")) == ["videogate", "serve"]
    assert only("STOPSIGNAL") == "SIGTERM"
    assert "/health/ready" in check[-1]
    assert options.keys() == {"interval", "timeout", "start-period", "retries"}
    compile(check[-1], "HEALTHCHECK", "exec")


def test_it_has_the_driver_of_the_database_that_replicas_share() -> None:
    """What the image installs includes PostgreSQL's driver, an extra of the package."""
    assert "\npsycopg==" in (TOP / "requirements" / "runtime.txt").read_text("utf-8")


def test_all_stages_share_one_pinned_base() -> None:
    """What is compiled in one stage runs in the other: the same Python, of the version that the lock was made for."""
    (image,) = {stage.image for stage in STAGES}

    assert image.startswith(f"python:{sys.version_info.major}.{sys.version_info.minor}-slim-")


@pytest.mark.parametrize(
    ("patterns", "path", "is_in"),
    [
        ("*\n!src", "src/a/b.py", True),
        ("*\n!src", "srcs/a.py", False),
        ("*\n!src\n**/__pycache__", "src/a/__pycache__/b.pyc", False),
        ("# a remark\n\n*.md\n!README.md", "README.md", True),
        ("*.md", "docs/page.md", True),
        ("**/*.md", "docs/page.md", False),
        ("a?c", "abc/d", False),
    ],
)
def test_ignore_patterns_mean_what_docker_means(tmp_path: Path, patterns: str, path: str, is_in: bool) -> None:
    """The last line that fits decides; a star ends at a slash, two stars do not."""
    assert Context(tmp_path, patterns).lets_in(path) is is_in


def test_an_unknown_instruction_is_refused() -> None:
    """The rehearsal does not skip what it cannot carry out."""
    with pytest.raises(dockerfile.Refused, match="ONBUILD"):
        dockerfile.read("FROM scratch\nONBUILD RUN true")


def test_variables_and_lines_are_joined_as_docker_does() -> None:
    """A backslash goes on to the next line, over remarks; ENV sees what was set before it."""
    (stage,) = dockerfile.read("FROM a AS b\nENV X=1 \\\n# a remark\n    Y=2\nENV P=/x:$X:${Y}\n")

    assert stage.name == "b"
    first = dockerfile.variables_of(stage.steps[0].rest, {})
    assert first == {"X": "1", "Y": "2"}
    assert dockerfile.variables_of(stage.steps[1].rest, first) == {"P": "/x:1:2"}
