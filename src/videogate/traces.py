"""Traces: what one request led to, as OpenTelemetry's spans for a collector.

On when OpenTelemetry's own variables ask for it and the extra `otel` is installed. While off, the library is not
imported and a span costs one comparison. No text of a caller's or a vendor's is in a span: no prompt, no key, no link.
This is the one module that knows OpenTelemetry.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link, SpanKind, Tracer
    from opentelemetry.trace import Span as Recorded

Facts = Mapping[str, str | int | None]

STOP_SECONDS = 5.0  # for handing over what is left at the end; a collector that hangs is not waited for longer
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROTOCOL = "http/protobuf"
EXTRA = "pip install 'videogate[otel]'"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SERVER_ERROR = 500


class Span:
    """A span under way. One that is not recorded takes everything and keeps nothing."""

    def __init__(self, recorded: "Recorded | None" = None) -> None:
        self._recorded = recorded
        self._failed = False

    def say(self, facts: Facts) -> None:
        """Add what is known by now; None is not known."""
        if self._recorded is not None:
            self._recorded.set_attributes({name: value for name, value in facts.items() if value is not None})

    def failed(self, kind: str) -> None:
        """It went wrong; `kind` is one of few words, never a text. The first word counts."""
        if self._recorded is not None and not self._failed:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 (see the module's docstring)

            self._failed = True
            self._recorded.set_attribute("error.type", kind)
            self._recorded.set_status(StatusCode.ERROR)

    def answered(self, method: str, route: str, status: int) -> None:
        """The request was answered. `route` is a template; a status of 0 is an answer that was broken off."""
        if self._recorded is not None:
            self._recorded.update_name(f"{_method(method) or 'HTTP'} {route}")
            self.say({"http.route": route, "http.response.status_code": status or None})
            if status == 0 or status >= _SERVER_ERROR:
                self.failed(str(status or "broken_off"))


IDLE = Span()
_NOTHING: AbstractContextManager[Span] = nullcontext(IDLE)


class _Tracing:
    """The library, set up."""

    def __init__(self, names: list[str], version: str) -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        # Sampler, limits and batches are read from the library's own variables.
        self.provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
        for exporter in [_exporter(name) for name in names]:
            self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer: Tracer = self.provider.get_tracer("videogate", version)
        self.trace = trace
        self.incoming = propagate.get_global_textmap()
        self.stored = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, kind: "SpanKind", facts: Facts, parent: "Context", links: list["Link"] | None = None
    ) -> Iterator[Span]:
        recorded = self.tracer.start_span(name, parent, kind, links=links)
        span = Span(recorded)
        span.say(facts)
        # An error's text may hold anything: it stays out.
        with self.trace.use_span(recorded, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.failed(type(error).__name__)
                raise

    def context_of(self, traceparent: str | None) -> "Context":
        from opentelemetry.context import Context  # noqa: PLC0415

        return self.stored.extract({"traceparent": traceparent} if traceparent else {}, Context())


_tracing: _Tracing | None = None


def start(environ: Mapping[str, str], version: str) -> str | None:
    """Set traces up for this process, if the variables ask for them.

    Returns what is wrong with that, in words; traces are then off, and all else goes on.
    """
    global _tracing  # noqa: PLW0603 (one per process, like the process itself)
    names = wanted(environ)
    if not names:
        return None
    protocol = next((environ[each] for each in _PROTOCOLS if environ.get(each)), PROTOCOL)
    if "otlp" in names and protocol != PROTOCOL:
        return f"No traces are written: {protocol!r} is not spoken here, set OTEL_EXPORTER_OTLP_PROTOCOL={PROTOCOL}."
    try:
        _tracing = _Tracing(names, version)
    except ImportError:
        return f"No traces are written: OpenTelemetry is not installed. {EXTRA}"
    except (ValueError, OSError) as error:
        return f"No traces are written: {error}"
    return None


def stop() -> None:
    """Hand over what is left. Blocks for `STOP_SECONDS` at most."""
    global _tracing  # noqa: PLW0603 (as above)
    if _tracing is not None:
        last = Thread(target=_tracing.provider.shutdown, name="traces-stop", daemon=True)
        _tracing = None
        last.start()
        last.join(STOP_SECONDS)


def wanted(environ: Mapping[str, str]) -> list[str]:
    """The exporters that OpenTelemetry's variables ask for; none of them means no traces."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    named = environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if any(environ.get(each) for each in _ENDPOINTS) else "")
    return [name for name in (each.strip() for each in named.split(",")) if name not in {"", "none"}]


def on() -> bool:
    """Whether anything is recorded: for what costs something to tell."""
    return _tracing is not None


def serving(method: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
    """The span of a request of ours, in the trace that its caller names, if it does."""
    if _tracing is None:
        return _NOTHING
    facts = {"http.request.method": _method(method) or "_OTHER"}
    kind, parent = _tracing.trace.SpanKind.SERVER, _tracing.incoming.extract(headers)
    return _tracing.span(_method(method) or "HTTP", kind, facts, parent)


def child(name: str, facts: Facts, of: str | None) -> AbstractContextManager[Span]:
    """The span of a call of somebody else, in the trace of the request whose `traceparent` is given."""
    if _tracing is None:
        return _NOTHING
    return _tracing.span(name, _tracing.trace.SpanKind.CLIENT, facts, _tracing.context_of(of))


def linked(name: str, facts: Facts, to: str | None) -> AbstractContextManager[Span]:
    """The span of such a call in a trace of its own, linked to that request: it may come long after it."""
    if _tracing is None:
        return _NOTHING
    request = _tracing.trace.get_current_span(_tracing.context_of(to)).get_span_context()
    links = [_tracing.trace.Link(request)] if request.is_valid else []
    return _tracing.span(name, _tracing.trace.SpanKind.CLIENT, facts, _tracing.context_of(None), links)


def note(facts: Facts) -> None:
    """Add facts to the active span, if there is one."""
    if _tracing is not None:
        Span(_tracing.trace.get_current_span()).say(facts)


def traceparent() -> str | None:
    """The active span as W3C's `traceparent`, to be kept for what comes later; None if there is none."""
    carrier: dict[str, str] = {}
    if _tracing is not None:
        _tracing.stored.inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str | None:
    """The id of the active trace in hexadecimal, for the log; None if there is none."""
    found = traceparent()
    return found.split("-")[1] if found else None


def _method(method: str) -> str | None:
    return method if method in METHODS else None  # anybody may invent others


def _exporter(name: str) -> "SpanExporter":
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter()
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

        return ConsoleSpanExporter()
    raise ValueError(f"OTEL_TRACES_EXPORTER: {name!r} is none of otlp, console, none")


def _resource(version: str) -> "Resource":
    """What says whose spans these are; the library's own variables win."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    found = Resource.create()
    given = {name: value for name, value in found.attributes.items() if not str(value).startswith("unknown_service")}
    return found.merge(Resource({"service.name": "videogate", "service.version": version, **given}))
