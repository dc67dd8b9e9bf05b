"""Flaws in writing: refusals that leave traces, what is there already, restored files."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ADAPTER = "reference.store.adapter"
_LOOSE = "reference.store.loose"
_REFS = "reference.store.refs"
_TREE = "reference.store.worktree"
_FILE = "test_store_writing.py::"
_STANDS = "if not (durable.is_settled(path) and _proves(get_blob, dot, object_id)):\n"
_RESTORED = "    durable.write(dest, chunks, mode=mode, mtime_ns=now, sync=sync)\n"
_LATER = "    check_tree(files, directories)\n    record = {name"

MUTANTS = (
    Mutant(
        "content-comes-under-any-id",
        _LOOSE,
        "    if expected is not None and ids != [check_id(expected)]:\n",
        "    if expected is not None and not check_id(expected):\n",
        flagged_by="STORE-017",
        check=_FILE + "test_wrong_content_for_an_id_is_refused",
    ),
    Mutant(
        "content-is-written-and-then-compared",
        _ADAPTER,
        '    return {"id": loose.put_blob(repository.dot, content, expected)}\n',
        """
    loose.put_blob(repository.dot, content)
    return {"id": loose.put_blob(repository.dot, content, expected)}
""",
        flagged_by="STORE-017",
        check=_FILE + "test_wrong_content_for_an_id_is_refused",
    ),
    Mutant(
        "an-object-is-written-once",
        _LOOSE,
        _STANDS,
        """\
if os.path.exists(path):
            raise ProtocolError("conflict", f"{object_id} is there already")
        elif path:
""",
        flagged_by="STORE-018",
        check=_FILE + "test_writing_again_succeeds",
    ),
    Mutant(
        "what-is-there-is-taken-for-sound",
        _LOOSE,
        _STANDS,
        "if not os.path.exists(path):\n",
        flagged_by="STORE-018",
        check=_FILE + "test_a_corrupt_copy_is_replaced",
        inspired="https://github.com/restic/restic/issues/2571",
    ),
    Mutant(
        "a-file-that-is-there-is-not-put-again",
        _LOOSE,
        "        draft.keep(path, mode=FILE_MODE)\n",
        "        if not os.path.exists(path):\n            draft.keep(path, mode=FILE_MODE)\n",
        flagged_by="DUR-005",
        check=_FILE + "test_a_corrupt_copy_is_replaced",
    ),
    Mutant(
        "an-id-is-matched-from-the-start-only",
        "reference.wire.ids",
        "_ID.fullmatch(",
        "_ID.match(",
        flagged_by="STORE-019",
        check=_FILE + "test_bad_ids_are_invalid_and_write_nothing",
    ),
    Mutant(
        "ids-in-any-letter-case",
        "reference.wire.ids",
        '_ID = re.compile(r"sha256:[0-9a-f]{64}")',
        '_ID = re.compile(r"sha256:[0-9a-fA-F]{64}")',
        flagged_by="STORE-019",
        check=_FILE + "test_bad_ids_are_invalid_and_write_nothing",
    ),
    Mutant(
        "branches-climb-out",
        "reference.wire.names",
        r"|\.\.|//|^[./]",
        r"|//|^[/]",
        flagged_by="STORE-019",
        check=_FILE + "test_bad_branches_are_invalid_and_write_nothing",
    ),
    Mutant(
        "head-takes-any-branch-name",
        _ADAPTER,
        "        refs.write_head(repository.dot, branch=check_branch(branch))\n",
        """
        durable.write(f"{repository.dot}/HEAD", f"ref: refs/heads/{branch}\\n".encode())
