"""Flaws in the reading of packs: the container, its parts, and what they lean on."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_READER = "reference.wire.reader"
_INTAKE = "reference.server.intake"
_PUSH = "reference.server.push"
_VERIFICATION = "reference.core.verification"
_NEEDS = "        needs = verification.outside(pack)\n"

MUTANTS = (
    Mutant(
        "no-map-is-an-unheard-of-map",
        _READER,
        'raise _malformed("a pack must be one msgpack map")',
        'raise ProtocolError("missing_field", "a pack has commits")',
        flagged_by="MPACK-001",
        check="test_packs.py::test_a_pack_is_one_map test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-cut-pack-is-taken-as-far-as-it-goes",
        _READER,
        "        if not self._done:\n            self",
        "        if not self._fed:\n            self",
        flagged_by="MPACK-002",
        check="test_packs.py::test_a_cut_pack_is_refused test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "what-follows-the-pack-is-not-read",
        _READER,
        "                if self._unpacker.read_bytes(1):\n",
        "                if not self._fed:\n",
        flagged_by="MPACK-002",
        check="test_packs.py::test_bytes_after_the_end_are_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-packs-last-of-two-keys-counts",
        _READER,
        "        if not isinstance(key, str) or key in seen:\n",
        "        if not isinstance(key, str):\n",
        flagged_by="MPACK-003",
        check="test_packs.py::test_a_key_stands_once test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-key-may-be-anything",
        _READER,
        "        if not isinstance(key, str) or key in seen:\n",
        "        if key in seen:\n",
        flagged_by="MPACK-003",
        check="test_packs.py::test_keys_are_texts",
    ),
    Mutant(
        "a-format-may-equal-one",
        _READER,
        "                if type(value) is not int or value != 1:\n",
        "                if value != 1:\n",
        flagged_by="MPACK-004",
        check="test_packs.py::test_another_format_is_refused",
    ),
    Mutant(
        "later-formats-are-tried",
        _READER,
        "                if type(value) is not int or value != 1:\n",
        "                if type(value) is not int or value < 1:\n",
        flagged_by="MPACK-004",
        check="test_packs.py::test_another_format_is_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-pack-must-say-its-format",
        _READER,
        '        if "blobs" in seen and "objects" in seen:\n',
        '        if "format" not in seen:\n'
        '            raise _malformed("a pack has a format", "MPACK-004")\n'
        '        if "blobs" in seen and "objects" in seen:\n',
        flagged_by="MPACK-004",
        check="test_packs.py::test_the_format_may_be_absent",
    ),
    Mutant(
        "only-blobs-are-called-blobs",
        _READER,
        '        if key in ("blobs", "objects"):\n',
        '        if key == "blobs":\n',
        flagged_by="MPACK-005",
        check="test_packs.py::test_objects_is_another_name_for_blobs"
        " test_golden.py::test_golden_plain_packs_are_accepted",
    ),
    Mutant(
        "blobs-and-objects-are-one",
        _READER,
        '        if "blobs" in seen and "objects" in seen:\n',
        '        if "blobs" in seen and "objects" in seen and not self._fed:\n',
        flagged_by="MPACK-005",
        check="test_packs.py::test_objects_is_another_name_for_blobs"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-blob-without-id-has-a-bad-one",
        _READER,
        '        if found is None or "object_id" not in seen:\n',
        "        if found is None:\n",
        flagged_by="MPACK-006",
        check="test_packs.py::test_a_blob_needs_id_and_content"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "no-content-is-an-empty-one",
        _READER,
        "        if kind not in _BIN:\n",
        "        if kind == 0xC0:\n            return 0\n        if kind not in _BIN:\n",
        flagged_by="MPACK-006",
        check="test_packs.py::test_a_content_is_bytes",
    ),
    Mutant(
        "a-blob-has-three-keys-and-no-more",
        _READER,
        '            if key != "content":\n',
        '            if key not in ("object_id", "content", "path"):\n'
        '                raise _malformed("a blob has no such key", "MPACK-006")\n'
        '            if key != "content":\n',
        flagged_by="MPACK-006",
        check="test_packs.py::test_other_keys_of_a_blob_are_ignored",
    ),
    Mutant(
        "a-late-head-is-not-seen",
        _READER,
        '            if key == "head":\n',
        '            if key == "head" and len(seen) <= 2:\n',
        flagged_by="MPACK-007",
        check="test_packs.py::test_a_head_makes_a_framed_pack",
    ),
    Mutant(
        "a-blob-is-not-compared-with-its-id",
        _READER,
        '        if check_id(named, "object_id") != found:\n',
        '        if not check_id(named, "object_id"):\n',
        flagged_by="MPACK-008",
        check="test_packs.py::test_a_blob_that_is_not_its_id_is_refused"
        " test_push.py::test_everything_is_verified_before_the_answer"
        " test_push.py::test_force_spares_no_other_check"
        " test_identity.py::test_a_blob_named_by_its_plain_digest_is_refused"
        " test_identity.py::test_each_id_is_recomputed"
        " test_hostile.py::test_attacks_are_refused",
        inspired="https://github.com/gogs/gogs/pull/8333",
    ),
    Mutant(
        "meta-may-be-anything",
        _READER,
        "                if not isinstance(value, dict):\n",
        "                if value is None:\n",
        flagged_by="MPACK-009",
        check="test_packs.py::test_each_part_has_its_type",
    ),
    Mutant(
        "a-blob-that-is-no-map-lacks-fields",
        _READER,
        'raise _malformed("a blob must be a map", "MPACK-006")',
        'raise ProtocolError("missing_field", "a blob has content")',
        flagged_by="MPACK-009",
        check="test_packs.py::test_each_record_is_a_map",
    ),
    Mutant(
        "a-pack-has-known-keys-only",
        _READER,
        "                setattr(pack, key, value)\n",
        "                setattr(pack, key, value)\n"
        "            else:\n"
        '                raise _malformed("a pack has no such key", "MPACK-009")\n',
        flagged_by="MPACK-009",
        check="test_packs.py::test_keys_come_in_any_order_and_unknown_ones_are_ignored"
        " test_golden.py::test_golden_plain_packs_are_accepted",
    ),
    Mutant(
        "parents-come-first",
        _INTAKE,
        _NEEDS,
        _NEEDS + "        for at, record in enumerate(pack.commits):\n"
        "            if {*parents(record)} & {late['commit_id'] for late in pack.commits[at:]}:\n"
        "                raise ProtocolError('missing_parent', 'parents come first')\n",
        flagged_by="MPACK-025",
        check="test_packs.py::test_commits_and_blobs_come_in_any_order",
    ),
    Mutant(
        "a-record-given-twice-is-a-fault",
        _INTAKE,
        _NEEDS,
        _NEEDS + "        assert len({one['commit_id'] for one in pack.commits})"
        " == len(pack.commits)\n",
        flagged_by="MPACK-026",
        check="test_packs.py::test_what_is_there_twice_or_for_nothing_is_accepted",
    ),
    Mutant(
        "every-blob-must-be-named",
        _INTAKE,
        _NEEDS,
        _NEEDS + "        named = {i for one in pack.snapshots for i in"
        " one['delta_upsert'].values()}\n"
        "        if not named.issuperset(pack.blob_ids):\n"
        "            raise ProtocolError('malformed', 'a blob that nothing names')\n",
        flagged_by="MPACK-026",
        check="test_packs.py::test_what_is_there_twice_or_for_nothing_is_accepted"
        " test_golden.py::test_golden_plain_packs_are_accepted"
        " test_golden.py::test_golden_framed_packs_are_accepted",
    ),
    Mutant(
        "the-last-of-two-records-counts",
        "reference.server.rows",
        "        found.setdefault(record[name], record)\n",
        "        found[record[name]] = record\n",
        flagged_by="MPACK-027",
        check="test_packs.py::test_the_first_of_two_records_counts",
    ),
    Mutant(
        "a-commits-snapshot-may-be-missing",
        _VERIFICATION,
        "needs.snapshots - known.snapshots",
        "set()",
        flagged_by="MPACK-028",
        check="test_packs.py::test_a_missing_snapshot_is_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-pack-must-bring-its-parents",
        _PUSH,
        'history.known(db, "commits", repo.raw, needs.commits)',
        'history.known(db, "commits", repo.raw, ())',
        flagged_by="MPACK-028",
        check="test_packs.py::test_a_pack_leans_on_what_is_here"
        " test_framed.py::test_ordinals_go_on_through_what_is_named",
    ),
    Mutant(
        "what-any-repository-has-is-here",
        "reference.server.history",
        "WHERE repo_id = $1 AND {name} = ANY($2)",
        "WHERE $1::bytea IS NOT NULL AND {name} = ANY($2)",
        flagged_by="AUTH-013",
        check="test_packs.py::test_a_pack_leans_on_no_other_repository"
        " test_snapshots.py::test_another_repositorys_snapshot_is_not_here",
        inspired="https://github.com/gogs/gogs/pull/8333",
    ),
    # Limits.
    Mutant(
        "declared-sizes-are-believed",
        "reference.wire.heads",
        "    if sum(sizes) > limits.raw_bytes:\n",
        "    if not sizes and counts:\n",
        flagged_by="MPACK-041",
        check="test_limits.py::test_declared_sizes_beyond_the_limit_are_refused",
        inspired="https://github.com/justrach/nanobrew/issues/24",
    ),
    Mutant(
        "a-head-of-any-size-is-opened",
        _READER,
        "        if declared > self._limits.raw_bytes:\n",
        "        if declared < 0:\n",
        flagged_by="MPACK-041",
        check="test_limits.py::test_a_head_beyond_the_limit_is_refused",
        inspired="https://github.com/DataDog/zstd/pull/115",
    ),
    Mutant(
        "columns-of-any-length-are-unfolded",
        "reference.wire.heads",
        "    if _count_records(top, snapshots, commits) > limits.records:\n",
        "    if _count_records(top, snapshots, commits) < 0:\n",
        flagged_by="MPACK-040",
        check="test_limits.py::test_counts_beyond_the_limit_are_refused",
    ),
    Mutant(
        "entries-of-a-snapshot-are-not-counted",
        _READER,
        " + len(pack.blob_ids) + self._entries\n",
        " + len(pack.blob_ids)\n",
        flagged_by="MPACK-040",
        check="test_limits.py::test_a_list_beyond_the_limit_is_refused",
    ),
    Mutant(
        "manifests-are-rebuilt-without-end",
        _VERIFICATION,
        "        if rebuilt > limits.manifest_bytes:\n",
        "        if rebuilt < 0:\n",
        flagged_by="MPACK-043",
        check="test_limits.py::test_manifests_beyond_the_limit_are_refused",
    ),
    Mutant(
        "a-broken-container-is-a-fault",
        _READER,
        'raise _malformed(f"not msgpack: {type(problem).__name__} {problem}") from None',
        "raise",
        flagged_by="MPACK-039",
        check="test_limits.py::test_counts_that_lie_cost_nothing",
    ),
    Mutant(
        "a-pack-unfolds-into-twice-as-much",
        _READER,
        "VALUES * records + 1024",
        "2 * VALUES * records + 1024",
        flagged_by="MPACK-039",
        check="test_limits.py::test_entries_beyond_the_limit_are_refused",
    ),
    Mutant(
        "folders-cost-half",
        _VERIFICATION,
        "    if work // 2 > limits.manifest_bytes:\n",
        "    if work // 4 > limits.manifest_bytes:\n",
        flagged_by="MPACK-038",
        check="test_limits.py::test_folders_beyond_the_limit_are_refused",
    ),
)
