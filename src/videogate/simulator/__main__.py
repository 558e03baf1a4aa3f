"""`python -m videogate.simulator`."""

from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from videogate.simulator.options import Options
from videogate.simulator.server import serve


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line (sys.argv by default) and serve until a signal."""
    parser = ArgumentParser(prog="videogate.simulator", description="Simulated video vendors on one local port.")
    usual = Options()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    parser.add_argument("--only", help="serve one vendor at the root")
    parser.add_argument("--key", default=usual.key, help="the credential that every vendor accepts")
    parser.add_argument("--ledger", type=Path, help="append every accepted job to this file")
    for name in ("queue", "render", "link", "record"):
        parser.add_argument(f"--{name}-seconds", type=float, default=getattr(usual, f"{name}_seconds"))
    parser.add_argument("--seed", type=int, help="the same ids in every run")
    parser.add_argument("--crowded", choices=("wait", "refuse"), default=usual.crowded, help="too many jobs at once")
    for name in ("strict", "late_validation", "rate_limits", "check_paths"):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, action=BooleanOptionalAction, default=getattr(usual, name))
    given = vars(parser.parse_args(arguments))
    try:
        serve(Options(**{field.name: given[field.name] for field in fields(Options)}), given["host"], given["port"])
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
