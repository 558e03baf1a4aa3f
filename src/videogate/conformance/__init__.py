"""Checks of OpenAI's video format against any server of it, from outside.

It imports nothing of the gateway: what it knows of the format it says for itself, so that a misreading of ours shows.
A check is a row of a table in the file of its group; `check.py` says what it holds.
"""

from videogate.conformance.check import GROUPS, Check
from videogate.conformance.report import as_json, table
from videogate.conformance.run import CHECKS, Outcome, Result, chosen, run, videos
from videogate.conformance.session import Session
from videogate.conformance.target import Target

__all__ = [
    "CHECKS",
    "GROUPS",
    "Check",
    "Outcome",
    "Result",
    "Session",
    "Target",
    "as_json",
    "chosen",
    "run",
    "table",
    "videos",
]
