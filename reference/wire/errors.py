"""One error type, and the one table that maps its codes to HTTP statuses [HTTP-011]."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from typing import Any

STATUS: dict[str, int] = {
    "unauthenticated": 401,
    "forbidden": 403,
    "bad_url": 403,
    "not_found": 404,
    "unknown_repo": 404,
    "unknown_commit": 404,
    "unknown_snapshot": 404,
    "unknown_blob": 404,
    "unknown_branch": 404,
    "upload_missing": 404,
    "not_cached": 404,
    "method_not_allowed": 405,
    "not_fast_forward": 409,
    "ref_moved": 409,
    "merge_conflict": 409,
    "repo_exists": 409,
    "handle_taken": 409,
    "too_large": 413,
    "malformed": 422,
    "missing_field": 422,
    "invalid_id": 422,
    "invalid_path": 422,
    "invalid_branch": 422,
    "path_conflict": 422,
    "delta_removes_unknown_path": 422,
    "digest_mismatch": 422,
    "blob_mismatch": 422,
    "snapshot_mismatch": 422,
    "commit_mismatch": 422,
    "missing_parent": 422,
    "missing_snapshot": 422,
    "missing_object": 422,
    "unknown_head": 422,
    "signature_without_key": 422,
    "bad_signature": 422,
    "bad_frame": 422,
    "storage_down": 503,
    "database_down": 503,
    "storage_full": 507,
}

# What a refusal cites where the line that refuses names nothing more exact.
REQUIREMENT: dict[str, str] = {
    "unauthenticated": "AUTH-007",
    "forbidden": "AUTH-012",
    "bad_url": "AUTH-014",
    "not_found": "STORE-014",
    "unknown_repo": "AUTH-011",
    "unknown_commit": "HTTP-031",
    "unknown_snapshot": "HTTP-032",
    "unknown_blob": "HTTP-036",
    "unknown_branch": "HTTP-037",
    "upload_missing": "PUSH-004",
    "not_cached": "FETCH-016",
    "method_not_allowed": "HTTP-015",
    "not_fast_forward": "PUSH-009",
    "ref_moved": "PUSH-013",
    "merge_conflict": "HTTP-040",
    "repo_exists": "HTTP-020",
    "handle_taken": "AUTH-016",
    "too_large": "MPACK-037",
    "malformed": "HTTP-006",
    "missing_field": "HTTP-005",
    "invalid_id": "ID-002",
    "invalid_path": "ID-018",
    "invalid_branch": "ID-026",
    "path_conflict": "ID-022",
    "delta_removes_unknown_path": "SNAP-005",
    "digest_mismatch": "PUSH-005",
    "blob_mismatch": "MPACK-008",
    "snapshot_mismatch": "SNAP-009",
    "commit_mismatch": "REC-011",
    "missing_parent": "MPACK-028",
    "missing_snapshot": "SNAP-010",
    "missing_object": "SNAP-013",
    "unknown_head": "PUSH-008",
    "signature_without_key": "REC-020",
    "bad_signature": "REC-021",
    "bad_frame": "MPACK-035",
    "storage_down": "HTTP-016",
    "database_down": "HTTP-016",
    "storage_full": "HTTP-016",
}

# What a local store answers in the words of the store adapter; these never travel over HTTP.
LOCAL = frozenset({"invalid", "integrity", "conflict", "io"})


class ProtocolError(Exception):
    """Something the protocol refuses: a code from the table and a sentence for a person."""

    def __init__(
        self, code: str, detail: str, requirement: str | None = None, **extra: Any
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.requirement = requirement or REQUIREMENT.get(code)
        self.extra = extra

    def __str__(self) -> str:
        cited = f" [{self.requirement}]" if self.requirement else ""
        return f"{self.code}: {self.detail}{cited}"

    @property
    def status(self) -> int:
        """The HTTP status of this error."""
        return STATUS[self.code]

    def body(self) -> dict[str, Any]:
        """The answer body that carries this error over HTTP."""
        fields = {"code": self.code, "detail": self.detail, "requirement": self.requirement}
        return {"error": {**fields, **self.extra}}


def shown(value: object) -> str:
    """A value from outside for an error's text, in a few characters however large or deep it is."""
    if isinstance(value, str | bytes):
        return repr(value[:64]) + "…" * (len(value) > 64)
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int) and value.bit_length() <= 64:
        return repr(value)
    return f"a {type(value).__name__}"
