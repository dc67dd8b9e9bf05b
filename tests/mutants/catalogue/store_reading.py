"""Flaws in reading: what is believed, what is hidden, what is changed by it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_KEPT = "reference.store.kept"
_LOOSE = "reference.store.loose"
_REPOSITORY = "reference.store.repository"
_FILE = "test_store_reading.py::"
_BLOB = _FILE + "test_a_damaged_blob_is_an_integrity_error"
_RECORD = _FILE + "test_a_damaged_record_is_an_integrity_error"
_BATCH = """\
    repository = Repository(root)
    for line in lines:
        write(json.dumps(answer(repository, line)).encode() + b"\\n")
"""

MUTANTS = (
    Mutant(
        "blobs-are-not-rehashed",
        _LOOSE,
        "    if sha256(raw).hexdigest() != object_id[7:]:\n",
        "    if not raw:\n",
        flagged_by="STORE-013",
        check=_BLOB,
    ),
    Mutant(
        "an-empty-object-is-not-there",
        _LOOSE,
        "return None if raw is None else _content",
        "return None if not raw else _content",
        flagged_by="STORE-013",
        check=_BLOB,
        inspired="https://github.com/jelmer/dulwich/issues/582",
    ),
    Mutant(
        "damage-is-not-called-by-its-name",
        _LOOSE,
        'f"integrity check: {object_id} does not hash',
        'f"{object_id} does not hash',
        flagged_by="STORE-013",
        check=_BLOB,
    ),
    Mutant(
        "a-restored-file-is-checked-afterwards",
        "reference.store.adapter",
        "    worktree.restore_file(dest, [repository.blob(object_id)])\n",
        """
    with open(loose.path_of(repository.dot, "objects", object_id), "rb") as file:
        worktree.restore_file(dest, [file.read().partition(b"\\0")[2]])
    repository.blob(object_id)
""",
        flagged_by="STORE-013",
        check=_BLOB,
    ),
    Mutant(
        "a-record-that-does-not-parse-is-a-bad-request",
        _KEPT,
        'ProtocolError("integrity", f"integrity check: {object_id} is not JSON")',
        'ProtocolError("invalid", f"integrity check: {object_id} is not JSON")',
        flagged_by="STORE-013",
        check=_RECORD,
    ),
    Mutant(
        "an-empty-record-is-not-there",
        _REPOSITORY,
        'self._loose("snapshots", object_id, self._snapshots)\n            if raw is not None:\n',
        'self._loose("snapshots", object_id, self._snapshots)\n            if raw:\n',
        flagged_by="STORE-013",
        check=_RECORD,
    ),
    Mutant(
        "a-record-is-believed-whose-it-is",
        _KEPT,
        '    if record["commit_id"] != check_id(object_id) or commit_id(record) != object_id:\n',
        '    if commit_id(record) != record["commit_id"]:\n',
        flagged_by="STORE-013",
        check=_FILE + "test_a_record_of_something_else_is_an_integrity_error",
        inspired="https://github.com/libgit2/libgit2/pull/4197",
    ),
    Mutant(
        "what-is-not-there-is-an-error-of-the-disk",
        _LOOSE,
        "    except FileNotFoundError:\n        return None\n",
        "    except IsADirectoryError:\n        return None\n",
        flagged_by="STORE-014",
        check=_FILE + "test_what_is_not_there_is_not_found",
    ),
    Mutant(
        "no-branch-is-an-empty-answer",
        "reference.store.adapter",
        "    if found is None:\n        raise",
        "    if found == '':\n        raise",
        flagged_by="STORE-014",
        check=_FILE + "test_what_is_not_there_is_not_found",
    ),
    Mutant(
        "a-corrupt-copy-hides-a-sound-one",
        _REPOSITORY,
        "            damage = problem\n        for again",
        "            raise\n        for again",
        flagged_by="STORE-015",
        check=_FILE + "test_a_corrupt_copy_hides_no_sound_one",
    ),
    Mutant(
        "a-damaged-pack-hides-all-there-is",
        _REPOSITORY,
        "            return False  # fsck",
        "            raise  # fsck",
        flagged_by="STORE-015",
        check=_FILE + "test_a_damaged_pack_hides_nothing_else",
        inspired="https://github.com/go-git/go-git/issues/2392",
    ),
    Mutant(
        "reading-a-state-makes-it",
        "reference.store.state",
        '        raise ProtocolError("not_found", f"no {kind} state here") from None\n',
        "        durable.write(path, b'{}')\n"
        '        raise ProtocolError("not_found", f"no {kind} state here") from None\n',
        flagged_by="STORE-016",
        check=_FILE + "test_reading_changes_nothing",
    ),
    Mutant(
        "fsck-writes-a-report",
        "reference.store.fsck",
        "    return sorted(set(_problems(repository)))\n",
        """
    found = sorted(set(_problems(repository)))
    with open(f"{repository.dot}/fsck.log", "w") as file:
        file.write("\\n".join(found))
    return found
""",
        flagged_by="STORE-016",
        check=_FILE + "test_reading_changes_nothing",
    ),
    Mutant(
        "a-store-must-be-closed",
        "reference.store.adapter",
        _BATCH,
        """
    marker = f"{root}/.muse/open"
    if os.path.exists(marker):
        raise ProtocolError("integrity", "the store was not closed: repair it")
    open(marker, "w").close()
"""
        + _BATCH
        + "    os.unlink(marker)\n",
        flagged_by="STORE-025",
        check=_FILE + "test_a_store_left_by_a_killed_process_is_usable",
    ),
    Mutant(
        "a-damaged-ref-is-another-value",
        "reference.store.refs",
        "            found = read(dot, branch)\n            if",
        """
            try:
                found = read(dot, branch)
            except ProtocolError:
                found = "damaged"
            if""",
        flagged_by="STORE-013",
        check=_FILE + "test_a_damaged_ref_is_told_where_it_is_read",
    ),
)
