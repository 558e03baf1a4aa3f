"""Logs: one JSON object a line on standard error, one event a state change."""

import logging
import sys
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import structlog

Event = MutableMapping[str, Any]


def configure(
    *, fmt: str, level: str, secrets: Sequence[str], trace_id: Callable[[], str | None] = lambda: None
) -> None:
    """Set logging up for this process. Every text is searched for `secrets` before it is written.

    `trace_id` is that of the active trace, if there is one.
    """
    hidden = tuple(secret for secret in secrets if len(secret) >= 6)  # noqa: PLR2004 (shorter ones are in every text)

    def redact(_logger: Any, _method: str, event: Event) -> Event:
        return {key: _redacted(value, hidden) for key, value in event.items()}

    def traced(_logger: Any, _method: str, event: Event) -> Event:
        if found := trace_id():
            event["trace_id"] = found
        return event

    renderer: Any = structlog.processors.JSONRenderer() if fmt == "json" else structlog.dev.ConsoleRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        traced,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _redacted(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "[secret]")
    return value
