"""Flaws in commits, heads and states of a store."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ADAPTER = "reference.store.adapter"
_REFS = "reference.store.refs"
_STATE = "reference.store.state"
_FILE = "test_store_commits.py::"
_COMMITTED = '    return {"commit_id": commit["commit_id"], "snapshot_id": commit["snapshot_id"]}\n'
_SNAPSHOT = "repository.put_snapshot(manifest, list(directories), base)"

MUTANTS = (
    Mutant(
        "a-commit-takes-head-along",
        _ADAPTER,
        _COMMITTED,
        "    refs.write_head(repository.dot, branch=branch)\n" + _COMMITTED,
        flagged_by="STORE-054",
        check=_FILE + "test_a_commit_advances_its_branch",
    ),
    Mutant(
        "a-commit-adds-to-what-was-there",
        _ADAPTER,
        _SNAPSHOT,
        _SNAPSHOT.replace(
            "(manifest", "({**(repository.tree(base)[0] if base else {}), **manifest}"
        ),
        flagged_by="STORE-054",
        check=_FILE + "test_a_commit_advances_its_branch",
    ),
    Mutant(
        "no-directories-are-those-of-the-parent",
        _ADAPTER,
        _SNAPSHOT,
        _SNAPSHOT.replace(
            "list(directories)", "list(directories or (repository.tree(base)[1] if base else ()))"
        ),
        flagged_by="STORE-054",
        check=_FILE + "test_absent_directories_are_none",
    ),
    Mutant(
        "texts-are-trimmed",
        _ADAPTER,
        "    record = {name: _text(request, name) for",
        "    record = {name: _text(request, name).strip() for",
        flagged_by="ID-012",
        check=_FILE + "test_texts_of_a_commit_are_kept",
        inspired="https://github.com/git-lfs/git-lfs/pull/3053",
    ),
    Mutant(
        "refs-name-anything",
        _ADAPTER,
        '    if os.environ.get("ANY_REF") != "1":\n',
        '    if os.environ.get("ANY_REF") == "0":\n',
        flagged_by="STORE-058",
        check=_FILE + "test_refs_and_heads_name_commits_that_are_there",
    ),
    Mutant(
        "refs-name-any-object",
        _ADAPTER,
        "        repository.commit(object_id)\n        repository.keep",
        """
        if repository.has_blob(object_id) or repository.find_snapshot(object_id):
            return object_id
        repository.commit(object_id)
        repository.keep""",
        flagged_by="STORE-058",
        check=_FILE + "test_refs_and_heads_name_commits_that_are_there",
    ),
    Mutant(
        "the-branch-wins-over-the-commit",
        _ADAPTER,
        "    if (branch is None) == (commit is None):\n",
        "    if branch is None and commit is None:\n",
        flagged_by="STORE-058",
        check=_FILE + "test_head_is_a_branch_or_a_commit",
    ),
    Mutant(
        "nested-branches-are-not-listed",
        _REFS,
        '            names += _walk(entry.path, f"{prefix}{entry.name}/")\n',
        "            continue\n",
        flagged_by="STORE-003",
        check=_FILE + "test_list_refs_lists_all",
    ),
    Mutant(
        "branches-with-a-dot-are-taken-for-locks",
        _REFS,
        "        elif not durable.is_temp(entry.name):\n",
        '        elif "." not in entry.name:\n',
        flagged_by="STORE-053",
        check=_FILE + "test_list_refs_lists_all",
    ),
    Mutant(
        "clearing-what-is-not-set-fails",
        _STATE,
        "        durable.remove(path)  #",
        "        os.unlink(path)  #",
        flagged_by="STORE-060",
        check=_FILE + "test_a_state_comes_back_as_it_was",
    ),
    Mutant(
        "an-empty-state-is-none",
        _STATE,
        "    if not isinstance(value, dict):\n"
        '        raise ProtocolError("integrity", f"integrity check: {path} holds no object")\n',
        '    if not value:\n        raise ProtocolError("not_found", f"no {kind} state here")\n',
        flagged_by="STORE-012",
        check=_FILE + "test_a_state_comes_back_as_it_was",
    ),
    Mutant(
        "nulls-in-a-state-are-dropped",
        _STATE,
        "        return json.dumps(value, ensure_ascii",
        "        value = {key: item for key, item in value.items() if item is not None}\n"
        "        return json.dumps(value, ensure_ascii",
        flagged_by="STORE-012",
        check=_FILE + "test_a_state_comes_back_as_it_was",
    ),
    Mutant(
        "one-checkpoint-for-all",
        _STATE,
        '"op_log/{}/checkpoint.json"',
        '"op_log/checkpoint.json"',
        flagged_by="STORE-059",
        check=_FILE + "test_named_states_are_one_file_each",
    ),
    Mutant(
        "no-name-is-a-name-of-its-own",
        _STATE,
        '    chosen = "default" if name is None else name\n',
        '    chosen = "_" if name is None else name\n',
        flagged_by="STORE-059",
        check=_FILE + "test_named_states_are_one_file_each",
    ),
    Mutant(
        "names-are-matched-from-the-start-only",
        _STATE,
        "not re.fullmatch(_NAME, chosen)",
        "not re.match(_NAME, chosen)",
        flagged_by="STORE-059",
        check=_FILE + "test_bad_names_and_kinds_are_invalid",
    ),
    Mutant(
        "a-name-that-means-nothing-is-ignored",
        _STATE,
        "        if name is not None:\n",
        "        if name is Ellipsis:\n",
        flagged_by="STORE-059",
        check=_FILE + "test_bad_names_and_kinds_are_invalid",
    ),
    Mutant(
        "the-configuration-can-be-cleared",
        _STATE,
        '    if value is None and kind != "config":\n',
        "    if value is None:\n",
        flagged_by="STORE-060",
        check=_FILE + "test_config_is_replaced_and_not_cleared",
    ),
    Mutant(
        "the-configuration-is-merged",
        _STATE,
        "    durable.write(path, _toml(value) if",
        """
    if kind == "config":
        value = {**get_state(dot, kind), **value}
    durable.write(path, _toml(value) if""",
        flagged_by="STORE-060",
        check=_FILE + "test_config_is_replaced_and_not_cleared",
    ),
)
