"""Makes the schemas of the OpenAPI document fit for generators of clients, which make a class of every object in it.

Where the document has a class for each small part of each answer, a generated client has hundreds of them, and breaks
as soon as a later release has a value more. So it has classes for what callers send, for answers, and for the few parts
of answers in `TYPED_PARTS`; other parts stand there in words. The lists of jobs of all kinds are one page of jobs.
"""

import json
import re
from collections.abc import Callable, Iterator, Set
from typing import Any

Schema = dict[str, Any]

TYPED_PARTS = frozenset(
    {"GeneratedImage", "Health", "InvalidValue", "Layout", "Progress", "RejectedFile", "TrainingProgress", "Verdict"}
)
"""Parts of answers that programs follow."""

VALUES = "Values"

_NUMBER = {"type": "number"}
_SHARED: dict[str, tuple[Schema, str]] = {
    "Counts": ({"type": "integer"}, "Whole numbers by name"),
    "Numbers": (_NUMBER, "Numbers by name"),
    "Ranges": ({"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}, "Ranges [low, high] by name"),
    "Series": ({"type": "array", "items": {"anyOf": [_NUMBER, {"type": "null"}]}}, "Lists of numbers by name"),
}
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_PAGE = re.compile(r"Page_(\w+)_")


def simplify_schemas(document: dict[str, Any]) -> None:
    """Simplifies the components of a document in place, and all that refers to them.

    Titles that only repeat a property's name go, and generated names become plain ones. Objects without properties of
    their own, such as counts by name, are one component each. Values that a caller may send are literals; those that an
    answer may have are listed, but not closed.
    """
    operations = [each for path in document["paths"].values() for each in path.values()]
    _join_pages_of_jobs(document)
    schemas: dict[str, Schema] = document["components"]["schemas"]
    asked = _reachable(schemas, [[each.get("requestBody", {}), each.get("parameters", [])] for each in operations])
    typed = asked | _answers(schemas, [each["responses"] for each in operations]) | TYPED_PARTS
    in_words = schemas.keys() - typed

    def of_answer(schema: Schema) -> Schema:
        return _opened(_described(_simplified(schema), schemas, in_words))

    def of_request(schema: Schema) -> Schema:
        return _literal(_simplified(schema))

    simplified = {name: _mapped(each, of_request if name in asked else of_answer) for name, each in schemas.items()}
    for operation in operations:
        for parameter in operation.get("parameters", []):
            parameter["schema"] = _mapped(parameter["schema"], of_request)
            parameter["schema"].pop("description", None)  # the parameter has it
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["schema"] = _mapped(content["schema"], of_request)
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                content["schema"] = _mapped(content.get("schema", {}), of_answer)
    document["components"]["schemas"] = simplified | {
        name: {"type": "object", "additionalProperties": value, "description": description}
        for name, (value, description) in {**_SHARED, VALUES: (True, "Values of any kind by name")}.items()
    }
    _rename(document)
    _drop_unused(document)


def _join_pages_of_jobs(document: dict[str, Any]) -> None:
    """One page for the jobs of all kinds, which their `kind` tells apart."""
    schemas = document["components"]["schemas"]
    kinds: dict[str, str] = {}
    pages = set()
    for name in [each for each in schemas if _PAGE.fullmatch(each)]:
        item = name.removeprefix("Page_").removesuffix("_")
        properties = schemas[item]["properties"]
        if {"kind", "state", "progress"} <= properties.keys() and "default" in properties["kind"]:
            kinds[properties["kind"].pop("default")] = f"#/components/schemas/{item}"
            properties["kind"]["const"] = list(kinds)[-1]
            schemas[item]["required"].append("kind")
            pages.add(f"#/components/schemas/{name}")
            schemas["JobPage"] = schemas.pop(name)
    if kinds:
        schemas["JobPage"]["properties"]["items"]["items"] = {"$ref": "#/components/schemas/Job"}
        schemas["Job"] = {
            "description": "A job of any kind",
            "oneOf": [{"$ref": each} for each in kinds.values()],
            "discriminator": {"propertyName": "kind", "mapping": kinds},
        }
        for holder in _references(document["paths"]):
            if holder["$ref"] in pages:
                holder["$ref"] = "#/components/schemas/JobPage"


def _mapped(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """A schema whose parts, and then itself, were changed."""
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    if "properties" in schema:
        schema["properties"] = {name: _mapped(each, change) for name, each in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            schema[key] = _mapped(schema[key], change)
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in schema:
            schema[key] = [_mapped(each, change) for each in schema[key]]
    return change(schema)


def _simplified(schema: Schema) -> Schema:
    """Without its title; an object without properties of its own refers to the component that it has in common."""
    schema.pop("title", None)
    if schema.get("type") != "object" or "properties" in schema:
        return schema
    values = schema.get("additionalProperties", True)
    if isinstance(values, dict):
        values = {key: value for key, value in values.items() if key not in _BOUNDS}
        if "prefixItems" in values:  # a pair
            values["items"] = values.pop("prefixItems")[0]
    names = [name for name, (shared, _) in _SHARED.items() if values == shared]
    kept: Schema = {key: schema[key] for key in ("description", "examples", "default") if key in schema}
    return {"$ref": f"#/components/schemas/{names[0] if names else VALUES}", **kept}


def _literal(schema: Schema) -> Schema:
    """A property of a request with a closed list of values: a string that is one of them, and no type of its own."""
    if schema.get("type") == "string" and "enum" in schema:
        schema["allOf"] = [{"enum": schema.pop("enum")}]
    return schema


def _opened(schema: Schema) -> Schema:
    """A property of answers with a closed list of values: the list becomes examples."""
    if schema.get("type") == "string" and "enum" in schema:
        schema["examples"] = schema.pop("enum")
    return schema


def _described(schema: Schema, schemas: dict[str, Schema], in_words: Set[str]) -> Schema:
    """A reference to a component that has no class becomes one to values, with the component in words."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name not in in_words:
        return schema
    component = schemas[name]
    if component.get("type") != "object":
        of_property = {key: value for key, value in schema.items() if key != "$ref"}
        return _opened({**component, **of_property})
    members = ", ".join(component.get("properties", {}))
    words = [component.get("description", "").strip(), schema.get("description", ""), f"Members: {members}."]
    return {"$ref": f"#/components/schemas/{VALUES}", "description": "\n\n".join(each for each in words if each)}


def _answers(schemas: dict[str, Schema], responses: list[Any]) -> set[str]:
    """Names of the answers themselves, of the items of pages, and of the jobs of all kinds."""
    found: set[str] = set()
    waiting = _names(responses)
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in found:
            found.add(name)
            if _PAGE.fullmatch(name) or name in ("Job", "JobPage"):
                waiting += _names(schemas[name])
    return found


def _names(part: Any) -> list[str]:
    return [each["$ref"].rpartition("/")[2] for each in _references(part)]


def _references(part: Any) -> Iterator[dict[str, str]]:
    """Every object with a ``$ref`` in a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part
        for each in part.values():
            yield from _references(each)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


def _reachable(schemas: dict[str, Schema], roots: list[Any]) -> set[str]:
    """Names of the components that some parts of the document need."""
    found: set[str] = set()
    waiting = _names(roots)
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in found:
            found.add(name)
            waiting += _names(schemas[name])
    return found


def _rename(document: dict[str, Any]) -> None:
    """Gives components plain names."""
    schemas = document["components"]["schemas"]
    names = {name: _plain_name(name) for name in schemas}
    document["components"]["schemas"] = {names[name]: schema for name, schema in schemas.items()}
    prefix = "#/components/schemas/"
    for holder in _references(document):
        if holder["$ref"].startswith(prefix):
            holder["$ref"] = prefix + names.get(name := holder["$ref"].removeprefix(prefix), name)


def _plain_name(name: str) -> str:
    """``Page_Dataset_`` -> ``DatasetPage``, ``flawsmith__core__domain__drift__Check`` -> ``DriftCheck``."""
    plain = _PAGE.sub(r"\1Page", name)
    if "__" in plain:  # FastAPI's name for one of several classes with the same name
        module, owner = plain.split("__")[-2:]
        plain = "".join(part.capitalize() for part in module.split("_")) + owner
    return plain


def _drop_unused(document: dict[str, Any]) -> None:
    components = document["components"]
    used = _reachable(components["schemas"], [document["paths"]])
    components["schemas"] = {name: each for name, each in sorted(components["schemas"].items()) if name in used}
    text = json.dumps(document["paths"])
    components["headers"] = {
        name: each for name, each in components["headers"].items() if f'"#/components/headers/{name}"' in text
    }
