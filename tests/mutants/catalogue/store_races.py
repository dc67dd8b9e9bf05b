"""Flaws that several processes on one store, or one that is killed, bring to light."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ADAPTER = "reference.store.adapter"
_DURABLE = "reference.store.durable"
_REFS = "reference.store.refs"
_FILE = "test_store_races.py::"
_MOVES = (
    "    with durable.lock(_folder(dot), exclusive=True):\n        check_holdable(dot, branch)\n"
)
_LOCKED = """    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)
"""

MUTANTS = (
    Mutant(
        "a-ref-loses-its-race",
        _REFS,
        _MOVES,
        _MOVES.replace("True", "False"),
        flagged_by="STORE-021",
        check=_FILE + "test_compare_and_swap_is_a_chain "
        "test_store_races.py::test_one_of_several_creates_a_ref",
    ),
    Mutant(
        "a-ref-is-compared-before-it-is-locked",
        _REFS,
        "    check_holdable(dot, branch, conflicts=False)\n    check_folder(dot)\n"
        + _MOVES
        + """\
        if not isinstance(expect, Unset):
            found = read(dot, branch)
            if found != expect:
                raise ProtocolError("conflict", f"branch {branch!r} is at {found}, not {expect}")
""",
        """\
    check_holdable(dot, branch, conflicts=False)
    if not isinstance(expect, Unset):
        found = read(dot, branch)
        if found != expect:
            raise ProtocolError("conflict", f"branch {branch!r} is at {found}, not {expect}")
"""
        + _MOVES,
        flagged_by="DUR-022",
        check=_FILE + "test_compare_and_swap_is_a_chain",
    ),
    Mutant(
        "writers-share-a-temp-file",
        _DURABLE,
        """\
            self._temp = _temp_path(self.folder)
            try:
                self._fd = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode)
""",
        """\
            self._temp = f"{self.folder}/{TEMP_PREFIX}{'0' * 16}"
            try:
                self._fd = os.open(self._temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, self._mode)
""",
        flagged_by="DUR-006",
        check=_FILE + "test_writers_do_not_disturb_each_other",
        inspired="https://github.com/habitat-sh/habitat/pull/2001",
    ),
    Mutant(
        "a-state-is-written-in-place",
        "reference.store.state",
        '    durable.write(path, _toml(value) if kind == "config" else _json(value))\n',
        """
    durable.make_folder(os.path.dirname(path))
    with open(path, "wb", buffering=0) as file:
        for byte in _toml(value) if kind == "config" else _json(value):
            file.write(bytes([byte]))
""",
        flagged_by="STORE-022",
        check=_FILE + "test_writers_do_not_disturb_each_other",
    ),
    Mutant(
        "the-last-commit-wins",
        _ADAPTER,
        'refs.write(repository.dot, branch, commit["commit_id"], expect=parent)',
        'refs.write(repository.dot, branch, commit["commit_id"])',
        flagged_by="STORE-055",
        check=_FILE + "test_commits_at_once_form_a_chain",
    ),
    Mutant(
        "a-lock-outlives-its-holder",
        _DURABLE,
        _LOCKED,
        """\
    path = f"{folder}/{TEMP_PREFIX}{'f' * 16}"
    while exclusive:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            break
        except FileExistsError:
            continue
    try:
        yield
    finally:
        if exclusive:
            os.unlink(path)
""",
        flagged_by="DUR-021",
        check=_FILE + "test_a_killed_process_leaves_no_lock",
        inspired="https://github.com/borgbackup/borg/issues/955",
    ),
    Mutant(
        "what-was-acknowledged-is-written-later",
        "reference.store.loose",
        "    durable.write_many(items.items(), mode=FILE_MODE)\n    return ids\n",
        """
    waiting = put_blobs.__dict__.setdefault("waiting", {})
    waiting.update(items)
    if len(waiting) > 4:
        durable.write_many(waiting.items(), mode=FILE_MODE)
        waiting.clear()
    return ids
""",
        flagged_by="DUR-001",
        check=_FILE + "test_a_kill_in_a_stream_of_writes_loses_nothing",
    ),
    Mutant(
        "a-process-ends-over-a-longer-blob",
        _ADAPTER,
        '    content = _bytes(request.get("data"), "data")\n',
        '    content = _bytes(request.get("data"), "data")\n'
        "    if len(content) > 99:\n"
        "        os._exit(0)\n",
        flagged_by="STORE-047",
        check=_FILE + "test_a_kill_in_a_stream_of_writes_loses_nothing",
    ),
    Mutant(
        "a-branch-moves-before-its-commit-is-there",
        _ADAPTER,
        "        repository.put_commit(commit)\n        try:\n",
        """\
        import time

        try:
            refs.write(repository.dot, branch, commit["commit_id"], expect=parent)
            time.sleep(0.1)
            repository.put_commit(commit)
            return commit
""",
        flagged_by="DUR-027",
        check=_FILE + "test_a_kill_in_a_stream_of_writes_loses_nothing",
    ),
)
