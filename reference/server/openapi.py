"""The description of every call, for whoever writes a client: OpenAPI 3.1, made from the routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from reference.wire.errors import STATUS

Route = tuple[str, str, Callable[..., Any]]

_ID = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_TEXT, _FLAG, _COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
_IDS, _TEXTS = {"type": "array", "items": _ID}, {"type": "array", "items": _TEXT}
_TYPES: dict[str, dict[str, Any]] = {
    **dict.fromkeys("mpack_key bundle_id head mpack_id common_base commit_id".split(), _ID),
    **dict.fromkeys("want have ack".split(), _IDS),
    **dict.fromkeys("force initialize ok ready".split(), _FLAG),
    **dict.fromkeys("size_bytes commit_count blob_count commits_written".split(), _COUNT),
    **dict.fromkeys("snapshots_written blobs_written stored_commits".split(), _COUNT),
    **dict.fromkeys("stored_objects stored_snapshots".split(), _COUNT),
    "capabilities": _TEXTS,
    "branch_heads": {"type": "object", "additionalProperties": _ID},
    "limits": {"type": "object", "additionalProperties": _COUNT},
    "visibility": {"enum": ["public", "private"]},
    "result": {"enum": ["merged", "fast_forward", "up_to_date"]},
    "cache": {"enum": ["hit", "miss"]},
}
# What a handler takes and gives: required fields, optional fields, answer's fields, by its name.
_CALLS: dict[str, tuple[str, str, str]] = {
    "register": ("handle public_key", "", "handle identity_id"),
    "create": ("owner name", "visibility initialize", "slug repoId"),
    "refs": ("", "", "repo_id default_branch branch_heads capabilities limits"),
    "negotiate": ("want", "have", "ack common_base ready"),
    "presign_upload": ("mpack_key", "size_bytes", "upload_url mpack_key"),
    "unpack_uploaded": (
        "mpack_key branch head",
        "force",
        "ok commits_written snapshots_written blobs_written",
    ),
    "unpack_body": ("", "", "ok commits_written snapshots_written blobs_written"),
    "presign_cached": (
        "want",
        "have capabilities",
        "mpack_id mpack_url commit_count blob_count cache",
    ),
    "fetch": ("want", "have capabilities", "mpack_id mpack_url commit_count blob_count cache"),
    "merge": ("source target", "", "ok commit_id result"),
    "presign_bundle": ("bundle_id", "size_bytes", "presigned_url bundle_id"),
    "unpack_bundle": (
        "bundle_id branch head",
        "force",
        "ok stored_commits stored_objects stored_snapshots",
    ),
}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_QUERY = {"unpack_body": ("branch", "head", "force"), "get_by_repo_id": ("repo_id",)}


def describe(open_: Iterable[Route], reads: Iterable[Route], writes: Iterable[Route]) -> Any:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for signed, table in (("maybe", open_), ("maybe", reads), ("always", writes)):
        for method, path, handler in table:
            operation = _operation(path, handler, signed == "always")
            paths.setdefault(path, {})[method.lower()] = operation
    error = {"code": {"enum": sorted(STATUS)}, "detail": _TEXT, "requirement": _TEXT}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Muse hub",
            "version": "1",
            "description": "JSON, or msgpack where Content-Type and Accept say"
            " application/x-msgpack. The specification is reference/spec/http.md.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "object", "properties": error}},
                }
            },
            "securitySchemes": {
                "msign": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": 'MSign handle="…" alg="ed25519" ts=… sig="…"',
                }
            },
        },
    }


def _operation(path: str, handler: Callable[..., Any], signed: bool) -> dict[str, Any]:
    name = handler.__name__
    required, optional, answers = _CALLS.get(name, ("", "", ""))
    parameters = [_parameter("path", own) for own in re.findall(r"{(\w+)", path)]
    parameters += [_parameter("query", own) for own in _QUERY.get(name, ())]
    found: dict[str, Any] = {
        "operationId": name + re.sub(r"\W+", "_", path),
        "summary": (handler.__doc__ or "").partition("\n")[0],
        "parameters": parameters,
        "security": [{"msign": []}] if signed else [{}, {"msign": []}],
        "responses": {
            "200": {"description": "done", "content": _object(answers, "") if answers else _BYTES},
            "default": {
                "description": "refused",
                "content": _json({"$ref": "#/components/schemas/Error"}),
            },
        },
    }
    if required:
        found["requestBody"] = {"required": True, "content": _object(required, optional)}
    elif name == "unpack_body":
        found["requestBody"] = {"required": True, "content": _BYTES}
    return found


def _parameter(where: str, name: str) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": _TEXT}


def _object(required: str, optional: str) -> dict[str, Any]:
    names = (required + " " + optional).split()
    properties = {name: _TYPES.get(name, _TEXT) for name in names}
    return _json({"type": "object", "required": required.split(), "properties": properties})


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": schema} for kind in ("application/json", "application/x-msgpack")}
