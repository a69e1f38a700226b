"""How a counting job is submitted; every other call is that of every kind."""

from fastapi import Response
from pydantic import BaseModel, Field

from flawsmith.app.dependencies import CallerDep, ServicesDep
from flawsmith.app.job_routes import add_job_routes, job_router, submit
from flawsmith.core.domain.jobs import Job, Progress
from tests.counting.kind import KIND, CountingJob

router = job_router(KIND)


class CountingRequest(BaseModel):
    numbers: int = Field(ge=1)
    largest: int = 1_000_000


@router.post("", status_code=202, response_model=CountingJob)
def create_counting_job(body: CountingRequest, services: ServicesDep, response: Response, caller: CallerDep) -> Job:
    job = KIND.new_job(config=body.model_dump(), progress=Progress(total_steps=body.numbers))
    return submit(services, KIND, job, response, caller)


add_job_routes(router, KIND)
