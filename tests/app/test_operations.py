"""Liveness while the rest of the process is stuck."""

import threading

from fastapi import FastAPI
from starlette.testclient import TestClient

from flawsmith.app.routes import operations

THREADS = 40  # of Starlette's pool, for the routes that are plain functions


def test_healthz_answers_while_every_thread_of_the_pool_waits_for_redis() -> None:
    stuck, go_on = threading.Barrier(THREADS + 1), threading.Event()
    app = FastAPI()  # without services: liveness depends on none
    app.include_router(operations.router)

    @app.get("/stuck")
    def hang() -> None:
        stuck.wait(20)
        go_on.wait(20)

    with TestClient(app) as client:
        callers = [threading.Thread(target=client.get, args=("/stuck",)) for _ in range(THREADS)]
        for each in callers:
            each.start()
        stuck.wait(20)
        answers = list[int]()
        asking = threading.Thread(target=lambda: answers.append(client.get("/healthz").status_code))
        asking.start()
        asking.join(15)
        in_time = list(answers)
        go_on.set()
        for each in [*callers, asking]:
            each.join(20)
    assert in_time == [200]
