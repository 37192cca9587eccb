"""How parts of the OpenAPI document are written: schemas, parameters, bodies and answers."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def closed(*required: str, **properties: Schema) -> Schema:
    """An object with these properties and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def answer(**properties: Schema) -> Schema:
    """An object that has all of these properties, and may have more in a later version."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def listed(name: str, of: str, most: int, **more: Schema) -> Schema:
    """An object with a list of others."""
    return answer(**{name: {"type": "array", "maxItems": most, "items": reference(of)}, **more})


def reference(name: str) -> Schema:
    """The schema of this name among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, schema: Schema, **more: Any) -> Schema:
    """A parameter of the query."""
    return {"name": name, "in": "query", "schema": schema, **more}


def body(name: str, *, required: bool) -> Schema:
    """The body of a request."""
    return {"required": required, "content": {"application/json": {"schema": reference(name)}}}


def gives(status: int, name: str, description: str) -> dict[int | str, Schema]:
    """The answer of a request that succeeds, for `responses=` of its route."""
    return {status: {"description": description, "content": {"application/json": {"schema": reference(name)}}}}
