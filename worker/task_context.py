"""What a task of a worker belongs to: the request, the job, the segment and the trace that its log lines name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Task

from flawsmith.core.logs import job_id as current_job
from flawsmith.core.logs import request_id as current_request_id
from flawsmith.core.logs import segment_id as current_segment
from flawsmith.core.tracing import HEADER, is_traced, span


@contextmanager
def working_for(task: "Task[Any, Any]", what: str, request_id: str, job_id: str = "") -> Iterator[None]:
    """Names in every log line of this block, and in its span, what it is done for.

    Args:
        task: the running one. Its message has the trace, if there is one; earlier releases send none.
        what: a segment of a job, or sampling.
        request_id: of the request that caused it.
        job_id: of the job, if it is for one.
    """
    segment = str(task.request.id or "") if job_id else ""
    tokens = [
        (variable, variable.set(value))
        for variable, value in (
            (current_request_id, request_id),
            (current_job, job_id),
            (current_segment, segment),
        )
    ]
    traceparent = str(getattr(task.request, HEADER, None) or "")
    try:
        if not is_traced(traceparent):
            yield
            return
        ids = {"flawsmith.job_id": job_id, "flawsmith.segment_id": segment} if job_id else {}
        with span(what, "consumer", traceparent, {"flawsmith.request_id": request_id, **ids}):
            yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)
