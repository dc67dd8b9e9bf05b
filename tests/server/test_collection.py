"""What a collection must not take away under somebody's hands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from reference.server import collection, writing
from reference.server.collection import collect
from reference.server.objects import pack_key
from reference.server.objects_files import FileObjects
from reference.server.service import Service

from .forge import Forge
from .peer import Peer
from .state import packs


@pytest.mark.requirement("STORAGE-012")
async def test_a_link_outlives_the_row_that_it_was_given_for(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """A second after it was given the row expires, and what it leads to is there all the same."""
    line = forge.line(2)
    for commit in line:
        await alice.push(repo, forge.pack([commit]), commit)
    given = await alice.fetch(repo, line[0])
    async with service.database.session() as db:
        await db.execute("UPDATE fetch_mpack_cache SET expires_at = now()")
    assert (await collect(service))["packs"] == 0
    assert (await alice.http.get(given["mpack_url"])).is_success
    assert (await alice.fetch(repo, line[0]))["cache"] == "miss"


@pytest.mark.requirement("STORAGE-012", "STORAGE-015")
async def test_a_pack_written_again_while_collection_waits_is_young(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it knew of the packs before it had the lock may be true no more."""
    line = forge.line(2)
    for commit in line:
        await alice.push(repo, forge.pack([commit]), commit)
    given = await alice.fetch(repo, line[1], have=(line[0],))
    assert isinstance(service.objects, FileObjects)
    os.utime(service.objects.path(pack_key(given["mpack_id"])), (1, 1))
    waits, real = asyncio.Event(), collection._alone

    async def alone(db: Any) -> None:
        waits.set()
        await real(db)

    monkeypatch.setattr(collection, "_alone", alone)
    async with service.database.transaction() as db:
        await writing.begin_adding(db)
        collecting = asyncio.create_task(collect(service))
        await waits.wait()
        again = await alice.fetch(repo, line[1], have=(line[0],))
        assert again["mpack_id"] == given["mpack_id"]
    await collecting
    assert (await alice.http.get(again["mpack_url"])).is_success


@pytest.mark.requirement("STORAGE-015")
async def test_an_upload_may_go_while_it_is_listed(
    service: Service, alice: Peer, repo: str, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its push was answered just then: that is no reason to fail."""
    head = forge.line(1)[0]
    await alice.push(repo, forge.pack(), head)
    await alice.upload(repo, forge.pack())
    real, gone = os.walk, []

    def walk(top: str, *given: Any) -> Iterator[Any]:
        for folder, inner, names in real(top, *given):
            if top.endswith("/uploads/"):
                gone.extend(names)
                for name in names:
                    os.unlink(f"{folder}/{name}")
            yield folder, inner, names

    monkeypatch.setattr(os, "walk", walk)
    assert (await collect(service))["uploads"] == 0
    assert len(gone) == 1
    assert len(packs(service)) == 1