""",
        flagged_by="STORE-019",
        check=_FILE + "test_bad_branches_are_invalid_and_write_nothing",
    ),
    Mutant(
        "a-tree-is-checked-after-its-blobs",
        _ADAPTER,
        _LATER,
        _LATER.partition("\n")[2],
        flagged_by="STORE-056",
        check=_FILE + "test_an_invalid_commit_leaves_nothing",
    ),
    Mutant(
        "a-record-is-checked-after-its-blobs",
        _ADAPTER,
        '    check_commit({**record, "commit_id": zero,',
        '    dict({**record, "commit_id": zero,',
        flagged_by="STORE-056",
        check=_FILE + "test_an_invalid_commit_leaves_nothing",
    ),
    Mutant(
        "a-branch-in-the-way-is-an-error-of-the-disk",
        _REFS,
        "    if not conflicts:\n        return\n",
        "    if branch:\n        return\n",
        flagged_by="STORE-020",
        check=_FILE + "test_branches_in_each_others_way_are_a_conflict",
        inspired="https://github.com/libgit2/libgit2/pull/3499",
    ),
    Mutant(
        "a-branch-too-long-is-an-error-of-the-disk",
        _REFS,
        "        if len(segment.encode()) > COMPONENT_BYTES or durable.is_temp(segment):\n",
        "        if durable.is_temp(segment):\n",
        flagged_by="STORE-020",
        check=_FILE + "test_a_name_the_file_system_cannot_hold_is_invalid",
    ),
    Mutant(
        "null-expects-nothing",
        _REFS,
        "            if found != expect:\n",
        "            if expect is not None and found != expect:\n",
        flagged_by="STORE-021",
        check=_FILE + "test_a_ref_moves_only_from_what_is_expected",
    ),
    Mutant(
        "where-a-ref-is-already-it-may-stay",
        _REFS,
        "            if found != expect:\n",
        "            if found not in (expect, commit_id):\n",
        flagged_by="STORE-021",
        check=_FILE + "test_a_ref_moves_only_from_what_is_expected",
    ),
    Mutant(
        "a-restored-file-is-older-than-the-one-before",
        _TREE,
        "        now = max(now, found.st_mtime_ns)\n",
        "",
        flagged_by="STORE-023",
        check=_FILE + "test_a_restored_file_is_fresh",
    ),
    Mutant(
        "a-restored-file-is-as-old-as-its-blob",
        _ADAPTER,
        "    worktree.restore_file(dest, [repository.blob(object_id)])\n",
        """
    worktree.restore_file(dest, [repository.blob(object_id)])
    old = os.stat(loose.path_of(repository.dot, "objects", object_id)).st_mtime
    os.utime(dest, (old, old))
""",
        flagged_by="STORE-023",
        check=_FILE + "test_a_restored_file_is_fresh",
    ),
    Mutant(
        "a-link-is-written-through",
        _TREE,
        _RESTORED,
        _RESTORED.replace("(dest", "(os.path.realpath(dest)"),
        flagged_by="STORE-024",
        check=_FILE + "test_a_link_is_replaced_and_not_followed",
        inspired="https://github.com/jelmer/dulwich/pull/2259",
    ),
    Mutant(
        "a-roundabout-way-leads-into-the-store",
        _TREE,
        "    real = os.path.join(os.path.realpath(os.path.dirname(dest)), name)\n",
        "    real = dest\n",
        flagged_by="STORE-024",
        check=_FILE + "test_some_destinations_are_invalid",
    ),
    Mutant(
        "an-empty-folder-makes-room",
        _TREE,
        "    if not os.path.islink(dest) and os.path.isdir(dest):\n",
        """
    if not os.path.islink(dest) and os.path.isdir(dest):
        os.rmdir(dest)
    if not dest:
""",
        flagged_by="STORE-024",
        check=_FILE + "test_some_destinations_are_invalid",
    ),
    Mutant(
        "a-device-is-a-file",
        _LOOSE,
        "    if not os.path.isfile(source):\n",
        "    if os.path.isdir(source):\n",
        flagged_by="STORE-049",
        check=_FILE + "test_put_blob_file_takes_regular_files",
    ),
    Mutant(
        "what-is-replaced-is-kept-beside",
        "reference.store.durable",
        "        again(os.replace, self._temp, path)\n        self._temp",
        """
        with contextlib.suppress(OSError):
            os.link(path, path + "~")
        again(os.replace, self._temp, path)
        self._temp""",
        flagged_by="DUR-012",
        check=_FILE + "test_writes_leave_nothing_else_behind",
    ),
    Mutant(
        "temp-files-are-copied-and-left",
        "reference.store.durable",
        "        again(os.replace, self._temp, path)\n        self._temp",
        '        os.link(self._temp, f"{path}.tmp")\n'
        "        again(os.replace, self._temp, path)\n        self._temp",
        flagged_by="DUR-006",
        check=_FILE + "test_writes_leave_nothing_else_behind",
    ),
    Mutant(
        "a-restored-file-may-be-read-by-all",
        _TREE,
        "            mode = found.st_mode & 0o777\n",
        "            mode = 0o644\n",
        flagged_by="STORE-024",
        check=_FILE + "test_permissions_are_those_of_what_was_there",
    ),
)
