"""Flaws in what a collection removes, and what it leaves."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_COLLECTION = "reference.server.collection"
_FILE = "test_collection.py::"

MUTANTS = (
    Mutant(
        "fresh-rows-are-collected-too",
        _COLLECTION,
        "WHERE expires_at <= now() - make_interval(secs => $1)",
        "WHERE created_at > now() - make_interval(secs => $1)",
        flagged_by="STORAGE-012",
        check=_FILE + "test_expired_rows_go_and_fresh_ones_stay",
    ),
    Mutant(
        "a-pack-goes-while-its-link-lives",
        _COLLECTION,
        "WHERE expires_at <= now() - make_interval(secs => $1)",
        "WHERE expires_at <= now() - 0 * make_interval(secs => $1)",
        flagged_by="STORAGE-012",
        check=_FILE + "test_expired_rows_go_and_fresh_ones_stay",
    ),
    Mutant(
        "a-pack-goes-with-its-cache-row",
        _COLLECTION,
        "    OR m.blob_ids",
        "    AND m.blob_ids",
        flagged_by="STORAGE-013",
        check=_FILE + "test_collecting_loses_nothing",
        inspired="https://github.com/distribution/distribution/issues/2872",
    ),
    Mutant(
        "a-pushed-pack-goes-with-its-expired-row",
        _COLLECTION,
        "        await asyncio.to_thread(_delete_packs, objects, gone)\n",
        "        rows = await db.fetch(\n"
        "            'SELECT mpack_id FROM fetch_mpack_cache WHERE expires_at <= now()'\n"
        "        )\n"
        "        gone |= {from_raw(row[0]) for row in rows}\n"
        "        await asyncio.to_thread(_delete_packs, objects, gone)\n",
        flagged_by="STORAGE-013",
        check=_FILE + "test_a_pack_that_the_index_needs_stays",
    ),
    Mutant(
        "an-object-store-that-is-away-is-empty",
        "reference.server.objects_files",
        '        if not os.path.exists(f"{self.root}/{_MARK}"):\n',
        "        if not self.root:\n",
        flagged_by="STORAGE-014",
        check=_FILE + "test_an_outage_removes_nothing",
        inspired="https://github.com/restic/restic/issues/4612",
    ),
    Mutant(
        "rows-of-a-lost-pack-stay",
        _COLLECTION,
        "stale = await _drop_packs(db, lost)",
        "stale = len(lost)",
        flagged_by="STORAGE-014",
        check=_FILE + "test_rows_whose_pack_is_gone_go",
    ),
    Mutant(
        "lost-packs-are-counted-as-rows",
        _COLLECTION,
        '"stale_index_rows": stale}',
        '"stale_index_rows": len(lost)}',
        flagged_by="STORAGE-012",
        check=_FILE + "test_rows_whose_pack_is_gone_go",
    ),
    Mutant(
        "an-upload-is-collected-before-it-is-taken-in",
        _COLLECTION,
        "if age > UPLOAD_GRACE_SECONDS]",
        "if age > 0]",
        flagged_by="STORAGE-012",
        check=_FILE + "test_a_fresh_upload_stays",
        inspired="https://github.com/quay/quay/pull/6318",
    ),
    Mutant(
        "a-pack-without-a-row-is-collected-at-once",
        _COLLECTION,
        "if age > PACK_GRACE_SECONDS}",
        "if age > 0}",
        flagged_by="STORAGE-015",
        check=_FILE + "test_a_pack_that_is_not_downloaded_yet_stays",
        inspired="https://github.com/getnora-io/nora/issues/584",
    ),
)
