"""Aliases of models. The alias `production` has a gate: what a bare model name means must be of use."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, field_validator
from redis.exceptions import RedisError

from flawsmith.app.caller import caller_of, fingerprint
from flawsmith.app.dependencies import ServicesDep
from flawsmith.app.idempotency import IdempotentRoute
from flawsmith.app.problems import Problem, documented, invalid
from flawsmith.app.remarks import with_tags
from flawsmith.core.domain.production_gate import Override, objections
from flawsmith.core.domain.records import Model, ModelVersion, now, valid_name
from flawsmith.core.domain.request_body import RequestBody, examples
from flawsmith.core.services import Services
from flawsmith.core.store.registry import PRODUCTION
from flawsmith.core.store.version_results import EVALUATIONS, results_by_name, save_override

router = APIRouter(prefix="/models/{name}/aliases", tags=["models"], route_class=IdempotentRoute)

log = logging.getLogger(__name__)

ModelName = Annotated[str, Path(max_length=64)]
Alias = Annotated[str, Path(max_length=64)]


class AliasTarget(RequestBody):
    """The body of PUT /models/{name}/aliases/{alias}."""

    model_config = examples({"version": 1, "override": "looked at 200 images, all of them good"})

    version: int = Field(ge=1, le=999_999_999)
    override: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        json_schema_extra={"pattern": r"\S"},
        description="why the alias is right whatever speaks against the version; kept with the version",
    )

    @field_validator("override")
    @classmethod
    def _says_something(cls, why: str | None) -> str | None:
        if why is not None and not why.strip():
            raise ValueError("an override is blank; say in words why the version is right, or leave 'override' out")
        return why


@router.put("/{alias}", responses=documented(404, 409, 415))
def set_alias(request: Request, name: ModelName, alias: Alias, body: AliasTarget, services: ServicesDep) -> Model:
    """Points an alias at a version. The bare model name means `production` where that alias is set.

    For `production`, 409 with `reasons` where the version is failing or hurts a classifier, unless `override` says why.
    """
    if not valid_name(alias) or alias.isdecimal():
        raise invalid(
            "/alias",
            "an alias has 1 to 64 letters, digits, '_', '.' and '-', starts with a letter or digit, and is no number",
        )
    version = services.registry.version(name, str(body.version))
    reasons = _objections(version, services) if alias == PRODUCTION else []
    if reasons and body.override is None:
        raise Problem(
            409,
            "not-for-production",
            f"{version.ref} should not be in production: {'; '.join(reasons)}. "
            "Choose another version, or send an 'override' with the reason why this one is right",
            reasons=reasons,
        )
    changed = {"model": name, "alias": alias, "version": version.ref, "caller": caller_of(request)}
    services.audit.record("alias_set", **changed, override=body.override, reasons=reasons)
    if body.override is not None:
        override = Override(alias=alias, why=body.override, by=fingerprint(request), at=now(), reasons=reasons)
        save_override(services.registry.folder(version), override, services.store.write_bytes)
    model = services.registry.set_alias(name, alias, body.version)
    _tell(services)
    return with_tags(model, services)


@router.delete("/{alias}", status_code=204, responses=documented(404, 409))
def delete_alias(request: Request, name: ModelName, alias: Alias, services: ServicesDep) -> Response:
    """Deletes an alias; the version stays."""
    if alias in services.registry.model(name).aliases:
        services.audit.record("alias_deleted", model=name, alias=alias, caller=caller_of(request))
    services.registry.delete_alias(name, alias)
    _tell(services)
    return Response(status_code=204)


def _tell(services: Services) -> None:
    """Makes messages of the change at once. Where that fails, the deliveries' next look does."""
    try:
        services.webhook_events.tell_of_aliases()
    except (RedisError, OSError) as error:
        log.warning("standing webhooks are told later of the changed alias: %s", error)


def _objections(version: ModelVersion, services: Services) -> list[str]:
    """What speaks against a version; evaluations of its parent count as well, which has the same images."""
    evaluations: dict[str, dict[str, Any]] = {}
    for each in [version, *services.registry.ancestors(version)]:
        evaluations |= results_by_name(services.registry.folder(each), EVALUATIONS)
    return objections(version, evaluations, services.settings.demands)
