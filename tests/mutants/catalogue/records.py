"""Flaws in commit records, their ids, names and signatures.

One file, since a catalogue is looked up by topic; it is a list and nothing else.
"""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_RECORDS = "reference.wire.records"
_IDS = "reference.wire.ids"
_NAMES = "reference.wire.names"
_MANIFESTS = "reference.wire.manifests"
_PROVENANCE = "reference.wire.provenance"
_HISTORY = "reference.server.history"
_FIELDS = "reference.server.bodies"
_SERVED = "    record: Commit = msgpack.unpackb(packed)\n"

MUTANTS = (
    # Ids.
    Mutant(
        "an-id-in-an-answer-is-shortened",
        "reference.server.fetch",
        '{"mpack_id": mpack_id, "mpack_url"',
        '{"mpack_id": mpack_id[7:], "mpack_url"',
        flagged_by="ID-001",
        check="test_identity.py::test_every_id_in_an_answer_is_written_in_full",
    ),
    Mutant(
        "an-id-may-go-on",
        _IDS,
        "_ID.fullmatch(value)",
        "_ID.match(value)",
        flagged_by="ID-002",
        check="test_identity.py::test_other_texts_are_no_ids_in_requests"
        " test_identity.py::test_other_texts_are_no_ids_in_lists"
        " test_names.py::test_an_id_in_a_path_is_an_id"
        " test_hostile.py::test_attacks_are_refused",
        inspired="https://github.com/modelcontextprotocol/python-sdk/issues/3084",
    ),
    Mutant(
        "line-ends-of-blobs-are-mended",
        "reference.server.blobs",
        "    content = await asyncio.to_thread(_read_any, service.objects, places)\n",
        "    content = await asyncio.to_thread(_read_any, service.objects, places)\n"
        '    content = content.replace(b"\\r\\n", b"\\n")\n',
        flagged_by="ID-004",
        check="test_identity.py::test_a_blob_is_hashed_with_its_type_and_length",
    ),
    Mutant(
        "directories-are-in-another-order",
        _MANIFESTS,
        "sorted(directories)",
        'sorted(directories, key=lambda folder: folder.encode("utf-16-be"))',
        flagged_by="ID-009",
        check="test_identity.py::test_a_tree_is_known_by_its_files_and_directories",
    ),
    Mutant(
        "paths-are-normalised",
        _NAMES,
        "    return value\n\n\ndef _bad_path(",
        '    return __import__("unicodedata").normalize("NFC", value)\n\n\ndef _bad_path(',
        flagged_by="ID-024",
        check="test_identity.py::test_a_tree_is_known_by_its_files_and_directories",
        inspired="https://github.com/rakshasa/rtorrent/issues/1076",
    ),
    Mutant(
        "directories-are-dropped",
        _RECORDS,
        '        snapshot["directories"] = directories\n',
        "",
        flagged_by="ID-009",
        check="test_identity.py::test_directories_belong_to_the_identity"
        " test_snapshots.py::test_an_empty_list_means_no_directories",
        inspired="https://github.com/gilbertchen/duplicacy/issues/28",
    ),
    Mutant(
        "directories-are-served-as-they-came",
        "reference.server.repos",
        '"directories": sorted(directories, key=str.encode)',
        '"directories": list(directories)',
        flagged_by="HTTP-032",
        check="test_identity.py::test_the_order_of_directories_does_not_matter",
    ),
    Mutant(
        "a-message-is-trimmed-before-it-is-hashed",
        _IDS,
        '            record["message"],\n',
        '            record["message"].strip(),\n',
        flagged_by="ID-010",
        check="test_identity.py::test_a_commit_is_known_by_six_texts",
    ),
    Mutant(
        "a-time-is-served-in-another-form",
        _HISTORY,
        _SERVED,
        _SERVED + '    at = record["committed_at"]\n'
        '    record["committed_at"] = datetime.fromisoformat(at).isoformat()\n',
        flagged_by="ID-012",
        check="test_identity.py::test_a_time_is_a_text",
        inspired="https://github.com/MetricsGrimoire/CVSAnalY/issues/63",
    ),
    Mutant(
        "a-structured-delta-is-lost",
        "reference.server.rows",
        "_pack_message(record)),",
        '_pack_message({**record, "structured_delta": None})),',
        flagged_by="ID-013",
        check="test_identity.py::test_no_other_field_is_identity",
    ),
    Mutant(
        "parents-are-kept-the-other-way-round",
        _RECORDS,
        "    return record\n",
        '    first = record["parent_commit_id"]\n'
        '    swapped = {"parent_commit_id": second, "parent2_commit_id": first}\n'
        "    return record | (swapped if second else {})\n",
        flagged_by="ID-013",
        check="test_identity.py::test_the_order_of_parents_is_not_identity",
    ),
    # Fields.
    Mutant(
        "a-missing-field-is-called-malformed",
        _RECORDS,
        '"missing_field", f"a commit lacks {name}"',
        '"malformed", f"a commit lacks {name}"',
        flagged_by="REC-001",
        check="test_records.py::test_a_commit_needs_four_fields"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "an-empty-message-is-none",
        _RECORDS,
        "        if name not in record:\n",
        "        if not record.get(name):\n",
        flagged_by="REC-001",
        check="test_records.py::test_a_message_may_be_empty",
    ),
    Mutant(
        "a-default-is-left-out",
        _RECORDS,
        '    "signer_key_id": "",\n',
        "",
        flagged_by="REC-002",
        check="test_records.py::test_defaults_are_filled_in",
    ),
    Mutant(
        "any-text-is-a-bump",
        _RECORDS,
        "    if value not in SEM_VER_BUMPS:\n",
        "    if not isinstance(value, str):\n",
        flagged_by="REC-003",
        check="test_records.py::test_a_field_of_another_type_is_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "true-is-a-number",
        _RECORDS,
        "    if not isinstance(value, int) or isinstance(value, bool):\n",
        "    if not isinstance(value, int):\n",
        flagged_by="REC-003",
        check="test_records.py::test_a_field_of_another_type_is_refused",
    ),
    Mutant(
        "a-text-may-hold-nul",
        _RECORDS,
        '    if "\\0" in value:\n',
        '    if value == "\\0":\n',
        flagged_by="REC-004",
        check="test_records.py::test_no_text_holds_a_nul_or_half_a_character"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "not-a-number-is-a-number",
        _RECORDS,
        "    if isinstance(value, float) and isfinite(value):\n",
        "    if isinstance(value, float):\n",
        flagged_by="REC-005",
        check="test_records.py::test_values_are_those_of_json"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "values-nest-half-as-deep",
        _RECORDS,
        "DEPTH = 64\n",
        "DEPTH = 32\n",
        flagged_by="REC-006",
        check="test_records.py::test_values_may_be_64_deep"
        " test_golden.py::test_golden_plain_packs_are_accepted"
        " test_golden.py::test_golden_framed_packs_are_accepted",
    ),
    Mutant(
        "values-nest-without-end",
        _RECORDS,
        "DEPTH = 64\n",
        "DEPTH = 100_000\n",
        flagged_by="REC-006",
        check="test_records.py::test_values_may_be_64_deep"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "unknown-fields-are-lost",
        _RECORDS,
        "    return record\n",
        "    return {n: v for n, v in record.items() if n in _CHECKS}\n",
        flagged_by="REC-007",
        check="test_records.py::test_unknown_fields_are_kept",
        inspired="https://github.com/ruma/ruma/issues/760",
    ),
    Mutant(
        "a-message-is-served-trimmed",
        _HISTORY,
        _SERVED,
        _SERVED + '    record["message"] = record["message"].strip()\n',
        flagged_by="REC-008",
        check="test_records.py::test_a_commit_is_served_as_it_was_stored",
    ),
    Mutant(
        "a-date-need-not-exist",
        _RECORDS,
        "    if found is None or not _is_date(found[1]):\n",
        "    if found is None:\n",
        flagged_by="REC-009",
        check="test_records.py::test_other_times_are_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-time-may-go-on",
        _RECORDS,
        "re.fullmatch(_TIME, value)",
        "re.match(_TIME, value)",
        flagged_by="REC-009",
        check="test_records.py::test_other_times_are_refused",
    ),
    Mutant(
        "a-commit-may-have-one-parent-twice",
        _RECORDS,
        'record["parent_commit_id"] in (None, second):\n',
        'record["parent_commit_id"] is None:\n',
        flagged_by="REC-010",
        check="test_records.py::test_a_second_parent_needs_another_first"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-records-branch-must-be-a-name",
        _RECORDS,
        '    "message": _text,\n',
        '    "message": _text,\n    "branch": lambda name, value: value and check_path(value),\n',
        flagged_by="REC-012",
        check="test_records.py::test_the_branch_of_a_record_decides_nothing",
    ),
    Mutant(
        "other-format-versions-are-refused",
        _RECORDS,
        "    if not isinstance(value, int) or isinstance(value, bool):\n",
        "    if value is True or value != FORMAT_VERSION:\n",
        flagged_by="REC-013",
        check="test_records.py::test_an_unknown_format_version_is_kept",
    ),
    Mutant(
        "an-authors-address-is-hidden",
        _HISTORY,
        _SERVED,
        _SERVED + '    record["author"] = record["author"].partition(" <")[0]\n',
        flagged_by="REC-015",
        check="test_records.py::test_the_author_is_free_text",
    ),
    # Signatures.
    Mutant(
        "the-signed-texts-are-in-another-order",
        _PROVENANCE,
        '"author", "agent_id", "model_id",',
        '"author", "model_id", "agent_id",',
        flagged_by="REC-016",
        check="test_signatures.py::test_a_signed_commit_is_accepted",
    ),
    Mutant(
        "a-signature-is-only-looked-at",
        _PROVENANCE,
        '        verify_bytes(key, commit["signature"], digest(commit))\n',
        '        assert from_base64url(commit["signature"], 64) and _key_bytes(key)\n',
        flagged_by="REC-021",
        check="test_signatures.py::test_what_is_signed_cannot_be_changed"
        " test_signatures.py::test_a_bad_signature_is_refused"
        " test_signatures.py::test_a_bad_key_is_refused"
        " test_push.py::test_everything_is_verified_before_the_answer"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "base64-has-many-texts",
        _PROVENANCE,
        "    if len(data) != size or to_base64url(data) != text:\n",
        "    if len(data) != size:\n",
        flagged_by="REC-018",
        check="test_signatures.py::test_a_bad_signature_is_refused"
        " test_signatures.py::test_a_bad_key_is_refused"
        " test_hostile.py::test_attacks_are_refused",
        inspired="https://github.com/benmcollins/libjwt/issues/284",
    ),
    Mutant(
        "a-key-needs-no-prefix",
        _PROVENANCE,
        "        if not key.startswith(KEY_PREFIX):\n",
        "        if not key:\n",
        flagged_by="REC-017",
        check="test_signatures.py::test_a_bad_key_is_refused",
    ),
    Mutant(
        "a-key-asks-for-a-signature",
        "reference.core.verification",
        "        computed = commit_id(commit)\n",
        '        if commit["signer_public_key"] and not commit["signature"]:\n'
        '            raise ProtocolError("bad_signature", "a key and no signature")\n'
        "        computed = commit_id(commit)\n",
        flagged_by="REC-019",
        check="test_signatures.py::test_an_unsigned_commit_is_accepted",
    ),
    Mutant(
        "a-signature-without-key-is-none",
        _PROVENANCE,
        "    if not key:\n",
        "    if not key:\n        return\n    if not key:\n",
        flagged_by="REC-020",
        check="test_signatures.py::test_a_signature_needs_a_key"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "one-signature-stands-for-all",
        _PROVENANCE,
        "        _verify_each(signed)\n",
        "        _verify_each(signed[:1])\n",
        flagged_by="REC-022",
        check="test_signatures.py::test_one_bad_commit_refuses_the_whole_pack",
    ),
    # Names.
    Mutant(
        "the-stores-folder-in-capitals-is-a-path",
        _NAMES,
        '    if segments[0].lower() == b".muse":\n',
        '    if segments[0] == b".muse":\n',
        flagged_by="ID-020",
        check="test_names.py::test_bad_paths_are_refused test_hostile.py::test_attacks_are_refused",
        inspired="https://github.com/isomorphic-git/isomorphic-git/pull/2372",
    ),
    Mutant(
        "a-backslash-is-a-letter",
        _NAMES,
        '    if b"\\0" in octets or b"\\\\" in octets:\n',
        '    if b"\\0" in octets:\n',
        flagged_by="ID-019",
        check="test_names.py::test_bad_paths_are_refused test_hostile.py::test_attacks_are_refused",
        inspired="https://github.com/isomorphic-git/isomorphic-git/pull/2370",
    ),
    Mutant(
        "a-path-may-lead-upwards",
        _NAMES,
        '_NO_SEGMENT = frozenset((b"", b".", b".."))\n',
        '_NO_SEGMENT = frozenset((b"", b"."))\n',
        flagged_by="ID-018",
        check="test_names.py::test_bad_paths_are_refused"
        " test_framed.py::test_paths_are_sorted_and_good"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "whatever-begins-like-the-stores-folder-is-refused",
        _NAMES,
        '    if segments[0].lower() == b".muse":\n',
        '    if octets.lower().startswith(b".muse"):\n',
        flagged_by="ID-020",
        check="test_names.py::test_good_paths_are_accepted",
    ),
    Mutant(
        "a-directory-may-be-named-like-a-file",
        _MANIFESTS,
        "            if folder in self.files:\n                raise ProtocolError(",
        "            if folder in ():\n                raise ProtocolError(",
        flagged_by="ID-023",
        check="test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-directory-with-files-is-a-conflict",
        _MANIFESTS,
        "                if folder in self.files:\n                    raise _conflict(",
        "                if folder in self.files or folder in self._folders:\n"
        "                    raise _conflict(",
        flagged_by="ID-023",
        check="test_names.py::test_a_directory_may_hold_files",
    ),
    Mutant(
        "a-branch-may-lead-upwards",
        _NAMES,
        r"[\\\0\r\n\t]|\.\.|//",
        r"[\\\0\r\n\t]|//",
        flagged_by="ID-026",
        check="test_names.py::test_bad_branch_names_are_refused",
    ),
    Mutant(
        "a-number-names-a-branch",
        _NAMES,
        'raise ProtocolError("malformed", f"a branch must be text, got {shown(value)}", "ID-025")',
        "return check_branch(str(value))",
        flagged_by="ID-025",
        check="test_names.py::test_a_branch_name_is_text",
    ),
    Mutant(
        "branch-names-are-measured-in-bytes",
        _NAMES,
        "    if not 1 <= len(value) <= BRANCH_CHARACTERS:\n",
        '    if not 1 <= len(value.encode("utf-8", "replace")) <= BRANCH_CHARACTERS:\n',
        flagged_by="ID-025",
        check="test_names.py::test_good_branch_names_are_accepted",
    ),
    # Whatever is sent, nothing is a fault.
    Mutant(
        "a-list-is-taken-for-granted",
        _FIELDS,
        "        if not isinstance(value, list):\n",
        "        if value is None:\n",
        flagged_by="HTTP-014",
        check="test_malformed.py::test_no_field_is_a_fault",
    ),
    Mutant(
        "a-text-is-taken-for-granted",
        _FIELDS,
        '        if not isinstance(value, str) or "\\0" in value or not _is_unicode(value):\n',
        '        if "\\0" in value or not _is_unicode(value):\n',
        flagged_by="HTTP-014",
        check="test_malformed.py::test_no_field_of_a_registration_is_a_fault"
        " test_malformed.py::test_no_field_of_a_new_repository_is_a_fault",
    ),
    Mutant(
        "a-body-is-taken-for-json",
        _FIELDS,
        "        except (ValueError, RecursionError) as problem:\n",
        "        except RecursionError as problem:\n",
        flagged_by="HTTP-014",
        check="test_malformed.py::test_no_noise_is_a_fault",
    ),
)
