"""Flaws in uploads: their URLs, digests and sizes, and what becomes of them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_PUSH = "reference.server.push"

MUTANTS = (
    Mutant(
        "presign-does-not-say-the-key",
        _PUSH,
        "    return call.answer({url_name: url, key_name: key})\n",
        "    return call.answer({url_name: url})\n",
        flagged_by="PUSH-001",
        check="test_upload.py::test_presign_put_unpack",
    ),
    Mutant(
        "a-pack-of-the-limit-is-too-large",
        _PUSH,
        '    if fields.size("size_bytes") > limit:\n',
        '    if fields.size("size_bytes") >= limit:\n',
        flagged_by="PUSH-002",
        check="test_upload.py::test_a_size_beyond_the_limit_is_refused_at_once",
    ),
    Mutant(
        "presign-looks-at-no-size",
        _PUSH,
        '    if fields.size("size_bytes") > limit:\n',
        '    if fields.size("size_bytes") < 0:\n',
        flagged_by="PUSH-002",
        check="test_upload.py::test_a_size_beyond_the_limit_is_refused_at_once",
    ),
    Mutant(
        "an-upload-must-have-the-size-that-was-named",
        _PUSH,
        "    url = call.service.objects.upload_url(call.base_url, where, UPLOAD_SECONDS)\n",
        "    store = call.service.objects\n"
        "    url = store.upload_url(call.base_url, where, UPLOAD_SECONDS)\n"
        "    size, opened = fields.size('size_bytes'), store.incoming\n"
        "    def incoming(name):\n"
        "        if name == where and size not in (0, len(store.read(name))):\n"
        "            raise ProtocolError('digest_mismatch', 'another size than was named')\n"
        "        return opened(name)\n"
        "    store.incoming = incoming\n",
        flagged_by="PUSH-002",
        check="test_upload.py::test_a_wrong_size_is_only_a_hint",
    ),
    Mutant(
        "a-missing-upload-is-not-named",
        _PUSH,
        '"PUSH-004", mpack_key=key',
        '"PUSH-004"',
        flagged_by="PUSH-004",
        check="test_upload.py::test_a_key_that_was_not_uploaded_is_named",
    ),
    Mutant(
        "a-key-is-good-in-every-repository",
        _PUSH,
        "WHERE repo_id = $1 AND mpack_id = $2",
        "WHERE $1::bytea IS NOT NULL AND mpack_id = $2",
        flagged_by="PUSH-004",
        check="test_upload.py::test_another_repositorys_pack_is_not_found_by_its_key",
    ),
    Mutant(
        "an-upload-is-not-hashed",
        "reference.server.intake",
        "        if expected is not None and reader.key != expected:\n",
        "        if expected is not None and not reader.key:\n",
        flagged_by="PUSH-005",
        check="test_upload.py::test_bytes_that_are_not_the_key_are_refused"
        " test_identity.py::test_each_id_is_recomputed",
        inspired="https://github.com/nexspence/nexspence/issues/194",
    ),
    Mutant(
        "a-late-upload-replaces-the-pack",
        "reference.server.links",
        "    draft.name(path)\n",
        "    draft.name(path)\n"
        "    accepted = objects.path('packs/' + os.path.basename(key))\n"
        "    if os.path.exists(accepted):\n"
        "        os.replace(path, accepted)\n",
        flagged_by="PUSH-006",
        check="test_upload.py::test_what_is_put_after_acceptance_changes_nothing",
    ),
    Mutant(
        "too-long-a-body-is-a-fault",
        "reference.server.bodies",
        "    digest, size = sha256(), 0\n",
        "    digest, size = sha256(), 0\n"
        '    assert int(request.headers.get("content-length", 0)) <= limit\n',
        flagged_by="PUSH-022",
        check="test_upload.py::test_a_body_beyond_the_limit_is_refused",
    ),
    Mutant(
        "too-long-a-body-is-left-without-an-answer",
        "reference.server.bodies",
        "            if size > limit:\n",
        "            if size > limit:\n"
        "                await __import__('asyncio').sleep(11)\n"
        "            if size > limit:\n",
        flagged_by="PUSH-022",
        check="test_upload.py::test_a_body_beyond_the_limit_is_refused",
    ),
    Mutant(
        "a-body-of-the-limit-is-too-large",
        "reference.server.bodies",
        "            if size > limit:\n",
        "            if size >= limit:\n",
        flagged_by="MPACK-042",
        check="test_upload.py::test_a_pack_beyond_the_limit_is_too_large",
    ),
)
