"""A FastAPI application whose OpenAPI document is completed by the rules of this package."""

from copy import deepcopy
from threading import Lock
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from flawsmith.app.keyring import Keyring
from flawsmith.app.openapi.operations import complete_operation
from flawsmith.app.openapi.response_headers import RESPONSE_HEADERS
from flawsmith.app.openapi.schemas import simplify_schemas
from flawsmith.app.problems import PROBLEM_SCHEMAS
from flawsmith.core.settings import Settings

KEY_SCHEME = "ApiKey"

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_TAGS = {
    "generate": "New images, and images by address",
    "datasets": "Photographs: upload, look at, delete",
    "webhooks": "Who is told of events, and what was sent",
    "models": "Published versions, their aliases, weights, images, verdicts and reports",
    "operations": "For probes, metrics and people",
}


def operation_id(route: APIRoute) -> str:
    """A route's name, such as ``create_dataset``: generated clients call their functions so."""
    return route.name


class DocumentedApp(FastAPI):
    """An application with a complete OpenAPI document. A new route is documented by the same rules as the others."""

    def __init__(self, settings: Settings, keyring: Keyring, **options: Any) -> None:
        super().__init__(
            generate_unique_id_function=operation_id,
            servers=[{"url": settings.root_path or "/", "description": "this service"}],
            openapi_url=None,  # `routes.documents` has it, and the page that shows it
            docs_url=None,
            redoc_url=None,
            **options,
        )
        self.settings = settings
        self.keyring = keyring
        self._documents: dict[bool, dict[str, Any]] = {}  # by whether calls need a key
        self._lock = Lock()  # two threads may ask for the document at once

    def openapi(self) -> dict[str, Any]:
        """The document, made once for a service that needs keys, and once for one that does not."""
        needed = self.keyring.required
        with self._lock:
            if needed not in self._documents:
                # FastAPI's has parts of the routes
                self._documents[needed] = self._complete(deepcopy(super().openapi()), needed)
            return self._documents[needed]

    def _complete(self, document: dict[str, Any], keys_needed: bool) -> dict[str, Any]:
        components = document["components"]
        components["schemas"] |= deepcopy(PROBLEM_SCHEMAS)
        components["headers"] = dict(RESPONSE_HEADERS)
        components["securitySchemes"] = {
            KEY_SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key, where the service needs one; the scopes are generate < train < admin, "
                "and metrics on its own",
            }
        }
        used: dict[str, None] = {}
        for path, operations in document["paths"].items():
            for method in _METHODS & operations.keys():
                complete_operation(path, method, operations[method], self.settings, KEY_SCHEME, keys_needed)
                used |= dict.fromkeys(operations[method].get("tags", []))
        simplify_schemas(document)
        document["tags"] = [{"name": each, "description": _TAGS.get(each, f"{each.capitalize()}")} for each in used]
        return document
