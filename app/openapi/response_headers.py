"""The headers of answers: each is described once, and which answers have them follows from status and method."""

from typing import Any


def _header(description: str, example: str, kind: str = "string") -> dict[str, Any]:
    return {
        "description": description,
        "schema": {"type": kind},
        "example": int(example) if kind == "integer" else example,
    }


RESPONSE_HEADERS: dict[str, dict[str, Any]] = {
    "Accept-Ranges": _header("`bytes`: the header Range continues a broken download", "bytes"),
    "Cache-Control": _header("Who may keep a copy and how long; `private` where a key was needed", "no-cache"),
    "Content-Range": _header("Which bytes of how many these are", "bytes 0-1023/4096"),
    "ETag": _header("Changes with the content; `If-None-Match` asks for what has changed", '"5f1a"'),
    "Location": _header("The path of what the call made, or of the job that makes it", "/training-jobs/job-0063f1"),
    "RateLimit": _header("What is left of each limit, and in how many seconds it is whole", '"calls-rate";r=7;t=1'),
    "RateLimit-Policy": _header("The caller's limits: so much in a window of seconds", '"calls-rate";q=10;w=1'),
    "Retry-After": _header("Seconds to wait before the call is tried again", "5", "integer"),
    "WWW-Authenticate": _header("`Bearer`: send the header `Authorization: Bearer KEY`", "Bearer"),
    "X-Affected-Versions": _header("Versions that lost their reference photographs with the dataset", "steel@1"),
    "X-Attributes": _header("What was asked of the images", "angle=30..60"),
    "X-Defect-Type": _header("Defect type of the first image, percent-encoded", "scratches"),
    "X-Model": _header("The version that made the images", "steel@2"),
    "X-Redrawn": _header("Images that were redrawn since their labels were doubtful", "1", "integer"),
    "X-Refused": _header("Images that `max_similarity` or the quality floor refused", "2", "integer"),
    "X-Request-ID": _header(
        "Of the call, taken from the request or made; it stands in every log line of the call", "6f1d"
    ),
    "X-Seed": _header("Seed of the first image", "42", "integer"),
    "X-Seeds": _header("With application/x-npy: all seeds, as ranges", "crazing:5-47;scratches:9-51"),
    "X-Seeds-Omitted": _header("In place of X-Seeds where that is long: the number of images", "256", "integer"),
    "X-Stock": _header("How much came from the pool of ready images: hit, partial or miss", "hit"),
}

_RETRIED = frozenset({"429", "503"})
_MADE = frozenset({"201", "202"})
_ACTIONS = ("/cancel", "/resume", "/resend")  # on what is there


def headers(*names: str) -> dict[str, Any]:
    """References to headers, for the ``responses`` of a route that has some beside those of every route."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers_of(path: str, method: str, status: str, statuses: set[str]) -> dict[str, Any]:
    """The headers of an operation's answer with a status, by what the other ``statuses`` say of the operation."""
    names = ["X-Request-ID"]
    if status == "429":
        names += ["RateLimit", "RateLimit-Policy"]
    if status == "401":
        names.append("WWW-Authenticate")
    if status in _RETRIED or (status == "409" and method != "get") or (status == "202" and method == "get"):
        names.append("Retry-After")
    if status in _MADE and not path.endswith(_ACTIONS):
        names.append("Location")
    if "304" in statuses and status in ("200", "206", "304"):
        names += ["ETag", "Cache-Control"]
    if "206" in statuses and status in ("200", "206"):
        names.append("Accept-Ranges")
    if status in ("206", "416"):
        names.append("Content-Range")
    return headers(*names)
