"""Figures for whoever watches: counters of what happened in this process, gauges of how things stand.

This is the one package that knows Prometheus; the others tell it. No label holds an id, a prompt or a caller.
"""

from videogate.engine.figures.counters import (
    answered,
    asked,
    committed,
    count,
    finished,
    kept,
    not_let_in,
    streamed,
    told,
)
from videogate.engine.figures.gauges import CONTENT_TYPE, Figures

__all__ = [
    "CONTENT_TYPE",
    "Figures",
    "answered",
    "asked",
    "committed",
    "count",
    "finished",
    "kept",
    "not_let_in",
    "streamed",
    "told",
]
