"""Flaws in what fsck tells and in what a collection keeps, removes and refuses."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_FSCK = "reference.store.fsck"
_GC = "reference.store.gc"
_LOOSE = "reference.store.loose"
_REMOVAL = "reference.store.removal"
_FILE = "test_store_fsck.py::"
_REPORTS = _FILE + "test_fsck_reports_what_is_wrong"
_LEAVES = _FILE + "test_fsck_leaves_alone_what_is_no_problem"
_KEEPS = _FILE + "test_gc_keeps_what_is_reachable"
_REFUSES = _FILE + "test_gc_refuses_when_something_is_missing"

MUTANTS = (
    Mutant(
        "fsck-believes-in-names",
        _FSCK,
        "                loose.get_blob(repository.dot, object_id)\n",
        "                loose.has(repository.dot, object_id)\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-misses-no-blob",
        _FSCK,
        "            if oid not in blobs:\n",
        "            if not oid:\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-reads-no-commit",
        _FSCK,
        "            commit = repository.commit(object_id)\n",
        "            continue\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-overlooks-refs-to-nothing",
        _FSCK,
        "        if head is not None and head not in commits:\n",
        "        if head is None and name in commits:\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-stops-at-a-damaged-ref",
        _FSCK,
        "    for branch in refs.branches(repository.dot):\n",
        "    for branch in refs.list_refs(repository.dot):\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-reads-no-pack",
        _FSCK,
        "            pack.verified()\n",
        "            pack.key\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-stops-at-a-damaged-pack",
        _FSCK,
        "    for pack in list_packs(repository.dot):\n",
        "    for pack in list_packs(repository.dot):\n        pack.pack\n",
        flagged_by="STORE-039",
        check=_REPORTS,
    ),
    Mutant(
        "fsck-wants-a-commit-under-head",
        _FSCK,
        "        if head is not None and head not in commits:\n",
        "        if head not in commits and refs.read_head(repository.dot)[0] != 'main':\n",
        flagged_by="STORE-040",
        check=_LEAVES,
        inspired="https://github.com/jelmer/dulwich/issues/415",
    ),
    Mutant(
        "fsck-wants-every-index",
        _FSCK,
        "            pack.verified()\n",
        """
            with open(pack.index_path, "rb"):
                pack.verified()
""",
        flagged_by="STORE-040",
        check=_LEAVES,
    ),
    Mutant(
        "gc-looks-at-no-state",
        _GC,
        "    for value in state.all_values(repository.dot):\n",
        "    for value in ():\n",
        flagged_by="STORE-041",
        check=_KEEPS,
        inspired="https://github.com/libra-tools/libra/pull/419",
    ),
    Mutant(
        "gc-overlooks-a-head-on-no-branch",
        _GC,
        "    if commit is not None:\n        yield commit\n",
        "    if commit is not None:\n        return\n",
        flagged_by="STORE-041",
        check=_KEEPS,
    ),
    Mutant(
        "gc-keeps-no-blob-of-a-base",
        _GC,
        '        keep["objects"].update(record.get("delta_upsert", {}).values())\n',
        '        if record.get("parent_snapshot_id") is None:\n'
        '            keep["objects"].update(record["delta_upsert"].values())\n',
        flagged_by="STORE-042",
        check=_FILE + "test_gc_may_pack_and_reads_stay_the_same",
    ),
    Mutant(
        "gc-keeps-tips-alone",
        _GC,
        '    keep["commits"].update(reachable(parents_of, sorted(starts)))\n',
        '    reachable(parents_of, sorted(starts))\n    keep["commits"].update(starts)\n',
        flagged_by="STORE-042",
        check=_FILE + "test_gc_may_pack_and_reads_stay_the_same",
    ),
    Mutant(
        "gc-has-no-grace",
        _GC,
        "if os.stat(loose.path_of(repository.dot, kind, object_id)).st_mtime > before\n",
        "if False\n",
        flagged_by="STORE-041",
        check=_FILE + "test_gc_keeps_what_is_young",
        inspired="https://github.com/libra-tools/libra/pull/414",
    ),
    Mutant(
        "what-is-there-stays-old",
        _LOOSE,
        "        if not (durable.is_settled(path) and _proves(get_blob, dot, object_id)):\n",
        """
        if _proves(get_blob, dot, object_id):
            continue
        elif path:
