"""Drift checks: the jobs that look at what versions serve. The service makes them itself."""

from flawsmith.app.job_routes import add_job_routes, job_router
from flawsmith.core.domain.job_kinds.drift import KIND

router = job_router(KIND)
add_job_routes(router, KIND)
