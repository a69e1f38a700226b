"""Documents about the API: OpenAPI, the page that shows it, the documentation as Markdown, and its index."""

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from flawsmith.app.conditional import content_response
from flawsmith.app.doc_pages import doc_pages, llms_txt
from flawsmith.app.problems import Problem

router = APIRouter(include_in_schema=False)

HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
PAGE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_ASSETS = {
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger_ui/swagger-ui-bundle.js.gz", "text/javascript"),
    "swagger-ui.css": ("swagger_ui/swagger-ui.css.gz", "text/css"),
}


@router.get("/openapi.json")
def openapi_document(request: Request) -> Response:
    """The OpenAPI document."""
    content = json.dumps(request.app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()
    return content_response(request, content, "application/json", HEADERS)


@router.get("/docs")
def docs_page(request: Request) -> Response:
    """A page that lists every call and tries it, by Swagger UI. It loads nothing from elsewhere."""
    return content_response(request, _file("page.html"), "text/html", PAGE_HEADERS)


@router.get("/docs/{name}")
def document(request: Request, name: Annotated[str, Path(max_length=64)]) -> Response:
    """A part of the page, or a page of the documentation as Markdown."""
    if name in _ASSETS:
        return _asset(request, *_ASSETS[name])
    if name in doc_pages():
        return content_response(request, doc_pages()[name].encode(), "text/markdown", HEADERS)
    raise Problem(404, "not-found", f"there is no document '{name}'; llms.txt lists them: {', '.join(doc_pages())}")


@router.get("/llms.txt")
def llms_index(request: Request) -> Response:
    """An index of the documentation for language models (https://llmstxt.org)."""
    return content_response(request, llms_txt().encode(), "text/plain", HEADERS)


def _asset(request: Request, path: str, media_type: str) -> Response:
    """A file of the page. Large ones are stored as gzip, and sent so to whoever reads it."""
    content = _file(path)
    headers = dict(HEADERS)
    if path.endswith(".gz"):
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", "").lower():
            headers["Content-Encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
    return content_response(request, content, media_type, headers)


@cache
def _file(path: str) -> bytes:
    return files("flawsmith.app").joinpath("docs_page", path).read_bytes()
