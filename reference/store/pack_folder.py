"""The folder of a store's packs; what reads a pack is imported where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator

TYPE_CHECKING = False  # typing's own, without the time it takes to import
if TYPE_CHECKING:
    from .packs import PackFile


def folder(dot: str) -> str:
    """The folder of a store's packs."""
    return f"{dot}/objects/pack"


def list_packs(dot: str) -> Iterator[PackFile]:
    """Every pack of the store, by key."""
    try:
        entries = sorted(os.scandir(folder(dot)), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name.endswith(".mpack") and len(entry.name) == 70 and entry.is_file():
            from .packs import PackFile

            yield PackFile(entry.path)
