"""The description of every call, for whoever writes a client."""

from __future__ import annotations

from typing import Any

from reference.wire.errors import STATUS

DESCRIPTION: dict[str, Any] = {"openapi": "3.1.0", "codes": sorted(STATUS)}
