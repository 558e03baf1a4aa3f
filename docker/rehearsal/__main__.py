"""`make image-rehearsal`: build the image's root, start it, make videos with it, stop it."""

import argparse
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rehearsal.build import Root, build
from rehearsal.context import Context
from rehearsal.start import SIMULATOR, rehearse
from videogate import simulator

TOP = Path(__file__).parents[2]


def main() -> int:
    """Do all of it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="rehearsal", description=__doc__)
    parser.add_argument("--work", type=Path, default=TOP / "build" / "rehearsal", help="where the roots are made")
    parser.add_argument("--keep", action="store_true", help="leave the built root there")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)  # a root that was built: the second half
    given = parser.parse_args()
    if given.start:
        return _start(given.start)
    if missing := [name for name in ("debootstrap", "unshare", "setpriv") if shutil.which(name) is None]:
        print(f"this needs {', '.join(missing)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("this needs root: it mounts and changes roots", file=sys.stderr)
        return 2
    return _rehearse(given.work, keep=given.keep)


def _rehearse(cache: Path, *, keep: bool) -> int:
    work = cache / "roots"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.monotonic()
    try:
        context = Context(TOP, (TOP / ".dockerignore").read_text("utf-8"))
        root = build((TOP / "docker" / "Dockerfile").read_text("utf-8"), context, work, cache)
        print(
            f"built in {time.monotonic() - began:.0f} s; /opt/videogate has {_mib(root.inside('/opt/videogate'))} MiB"
        )
        (work / "root").write_bytes(pickle.dumps(root))
        again = [sys.executable, "-m", "rehearsal", "--start", str(work)]
        return subprocess.run(["unshare", "--mount", "--net", *again], check=False).returncode
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)


def _start(work: Path) -> int:
    root: Root = pickle.loads((work / "root").read_bytes())
    vendors = simulator.environment(SIMULATOR)
    quick = {name.replace("_BASE_URL", "_POLL_INTERVAL"): "0.2" for name in vendors if name.endswith("_BASE_URL")}
    took = rehearse(root, work, vendors | quick | {"VIDEOGATE_LOG_LEVEL": "warning"})
    print("; ".join(f"{what} after {seconds:.1f} s" for what, seconds in took.items()))
    print("the image does what it should")
    return 0


def _mib(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) >> 20


if __name__ == "__main__":
    sys.exit(main())
