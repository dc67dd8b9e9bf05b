"""Flaws in how a store starts, takes lines and answers them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ADAPTER = "reference.store.adapter"
_REPOSITORY = "reference.store.repository"
_FILE = "test_store_adapter.py::"
_INIT = '        dot = f"{root}/.muse"\n        if begun'
_KEPT = '            if not os.path.exists(f"{dot}/{name}"):\n'
_HEAD = '        if not os.path.exists(f"{dot}/HEAD"):\n'

MUTANTS = (
    Mutant(
        "init-empties-the-configuration",
        _REPOSITORY,
        _KEPT,
        "            if name:\n",
        flagged_by="STORE-045",
        check=_FILE + "test_init_is_idempotent",
    ),
    Mutant(
        "init-goes-back-to-main",
        _REPOSITORY,
        _HEAD,
        "        if dot:\n",
        flagged_by="STORE-045",
        check=_FILE + "test_init_is_idempotent",
    ),
    Mutant(
        "init-refuses-what-is-there",
        _REPOSITORY,
        _KEPT,
        """
            if os.path.exists(f"{dot}/{name}"):
                raise ProtocolError("conflict", f"{dot}/{name} is there already")
            else:
""",
        flagged_by="STORE-045",
        check=_FILE + "test_init_is_idempotent",
    ),
    Mutant(
        "init-needs-the-folder",
        _REPOSITORY,
        _INIT,
        "        os.listdir(root)\n" + _INIT,
        flagged_by="STORE-045",
        check=_FILE + "test_init_makes_the_folder",
    ),
    Mutant(
        "init-trusts-that-the-store-is-whole",
        _REPOSITORY,
        _INIT,
        '        if os.path.exists(f"{root}/.muse/repo.json"):\n'
        "            return Repository(root)\n" + _INIT,
        flagged_by="STORE-045",
        check=_FILE + "test_init_finishes_a_half_made_store",
    ),
    Mutant(
        "a-batch-makes-its-own-store",
        _ADAPTER,
        "    repository = Repository(root)\n    for",
        "    repository = Repository.init(root)\n    for",
        flagged_by="STORE-046",
        check=_FILE + "test_without_a_store_batch_exits_4",
    ),
    Mutant(
        "a-missing-store-is-a-bad-request",
        _REPOSITORY,
        'raise ProtocolError("not_found", f"{root!r} holds',
        'raise ProtocolError("invalid", f"{root!r} holds',
        flagged_by="STORE-046",
        check=_FILE + "test_without_a_store_batch_exits_4",
    ),
    Mutant(
        "the-end-of-input-is-an-error",
        "reference.cli.local",
        "    adapter.batch(arguments.dir, sys.stdin.buffer, write)\n    return OK\n",
        "    adapter.batch(arguments.dir, sys.stdin.buffer, write)\n    return 1\n",
        flagged_by="STORE-046",
        check=_FILE + "test_each_line_is_answered_before_the_next",
    ),
    Mutant(
        "answers-wait-for-the-end-of-input",
        _ADAPTER,
        "    for line in lines:\n",
        "    for line in list(lines):\n",
        flagged_by="STORE-046",
        check=_FILE + "test_each_line_is_answered_before_the_next",
    ),
    Mutant(
        "a-line-without-its-end-is-dropped",
        _ADAPTER,
        "    for line in lines:\n",
        '    for line in lines:\n        if not line.endswith(b"\\n"):\n            break\n',
        flagged_by="STORE-046",
        check=_FILE + "test_a_last_line_needs_no_line_feed",
    ),
    Mutant(
        "a-deep-line-is-the-end",
        _ADAPTER,
        "        except (ValueError, RecursionError) as problem:\n",
        "        except ValueError as problem:\n",
        flagged_by="STORE-049",
        check=_FILE + "test_a_bad_line_is_invalid_and_the_next_is_read",
    ),
    Mutant(
        "a-line-that-is-no-object-is-the-end",
        _ADAPTER,
        "        if not isinstance(request, dict):\n",
        "        if request is None:\n",
        flagged_by="STORE-048",
        check=_FILE + "test_a_bad_line_is_invalid_and_the_next_is_read",
    ),
    Mutant(
        "operations-in-any-letter-case",
        _ADAPTER,
        '        op = request.get("op")\n',
        '        op = str(request.get("op")).lower()\n',
        flagged_by="STORE-049",
        check=_FILE + "test_a_bad_line_is_invalid_and_the_next_is_read",
    ),
    Mutant(
        "any-value-is-made-text",
        _ADAPTER,
        "    value: str = _field(request, name)\n",
        '    value = str(request.get(name) or "")\n',
        flagged_by="STORE-049",
        check=_FILE + "test_fields_are_there_and_have_their_types",
    ),
    Mutant(
        "absent-files-are-none",
        _ADAPTER,
        'in _field(request, "files", dict).items()',
        'in (request.get("files") or {}).items()',
        flagged_by="STORE-049",
        check=_FILE + "test_fields_are_there_and_have_their_types",
    ),
    Mutant(
        "null-is-a-value",
        _ADAPTER,
        "    if expected is not None:\n        check_id(expected)\n",
        '    if "id" in request:\n        check_id(expected)\n',
        flagged_by="STORE-049",
        check=_FILE + "test_unknown_fields_are_ignored_and_null_is_absent",
    ),
    Mutant(
        "unknown-fields-are-refused",
        _ADAPTER,
        '    content = _bytes(request.get("data"), "data")\n',
        """
    if unknown := request.keys() - {"op", "data", "id"}:
        raise ProtocolError("invalid", f"no field {unknown}")
    content = _bytes(request.get("data"), "data")
