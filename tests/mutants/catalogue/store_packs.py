"""Flaws in how a store takes in packs."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ADAPTER = "reference.store.adapter"
_INTAKE = "reference.store.intake"
_READER = "reference.wire.reader"
_REPOSITORY = "reference.store.repository"
_FILE = "test_store_packs.py::"
_REFUSED = _FILE + "test_a_refused_pack_leaves_nothing"
_COUNTS = '    return {\n        "commits": len(pack.commits),\n'
_VERIFY = "        verify(self._repository, pack, self._limits)\n"
_PLACE = '        path = f"{folder(self._repository.dot)}/{self._reader.key[7:]}.mpack"\n'
_KEEP = "        self._draft.keep(path, mode=FILE_MODE)\n"

MUTANTS = (
    Mutant(
        "a-pack-moves-branches",
        _ADAPTER,
        _COUNTS,
        """
    for branch, head in pack.branch_heads.items():
        refs.write(repository.dot, branch, head)
"""
        + _COUNTS,
        flagged_by="STORE-061",
        check=_FILE + "test_a_pack_is_taken_in",
    ),
    Mutant(
        "a-pack-counts-what-is-new",
        _ADAPTER,
        """
    with open(path, "rb") as file:
        pack = repository.receive(iter(lambda: file.read(loose.CHUNK_BYTES), b""))
""",
        """
    known = set(repository.ids("commits"))
    with open(path, "rb") as file:
        pack = repository.receive(iter(lambda: file.read(loose.CHUNK_BYTES), b""))
    pack.commits = [record for record in pack.commits if record["commit_id"] not in known]
""",
        flagged_by="STORE-061",
        check=_FILE + "test_a_pack_is_taken_in",
    ),
    Mutant(
        "a-pack-brings-its-parents",
        _INTAKE,
        "        commits={oid for oid in needs.commits if repository.find_commit(oid)},\n",
        "        commits=set(),\n",
        flagged_by="STORE-061",
        check=_FILE + "test_a_pack_may_lean_on_what_is_there",
    ),
    Mutant(
        "packs-are-believed",
        _INTAKE,
        _VERIFY,
        "",
        flagged_by="STORE-062",
        check=_REFUSED,
    ),
    Mutant(
        "a-pack-is-kept-and-then-verified",
        _INTAKE,
        _VERIFY + _PLACE + _KEEP,
        _PLACE + _KEEP + _VERIFY,
        flagged_by="STORE-062",
        check=_REFUSED,
    ),
    Mutant(
        "signatures-are-not-looked-at",
        _INTAKE,
        "    provenance.verify_all(pack.commits)\n",
        "",
        flagged_by="STORE-062",
        check=_REFUSED,
    ),
    Mutant(
        "what-is-missing-is-a-matter-of-form",
        _ADAPTER,
        '    " missing_snapshot missing_object signature',
        '    " missing_snapshot signature',
        flagged_by="STORE-062",
        check=_REFUSED,
    ),
    Mutant(
        "no-such-pack-is-invalid",
        _ADAPTER,
        'raise ProtocolError("not_found", f"no file {path!r}")',
        'raise ProtocolError("invalid", f"no file {path!r}")',
        flagged_by="STORE-062",
        check=_FILE + "test_a_pack_that_is_not_there_is_not_found",
    ),
    Mutant(
        "what-follows-a-pack-is-ignored",
        _READER,
        "                if self._unpacker.read_bytes(1):\n",
        "                if self._unpacker is None:\n",
        flagged_by="MPACK-039",
        check=_FILE + "test_hostile_packs_are_refused",
    ),
    Mutant(
        "the-last-of-two-keys-counts",
        _READER,
        "        if len(found) != len(pairs):\n",
        "        if found is None:\n",
        flagged_by="MPACK-039",
        check=_FILE + "test_hostile_packs_are_refused",
    ),
    Mutant(
        "too-deep-a-value-is-the-end",
        "reference.wire.records",
        "    if depth >= DEPTH:\n",
        "    if depth >= 10 * DEPTH:\n",
        flagged_by="MPACK-039",
        check=_FILE + "test_hostile_packs_are_refused",
    ),
    Mutant(
        "a-missing-key-is-a-matter-of-form",
        _ADAPTER,
        "signature_without_key bad_signature",
        "bad_signature",
        flagged_by="STORE-062",
        check=_FILE + "test_each_code_has_its_word",
    ),
    Mutant(
        "which-pack-was-the-first-is-forgotten",
        _INTAKE,
        "    repository.keep_first(pack.commits)\n",
        "",
        flagged_by="STORE-018",
        check=_FILE + "test_the_first_record_of_a_commit_stays",
    ),
    Mutant(
        "gc-takes-a-record-that-a-pack-has-otherwise",
        "reference.store.removal",
        '        lying["commits"] -= {\n',
        '        lying["commits"] or {\n',
        flagged_by="STORE-042",
        check=_FILE + "test_the_first_record_of_a_commit_stays",
    ),
    Mutant(
        "a-commit-hides-the-same-one-in-a-pack",
        _REPOSITORY,
        "        if not os.path.exists(path) and self._packed(self._commits, object_id):\n",
        "        if not path:\n",
        flagged_by="STORE-018",
        check=_FILE + "test_a_packed_record_stays_when_it_is_committed",
    ),
)