""",
        flagged_by="STORE-041",
        check=_FILE + "test_putting_again_makes_young",
        inspired="https://github.com/jelmer/dulwich/pull/2341",
    ),
    Mutant(
        "gc-removes-nothing",
        _REMOVAL,
        "    for wave in _waves(going):\n",
        "    for wave in ():\n",
        flagged_by="STORE-042",
        check=_FILE + "test_gc_removes_what_is_old_and_unreachable",
    ),
    Mutant(
        "gc-tells-nothing-of-what-it-removed",
        _REMOVAL,
        "    return sum(len(part.holds) for part in going)\n",
        "    return 0\n",
        flagged_by="STORE-063",
        check=_FILE + "test_gc_removes_what_is_old_and_unreachable",
    ),
    Mutant(
        "gc-reads-nothing-before-it-removes",
        _GC,
        "        _verify(repository, reached)\n",
        "",
        flagged_by="STORE-043",
        check=_REFUSES,
    ),
    Mutant(
        "gc-passes-over-what-is-missing",
        _GC,
        "strict=True)\n        _verify(repository, reached)\n",
        "strict=False)\n",
        flagged_by="STORE-043",
        check=_REFUSES,
    ),
    Mutant(
        "gc-passes-over-a-lost-head",
        _GC,
        "    named = set(_named(repository)) if strict else set()\n",
        "    named = set(refs.list_refs(repository.dot).values()) if strict else set()\n",
        flagged_by="STORE-043",
        check=_REFUSES,
    ),
    Mutant(
        "gc-leaves-what-the-dead-left",
        _GC,
        "        swept = durable.sweep(repository.root)\n",
        "        swept = 0\n",
        flagged_by="STORE-063",
        check=_FILE + "test_gc_removes_what_killed_writers_left",
    ),
    Mutant(
        "gc-waits-for-nobody",
        _GC,
        "    with durable.lock(repository.dot, exclusive=True):\n",
        "    with durable.lock(repository.dot, exclusive=False):\n",
        flagged_by="STORE-044",
        check=_FILE + "test_writers_beside_gc_lose_nothing",
        inspired="https://github.com/jelmer/dulwich/issues/2336",
    ),
    Mutant(
        "gc-that-spares-the-young-is-refused",
        "reference.store.adapter",
        '    return {"removed": gc.collect(repository, grace)}\n',
        "    if grace:\n"
        '        raise ProtocolError("conflict", "others may be writing")\n'
        '    return {"removed": gc.collect(repository, grace)}\n',
        flagged_by="STORE-044",
        check=_FILE + "test_writers_beside_gc_lose_nothing",
    ),
    Mutant(
        "what-is-young-stays-alone",
        _GC,
        "        _merge(keep, _closure(repository, set().union(*young.values()), strict=False))\n",
        "",
        flagged_by="STORE-041",
        check=_FILE + "test_what_is_young_keeps_what_it_stands_on",
    ),
    Mutant(
        "gc-looks-into-no-list",
        _GC,
        "    elif isinstance(value, list):\n        for item in value:\n",
        "    elif isinstance(value, list):\n        for item in ():\n",
        flagged_by="STORE-041",
        check=_FILE + "test_every_state_keeps_what_it_names",
    ),
    Mutant(
        "temp-files-are-not-counted",
        _GC,
        "        return swept + removed\n",
        "        return removed\n",
        flagged_by="STORE-063",
        check=_FILE + "test_gc_removes_what_killed_writers_left",
    ),
)
