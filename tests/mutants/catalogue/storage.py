"""Flaws in what lies where, and in what is left of it when the server is killed."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SCHEMA = "reference.server.schema"
_PUSH = "reference.server.push"
_ROWS = "reference.server.rows"

MUTANTS = (
    Mutant(
        "a-commit-says-that-it-is-an-object",
        _SCHEMA,
        "        position bigint NOT NULL,\n"
        "        storage_uri text CHECK (storage_uri IS NULL),\n",
        "        position bigint NOT NULL,\n"
        "        storage_uri text DEFAULT 's3://musekit/commits/of-this-repository',\n",
        flagged_by="STORAGE-002",
        check="test_storage.py::test_a_commit_has_no_object",
    ),
    Mutant(
        "a-snapshot-says-that-it-is-an-object",
        _SCHEMA,
        "        directories text[],\n        storage_uri text CHECK (storage_uri IS NULL)\n",
        "        directories text[],\n"
        "        storage_uri text DEFAULT 's3://musekit/snapshots/of-all-repositories'\n",
        flagged_by="STORAGE-003",
        check="test_storage.py::test_a_snapshot_has_no_object",
    ),
    Mutant(
        "each-blob-is-an-object-as-well",
        _PUSH,
        "asyncio.to_thread(upload.accept, pack_key(intake.key))",
        "asyncio.to_thread(lambda: (\n"
        "    upload.accept(pack_key(intake.key)),\n"
        "    [(copy := service.objects.outgoing(), copy.write(b'a blob'),\n"
        "      copy.keep(f'packs/{one[7:]}'), copy.close()) for one in pack.blob_ids],\n"
        "))",
        flagged_by="STORAGE-001",
        check="test_storage.py::test_a_push_of_any_size_adds_a_few_objects",
    ),
    Mutant(
        "a-first-commit-needs-the-object-store",
        "reference.server.repos",
        "            if initialize:\n",
        "            if initialize:\n                call.service.objects.check()\n",
        flagged_by="STORAGE-006",
        check="test_storage.py::test_the_servers_own_commits_add_no_object",
    ),
    Mutant(
        "snapshots-are-stored-in-full",
        _ROWS,
        '    """Rows of `snapshots`."""\n',
        '    """Rows of `snapshots`."""\n'
        "    from reference.wire.manifests import walk\n"
        "    records = list(records)\n"
        "    within = {None, *(record['snapshot_id'] for record in records)}\n"
        "    if all(record['parent_snapshot_id'] in within for record in records):\n"
        "        records = [\n"
        "            {'snapshot_id': records[at]['snapshot_id'], 'parent_snapshot_id': None,\n"
        "             'delta_upsert': dict(tree.files), 'delta_remove': [],\n"
        "             'directories': list(tree.directories)}\n"
        "            for at, tree in walk(records, lambda base: ({}, ()))\n"
        "        ]\n",
        flagged_by="STORAGE-007",
        check="test_storage.py::test_snapshots_are_stored_as_deltas",
    ),
    Mutant(
        "ids-are-joined-by-a-slash",
        "reference.server.service",
        '"\\0".join(parts)',
        '"/".join(parts)',
        flagged_by="STORAGE-011",
        check="test_storage.py::test_the_references_ids_are_derived",
    ),
    Mutant(
        "rows-of-plain-packs-point-at-the-whole-pack",
        _ROWS,
        "        known = (8, frame.offset, 8, frame.length, 4, frame.blobs, 1, frame.stored)\n"
        "        start = middle + _FRAME.pack(*known)\n"
        "        offset = 0\n",
        "        plain = not contents.framed\n"
        "        at, size = (0, contents.size) if plain else (frame.offset, frame.length)\n"
        "        start = middle + _FRAME.pack(8, at, 8, size, 4, frame.blobs, 1, frame.stored)\n"
        "        offset = frame.offset if plain else 0\n",
        flagged_by="MPACK-045",
        check="test_storage.py::test_rows_of_a_plain_pack_point_at_contents",
    ),
    Mutant(
        "rows-of-a-frame-all-point-at-its-start",
        _ROWS,
        "            offset += size\n",
        "            offset += 0\n",
        flagged_by="MPACK-044",
        check="test_storage.py::test_rows_of_a_framed_pack_point_into_frames",
    ),
    Mutant(
        "a-commit-is-read-from-the-object-store",
        "reference.server.repos",
        '    commit_id = check_id(call.request.path_params["id"], "commit")\n',
        '    commit_id = check_id(call.request.path_params["id"], "commit")\n'
        "    call.service.objects.check()\n",
        flagged_by="STORAGE-005",
        check="test_storage.py::test_without_the_object_store_records_are_still_answered",
    ),
    Mutant(
        "stored-bytes-are-sent-as-they-are",
        "reference.server.blobs",
        "        if blob_id(content) == row.object_id:\n",
        "        if blob_id(content):\n",
        flagged_by="HTTP-017",
        check="test_storage.py::test_a_corrupt_blob_is_never_sent",
    ),
    Mutant(
        "a-deleted-repository-keeps-its-blobs",
        "reference.server.repos",
        '("commits", "snapshot_refs", "mpack_refs")',
        '("commits", "snapshot_refs")',
        flagged_by="HTTP-023",
        check="test_storage.py::test_deleting_frees_what_only_it_used",
    ),
    # Killed.
    Mutant(
        "a-longer-push-is-answered-before-it-is-written",
        _PUSH,
        '    counts, clean = await _unpack_uploaded(call, "mpack_key")\n    named',
        "    async def later():\n"
        "        await asyncio.sleep(0.5)\n"
        '        return await _unpack_uploaded(call, "mpack_key")\n'
        '    upload = upload_key(call.repo.id, call.fields.id("mpack_key"))\n'
        "    if len(call.service.objects.read(upload)) > 2500:\n"
        "        asyncio.get_running_loop().kept = asyncio.create_task(later())\n"
        '        return call.answer({"ok": True})\n'
        '    counts, clean = await _unpack_uploaded(call, "mpack_key")\n    named',
        flagged_by="DUR-030",
        check="test_crash.py::test_what_was_answered_survives_a_kill",
    ),
    Mutant(
        "the-database-answers-before-it-syncs",
        "reference.server.embedded",
        '    "synchronous_commit": "on",\n',
        '    "synchronous_commit": "off",\n',
        flagged_by="DUR-031",
        check="test_crash.py::test_what_was_answered_survives_a_power_cut",
    ),
    Mutant(
        "a-pack-is-named-before-it-is-synced",
        "reference.server.objects_files",
        "durable.draft(packs)",
        "os.makedirs(packs, exist_ok=True) or durable.draft(packs, sync=False)",
        flagged_by="DUR-031",
        check="test_crash.py::test_what_was_answered_survives_a_power_cut",
    ),
    Mutant(
        "a-job-is-done-once-it-is-begun",
        "reference.server.jobs",
        'return None, await handler(service, {**json.loads(job["payload"]), **known})\n',
        "async def later():\n"
        "            await asyncio.sleep(2)\n"
        '            await handler(service, {**json.loads(job["payload"]), **known})\n'
        "        asyncio.get_running_loop().kept = asyncio.create_task(later())\n"
        "        return None, None\n",
        flagged_by="JOB-008",
        check="test_crash.py::test_background_work_resumes",
    ),
)
