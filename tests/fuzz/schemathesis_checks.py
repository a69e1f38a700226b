"""Checks that schemathesis makes of every answer, beside its own."""

import os

import schemathesis

PLACES = [each for each in os.environ["FLAWSMITH_PLACES"].split(os.pathsep) if each]


@schemathesis.check
def tells_no_place(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """No answer tells where anything is on the host, and every refusal is a problem in words."""
    text = response.text_lossy()
    found = [each for each in (*PLACES, "Traceback", "site-packages") if each in text]
    if found:
        raise AssertionError(f"the answer tells of {found}: {text[:500]}")
    if response.status_code >= 400 and case.method != "HEAD":
        assert response.headers["content-type"] == ["application/problem+json"], text[:500]
    return None
