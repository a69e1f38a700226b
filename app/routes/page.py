"""The page for people at `/` and its files, and the demonstration set that it offers on an empty service.

The files are the folder `app/page`, without a build step. Their addresses hold a digest of all of them, so that a
browser keeps them for ever and never mixes two releases. They are public: the page itself asks for the API key.
"""

import hashlib
import io
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse

from flawsmith.app.auth import granted_scopes
from flawsmith.app.conditional import NOT_MODIFIED, content_response
from flawsmith.app.problems import Problem, documented
from flawsmith.core.demo_set import write_demo_set
from flawsmith.core.domain.records import Record
from flawsmith.core.setting_values import Scope

router = APIRouter(tags=["page"])

_MEDIA_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain"}
_INDEX = "index.html"
_DIGEST_IN_INDEX = "DIGEST"
_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_PAGE_HEADERS = _SAFE | {
    "Cache-Control": "no-cache",
    # A name that a stranger gave can then do no harm, even if it were taken for HTML.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
}
_FILE_HEADERS = _SAFE | {"Cache-Control": "public, max-age=31536000, immutable"}


class Caller(Record):
    """What the service knows of who calls: whether it asks for keys at all, and what the caller's key permits."""

    keys: bool
    scopes: list[Scope]


@router.get("/", response_class=HTMLResponse, responses=documented(also=NOT_MODIFIED))
def page(request: Request) -> Response:
    """The page for people. It makes only calls that anybody may make."""
    return content_response(request, _index(), "text/html", _PAGE_HEADERS)


@router.get("/page/{digest}/{path:path}", include_in_schema=False)  # an address that only the page knows
def page_file(
    request: Request, digest: Annotated[str, Path(max_length=64)], path: Annotated[str, Path(max_length=200)]
) -> Response:
    """A file of the page: a script, a style sheet, an icon, a licence."""
    content = _files().get(path)
    if content is None or path == _INDEX:
        raise Problem(404, "not-found", f"the page has no file '{path}'; / loads what it needs")
    if digest != _digest():
        raise Problem(404, "not-found", "this file is of another release; load / again")
    return content_response(request, content, _MEDIA_TYPES[path.rpartition(".")[2]], _FILE_HEADERS)


@router.get("/caller", responses=documented())
def caller(request: Request) -> Caller:
    """What your key permits: `scopes` of calls. Without keys, everything. Any key may ask."""
    scopes = granted_scopes(request)
    return Caller(keys=scopes is not None, scopes=sorted(scopes or ("generate", "train", "admin", "metrics")))


@router.get(
    "/demo-set.zip",
    response_class=Response,
    responses=documented(also={200: {"content": {"application/zip": {}}}, **NOT_MODIFIED}),
)
def demo_set(request: Request) -> Response:
    """300 rendered pictures of brushed steel with three types of defects, to upload and try the calls with."""
    return content_response(request, _demo_archive(), "application/zip")


@cache
def _files() -> dict[str, bytes]:
    """The content of every file of the page, by its path."""

    def found(folder: Traversable, prefix: str) -> dict[str, bytes]:
        contents: dict[str, bytes] = {}
        for each in folder.iterdir():
            if each.is_dir():
                contents |= found(each, f"{prefix}{each.name}/")
            elif each.name == _INDEX or each.name.rpartition(".")[2] in _MEDIA_TYPES:
                contents[prefix + each.name] = each.read_bytes()
        return contents

    return found(files("flawsmith.app").joinpath("page"), "")


@cache
def _digest() -> str:
    contents = _files()
    both = [part for name in sorted(contents) for part in (name.encode(), contents[name])]
    return hashlib.sha256(b"\0".join(both)).hexdigest()[:16]


@cache
def _index() -> bytes:
    return _files()[_INDEX].replace(_DIGEST_IN_INDEX.encode(), _digest().encode())


@cache
def _demo_archive() -> bytes:
    buffer = io.BytesIO()
    write_demo_set(buffer)
    return buffer.getvalue()
