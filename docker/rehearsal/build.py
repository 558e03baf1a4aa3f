"""The build: every stage in a root of its own, its steps carried out in order."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal import dockerfile
from rehearsal.context import Context
from rehearsal.dockerfile import Stage

IMAGE = re.compile(r"python:3\.11-slim-(?P<suite>[a-z]+)")
PACKAGES = "python3.11,python3.11-venv,python3-distutils,ca-certificates"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
FOLDERS = ("/proc", "/dev", "/sys")
_HOST = re.compile(r"PIP_\w+|(?:https?|no|all)_proxy|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE", re.IGNORECASE)


@dataclass
class Root:
    """A stage that was built: its folder, and what its instructions say of running it."""

    folder: Path
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    workdir: str = "/"
    user: str = "0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    health_options: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Where a path of the image is outside of it."""
        return self.folder / os.path.normpath(Path(self.workdir) / path).lstrip("/")


def base(image: str, cache: Path) -> Path:
    """What stands in for a base image: Debian with its own Python, which has `python` and `pip` where that image has.

    It is made once and kept in `cache`. Raises ValueError for an image that nothing stands in for.
    """
    found = IMAGE.fullmatch(image)
    if found is None:
        raise ValueError(f"nothing stands in for {image}")
    folder = cache / f"base-{found['suite']}"
    if not (folder / ".whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", found["suite"], str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        enter = ["chroot", str(folder), "/usr/bin/python3.11", "-m", "venv", "/usr/local"]
        subprocess.run(enter, check=True, env={"PATH": PATH})
        (folder / ".whole").touch()
    return folder


def build(text: str, context: Context, work: Path, cache: Path) -> Root:
    """Carry out every stage. Returns the last. Raises what a step that fails raises."""
    built: dict[str, Root] = {}
    for stage in dockerfile.read(text):
        root = Root(work / f"stage-{stage.name}")
        _say(f"FROM {stage.image}")
        subprocess.run(["cp", "-a", str(base(stage.image, cache)), str(root.folder)], check=True)
        _carry_out(stage, root, context, built)
        built[stage.name] = root
    return root


def _carry_out(stage: Stage, root: Root, context: Context, built: Mapping[str, Root]) -> None:
    for step in stage.steps:
        began = time.monotonic()
        match step.word:
            case "ENV":
                root.variables |= dockerfile.variables_of(step.rest, root.variables)
            case "WORKDIR":
                root.workdir = step.rest
                root.inside(".").mkdir(parents=True, exist_ok=True)
            case "USER":
                root.user = step.rest
            case "CMD":
                root.command = dockerfile.command_of(step.rest)
            case "HEALTHCHECK":
                root.health_options, root.health = dockerfile.health_of(step.rest)
            case "VOLUME":
                root.volumes.append(step.rest)
            case "COPY":
                _copy(dockerfile.copy_of(step.rest), root, context, built)
            case "RUN":
                _run(step.rest, root)
            case _:
                pass  # it changes no file
        _say(f"{step.word} {step.rest[:60]}", time.monotonic() - began)


def _copy(copy: dockerfile.Copy, root: Root, context: Context, built: Mapping[str, Root]) -> None:
    target = root.inside(copy.target)
    if copy.stage is None:
        context.copy(copy.sources, target, into=copy.target.endswith("/") or len(copy.sources) > 1)
        return
    for source in copy.sources:
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", f"{built[copy.stage].inside(source)}/.", str(target)], check=True)


def _run(command: str, root: Root) -> None:
    """Run a command within, in mounts of its own: the system's folders, and the files that the host's pip names."""
    host = host_settings()
    lent = [*FOLDERS, "/etc/resolv.conf", *_named(host)]
    script = ["set -e"]
    made: list[Path] = []
    for path in dict.fromkeys(lent):
        place = root.folder / path.lstrip("/")
        if not place.exists():
            made.append(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir() if Path(path).is_dir() else place.touch()
        script.append(f"mount --rbind '{path}' '{place}'")
    script.append('exec chroot "$@"')
    inner = ["/bin/sh", "-c", f"cd '{root.workdir}' && {command}"]
    subprocess.run(
        ["unshare", "--mount", "sh", "-c", "\n".join(script), "sh", str(root.folder), *inner],
        check=True,
        env=host | root.variables,
        stdout=subprocess.DEVNULL,
    )
    for place in reversed(made):
        place.rmdir() if place.is_dir() else place.unlink()


def host_settings() -> dict[str, str]:
    """The variables by which the host's pip finds and trusts packages; those of its files among them."""
    listed = subprocess.run(["python3", "-m", "pip", "config", "list"], check=False, capture_output=True, text=True)
    pairs = (line.partition("=") for line in listed.stdout.splitlines() if line.startswith("global."))
    filed = {
        f"PIP_{name.removeprefix('global.').upper().replace('-', '_')}": value.strip("'").replace("\\n", " ").strip()
        for name, _, value in pairs
    }
    return filed | {name: value for name, value in os.environ.items() if _HOST.fullmatch(name)}


def _named(variables: Mapping[str, str]) -> list[str]:
    """The files and folders of the host that variables name; with an index the folder above, where its files are."""
    words = [word for value in variables.values() for word in value.split()]
    indexes = [str(Path(word.removeprefix("file://")).parent) for word in words if word.startswith("file:///")]
    plain = [word for word in words if word.startswith("/")]
    return [word for word in (*indexes, *plain) if word != "/" and Path(word).exists()]


def _say(what: str, seconds: float | None = None) -> None:
    print(what if seconds is None else f"{seconds:7.1f} s  {what}", flush=True)
