"""The OpenAPI document: what FastAPI derives from the routes, completed by rules that hold for every route."""

from flawsmith.app.openapi.application import DocumentedApp as DocumentedApp
