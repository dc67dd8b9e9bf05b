"""Flaws in snapshots: deltas, directories, and what a delta may stand on."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_RECORDS = "reference.wire.records"
_MANIFESTS = "reference.wire.manifests"
_INTAKE = "reference.server.intake"
_VERIFICATION = "reference.core.verification"
_NEEDS = "        needs = verification.outside(pack)\n"

MUTANTS = (
    Mutant(
        "a-snapshot-without-id-is-called-malformed",
        _RECORDS,
        '"missing_field", "a snapshot lacks snapshot_id"',
        '"malformed", "a snapshot lacks snapshot_id"',
        flagged_by="SNAP-001",
        check="test_snapshots.py::test_a_snapshot_needs_its_id"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "named-blobs-may-be-anything",
        _RECORDS,
        "{check_path(path): check_id(oid, path) for",
        "{check_path(path): oid for",
        flagged_by="SNAP-001",
        check="test_snapshots.py::test_a_field_of_another_type_is_refused",
    ),
    Mutant(
        "an-empty-manifest-is-none",
        _RECORDS,
        '    if "manifest" in value:\n',
        '    if value.get("manifest"):\n',
        flagged_by="SNAP-002",
        check="test_snapshots.py::test_a_manifest_is_refused",
    ),
    Mutant(
        "absent-directories-are-none",
        _MANIFESTS,
        'directories = record.get("directories")\n',
        'directories = record.get("directories", ())\n',
        flagged_by="SNAP-003",
        check="test_snapshots.py::test_absent_directories_are_the_parents",
    ),
    Mutant(
        "no-directories-are-the-parents",
        _RECORDS,
        "    if directories is not None:\n",
        "    if directories:\n",
        flagged_by="SNAP-003",
        check="test_snapshots.py::test_an_empty_list_means_no_directories",
    ),
    Mutant(
        "removed-files-come-back",
        "reference.core.closure",
        "        manifest.pop(path, None)\n",
        "        manifest.get(path)\n",
        flagged_by="SNAP-004",
        check="test_snapshots.py::test_a_delta_removes_and_sets",
    ),
    Mutant(
        "what-is-not-there-is-removed-already",
        _MANIFESTS,
        "            if files.pop(path, None) is None:\n",
        "            if path not in files:\n                continue\n"
        "            if files.pop(path, None) is None:\n",
        flagged_by="SNAP-005",
        check="test_snapshots.py::test_what_is_not_there_cannot_be_removed"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "removals-are-a-set",
        _RECORDS,
        "    if len(set(remove)) != len(remove) or not ",
        "    if not ",
        flagged_by="SNAP-006",
        check="test_snapshots.py::test_a_path_is_changed_once"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-delta-must-change-what-it-sets",
        _MANIFESTS,
        "        files.update(upsert)\n",
        "        if any(files.get(path) == oid for path, oid in upsert.items()):\n"
        '            raise ProtocolError("malformed", "sets what is set already")\n'
        "        files.update(upsert)\n",
        flagged_by="SNAP-007",
        check="test_snapshots.py::test_setting_what_is_set_already_is_accepted",
    ),
    Mutant(
        "conflicts-are-looked-for-before-the-removals",
        _MANIFESTS,
        "        for path in change.remove:\n",
        "        for path in change.upsert:\n"
        "            self._refuse_file_above(path, set())\n"
        "        for path in change.remove:\n",
        flagged_by="SNAP-008",
        check="test_snapshots.py::test_a_file_may_become_a_folder",
    ),
    Mutant(
        "a-file-may-lie-in-a-file",
        _MANIFESTS,
        "            self._refuse_conflict(path, clear)\n",
        "            clear.add(path)\n",
        flagged_by="ID-022",
        check="test_snapshots.py::test_a_delta_cannot_make_a_conflict"
        " test_names.py::test_a_tree_has_no_conflicts"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-base-may-come-later",
        _VERIFICATION,
        "        if base is not None and base not in snapshots:\n",
        '        if base is not None and base not in {s["snapshot_id"] for s in pack.snapshots}:\n',
        flagged_by="SNAP-010",
        check="test_snapshots.py::test_a_delta_stands_on_what_comes_before"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-base-must-be-in-the-pack",
        _VERIFICATION,
        "needs.bases - known.snapshots",
        "needs.bases",
        flagged_by="SNAP-010",
        check="test_snapshots.py::test_a_delta_may_stand_on_a_snapshot_that_is_here"
        " test_framed.py::test_ordinals_go_on_through_what_is_named",
    ),
    Mutant(
        "a-base-must-be-a-parents-tree",
        _INTAKE,
        _NEEDS,
        _NEEDS + "        bases = {s['snapshot_id']: s['parent_snapshot_id'] for s in"
        " pack.snapshots}\n"
        "        tree = {c['commit_id']: c['snapshot_id'] for c in pack.commits}\n"
        "        for one in pack.commits:\n"
        "            base = bases.get(one['snapshot_id'])\n"
        "            if base in bases and base not in map(tree.get, parents(one)):\n"
        "                raise ProtocolError('missing_snapshot', 'not the tree of a parent')\n",
        flagged_by="SNAP-012",
        check="test_snapshots.py::test_a_delta_may_stand_on_any_snapshot",
    ),
    Mutant(
        "named-blobs-may-be-missing",
        _VERIFICATION,
        "needs.objects - known.objects",
        "set()",
        flagged_by="SNAP-013",
        check="test_snapshots.py::test_every_blob_that_is_named_is_here"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-full-manifest-is-served-as-well",
        "reference.server.repos",
        '            "delta_upsert": dict(manifest),\n',
        '            "delta_upsert": dict(manifest),\n            "manifest": dict(manifest),\n',
        flagged_by="REC-014",
        check="test_snapshots.py::test_unknown_fields_of_a_snapshot_are_dropped",
    ),
)