""",
        flagged_by="STORE-049",
        check=_FILE + "test_unknown_fields_are_ignored_and_null_is_absent",
    ),
    Mutant(
        "what-is-not-base64-is-left-out",
        _ADAPTER,
        'a2b_base64(text.encode("ascii"), strict_mode=True)',
        'a2b_base64(text.encode("ascii"))',
        flagged_by="STORE-050",
        check=_FILE + "test_data_is_base64",
    ),
    Mutant(
        "paths-are-from-the-store",
        _ADAPTER,
        'loose.put_blob_file(repository.dot, _path(request, "path"))',
        "loose.put_blob_file(\n"
        '        repository.dot, os.path.join(repository.root, _path(request, "path"))\n'
        "    )",
        flagged_by="STORE-050",
        check=_FILE + "test_relative_paths_are_from_the_working_directory",
    ),
    Mutant(
        "the-destination-is-looked-at-last",
        _ADAPTER,
        "    worktree.check_destination(repository.root, dest)\n"
        "    worktree.restore_file(dest, [repository.blob(object_id)])\n",
        "    content = repository.blob(object_id)\n"
        "    worktree.check_destination(repository.root, dest)\n"
        "    worktree.restore_file(dest, [content])\n",
        flagged_by="STORE-051",
        check=_FILE + "test_the_first_refusal_in_order_counts",
    ),
    Mutant(
        "an-error-of-the-disk-is-the-end",
        _ADAPTER,
        "    except OSError as problem:\n        repository.forget()\n",
        "    except BlockingIOError as problem:\n        repository.forget()\n",
        flagged_by="STORE-052",
        check=_FILE + "test_after_an_error_the_process_goes_on",
    ),
    Mutant(
        "branches-are-remembered",
        "reference.store.refs",
        '''def read(dot: str, branch: str) -> str | None:
    """The commit a branch is at, or nothing."""
    try:
        with open(_path(dot, branch), "rb") as file:
            text = file.read().decode("ascii", "replace")
''',
        """def read(dot: str, branch: str, seen: dict = {}) -> str | None:
    try:
        with open(_path(dot, branch), "rb") as file:
            text = seen.setdefault(branch, file.read().decode("ascii", "replace"))
""",
        flagged_by="STORE-053",
        check=_FILE + "test_batches_see_each_other",
    ),
    Mutant(
        "a-byte-has-one-text",
        _ADAPTER,
        '        return a2b_base64(text.encode("ascii"), strict_mode=True)\n',
        """
        found = a2b_base64(text.encode("ascii"), strict_mode=True)
        if b2a_base64(found, newline=False).decode() != text:
            raise Base64Error("bits are set that mean nothing")
        return found
""",
        flagged_by="STORE-050",
        check=_FILE + "test_unused_bits_are_not_looked_at",
    ),
)
