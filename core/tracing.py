"""Traces across processes: W3C Trace Context in, out and in log lines, and spans of OpenTelemetry where a setting asks.

A `traceparent` header (https://www.w3.org/TR/trace-context/) of a request goes on to the workers with its messages.
With FLAWSMITH_OTLP_ENDPOINT, which needs the extra `otel`, each request, segment of a job and sampling task is a span
that is sent there; without it, the identity of the caller's span is only passed on.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Literal

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from flawsmith.core.settings import Settings

HEADER = "traceparent"
Kind = Literal["server", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

_PROPAGATOR = TraceContextTextMapPropagator()
_KINDS = {"server": trace.SpanKind.SERVER, "consumer": trace.SpanKind.CONSUMER}
_TRACES = "/v1/traces"  # of OTLP over HTTP, below the collector's address
_sends = False  # whether this process sends spans


def configure_tracing(settings: Settings, part: str) -> None:
    """Has this process send its spans where the settings say, in batches from a thread of its own.

    Raises:
        ModuleNotFoundError: the extra `otel` is not installed.
    """
    global _sends
    if not settings.otlp_endpoint or _sends:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {
            "service.name": f"flawsmith-{part}",
            "service.version": version("flawsmith"),
            "service.instance.id": f"{os.uname().nodename}-{os.getpid()}",
        }
    )
    provider = TracerProvider(resource=resource)
    endpoint = settings.otlp_endpoint.rstrip("/").removesuffix(_TRACES) + _TRACES
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _sends = True


def is_traced(traceparent: str | bytes) -> bool:
    """Whether a request with this header, or none (""), is worth a `span`."""
    return _sends or bool(traceparent)


@contextmanager
def span(name: str, kind: Kind, traceparent: str = "", attributes: Attributes | None = None) -> Iterator[trace.Span]:
    """What this block does, as a part of the trace that the header names, or as the first part of a new one.

    A malformed header counts as none. An error that leaves the block is noted by its class: its words may hold what
    nobody outside should read.
    """
    parent = _PROPAGATOR.extract({HEADER: traceparent}, context.Context()) if traceparent else context.Context()
    token = context.attach(parent)
    try:
        tracer = trace.get_tracer("flawsmith")
        with tracer.start_as_current_span(
            name, kind=_KINDS[kind], attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as started:
            try:
                yield started
            except BaseException as error:
                started.set_attribute("error.type", type(error).__name__)
                started.set_status(trace.StatusCode.ERROR)
                raise
    finally:
        context.detach(token)


def describe_span(name: str, attributes: Attributes, failed: bool = False) -> None:
    """Says more of the current span, once it is known; does nothing outside one."""
    found = trace.get_current_span()
    if found.is_recording():
        found.update_name(name)
        found.set_attributes(attributes)
        if failed:
            found.set_status(trace.StatusCode.ERROR)


def current_traceparent() -> str:
    """The header for what this process causes elsewhere; "" outside a trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(HEADER, "")


def current_ids() -> tuple[str, str] | None:
    """Ids of the trace and of the span, in hexadecimal digits; None outside a trace."""
    found = trace.get_current_span().get_span_context()
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else None
