"""Flaws in the files of a store: names, contents, modes."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ADAPTER = "reference.store.adapter"
_KEPT = "reference.store.kept"
_LOOSE = "reference.store.loose"
_PACKS = "reference.store.packs"
_REFS = "reference.store.refs"
_REPOSITORY = "reference.store.repository"
_FILE = "test_store_files.py::"

MUTANTS = (
    Mutant(
        "head-has-no-line-feed",
        _REFS,
        '        text = f"{_HEAD_BRANCH}{branch}\\n"\n',
        '        text = f"{_HEAD_BRANCH}{branch}"\n',
        flagged_by="STORE-001",
        check=_FILE + "test_head_has_two_forms",
    ),
    Mutant(
        "head-is-master-at-first",
        _REPOSITORY,
        'refs.write_head(dot, branch="main")',
        'refs.write_head(dot, branch="master")',
        flagged_by="STORE-002",
        check=_FILE + "test_head_has_two_forms",
    ),
    Mutant(
        "a-damaged-head-is-main",
        _REFS,
        '    why = f"HEAD holds',
        '    return "main", None\n    why = f"HEAD holds',
        flagged_by="STORE-001",
        check=_FILE + "test_another_head_is_an_integrity_error",
    ),
    Mutant(
        "head-may-name-any-text",
        _REFS,
        "                return check_branch(value.removeprefix(_HEAD_BRANCH)), None\n",
        "                return value.removeprefix(_HEAD_BRANCH), None\n",
        flagged_by="STORE-001",
        check=_FILE + "test_another_head_is_an_integrity_error",
    ),
    Mutant(
        "head-needs-a-branch-that-is-there",
        _ADAPTER,
        "    if branch is not None:\n        refs.write_head",
        """    if branch is not None:
        if refs.read(repository.dot, check_branch(branch)) is None:
            raise ProtocolError("not_found", f"no branch {branch!r}")
        refs.write_head""",
        flagged_by="STORE-002",
        check=_FILE + "test_head_may_name_a_branch_without_commits",
    ),
    Mutant(
        "a-ref-ends-in-a-line-feed",
        _REFS,
        "        durable.write(_path(dot, branch), commit_id.encode())\n",
        '        durable.write(_path(dot, branch), commit_id.encode() + b"\\n")\n',
        flagged_by="STORE-003",
        check=_FILE + "test_a_ref_is_the_id_alone",
    ),
    Mutant(
        "a-slash-in-a-branch-is-escaped",
        _REFS,
        '    return f"{_folder(dot)}/{check_branch(branch)}"\n',
        "    return f\"{_folder(dot)}/{check_branch(branch).replace('/', '%2F')}\"\n",
        flagged_by="STORE-003",
        check=_FILE + "test_a_ref_is_the_id_alone",
    ),
    Mutant(
        "init-writes-repo-json-anew",
        _REPOSITORY,
        '            if not os.path.exists(f"{dot}/{name}"):\n',
        '            if name == "repo.json" or not os.path.exists(f"{dot}/{name}"):\n',
        flagged_by="STORE-004",
        check=_FILE + "test_repo_json_tells_the_format",
    ),
    Mutant(
        "any-format-will-do",
        _KEPT,
        '    if not isinstance(found, dict) or found.get("format") != 1:\n',
        '    if not isinstance(found, dict) or "format" not in found:\n',
        flagged_by="STORE-004",
        check=_FILE + "test_another_format_is_not_touched",
    ),
    Mutant(
        "objects-can-be-written-to",
        _LOOSE,
        "FILE_MODE = 0o444\n",
        "FILE_MODE = 0o644\n",
        flagged_by="STORE-010",
        check=_FILE + "test_a_loose_object_is_what_is_hashed",
    ),
    Mutant(
        "objects-lie-without-their-header",
        _LOOSE,
        '            items[path] = b"blob %d\\0%s" % (len(content), content)\n',
        "            items[path] = content\n",
        flagged_by="STORE-005",
        check=_FILE + "test_a_loose_object_is_what_is_hashed",
    ),
    Mutant(
        "defaults-are-left-out-of-records",
        _REPOSITORY,
        "        raw = _json(record)\n",
        "        raw = _json({key: item for key, item in record.items() if item})\n",
        flagged_by="STORE-006",
        check=_FILE + "test_a_commit_record_is_one_json_object",
    ),
    Mutant(
        "records-can-be-written-to",
        _LOOSE,
        "        durable.write(path, there or raw, mode=FILE_MODE)\n",
        "        durable.write(path, there or raw)\n",
        flagged_by="STORE-010",
        check=_FILE + "test_a_commit_record_is_one_json_object "
        "test_store_files.py::test_a_snapshot_record_is_one_json_object",
    ),
    Mutant(
        "snapshots-carry-their-manifest",
        _REPOSITORY,
        "            raw = _json(snapshots.between(new, manifest, directories, parent, *base))\n",
        "            delta = snapshots.between(new, manifest, directories, parent, *base)\n"
        '            raw = _json({**delta, "manifest": dict(manifest)})\n',
        flagged_by="STORE-007",
        check=_FILE + "test_a_snapshot_record_is_one_json_object",
    ),
    Mutant(
        "chains-grow-and-grow",
        _REPOSITORY,
        "CHAIN = 64\n",
        "CHAIN = 1 << 30\n",
        flagged_by="STORE-008",
        check=_FILE + "test_a_root_is_never_far",
    ),
    Mutant(
        "a-chain-is-one-too-long",
        _REPOSITORY,
        "CHAIN = 64\n",
        "CHAIN = 65\n",
        flagged_by="STORE-008",
        check=_FILE + "test_a_root_is_never_far",
    ),
    Mutant(
        "a-pack-without-index-is-damaged",
        _PACKS,
        "            return self._remake_index()\n",
        '            raise ProtocolError("integrity", f"integrity check: {self.index_path}")\n',
        flagged_by="STORE-009",
        check=_FILE + "test_a_pack_is_kept_as_received",
    ),
    Mutant(
        "a-pack-can-be-written-to",
        "reference.store.intake",
        "keep(path, mode=FILE_MODE)",
        "keep(path, mode=0o644)",
        flagged_by="STORE-010",
        check=_FILE + "test_a_pack_is_kept_as_received",
    ),
    Mutant(
        "unknown-settings-are-dropped",
        "reference.store.state",
        '        return "".join(_table("", value)).encode()\n',
        '        value = {"remotes": value.get("remotes", {})}\n'
        '        return "".join(_table("", value)).encode()\n',
        flagged_by="STORE-011",
        check=_FILE + "test_config_is_toml_and_keeps_what_it_does_not_know",
    ),
    Mutant(
        "a-snapshot-is-answered-as-it-lies",
        _ADAPTER,
        "    manifest, directories = repository.tree(object_id)\n",
        '    return {"record": repository.snapshot(object_id)}\n'
        "    manifest, directories = repository.tree(object_id)\n",
        flagged_by="STORE-057",
        check=_FILE + "test_a_commit_reads_back_in_root_form",
    ),
)
