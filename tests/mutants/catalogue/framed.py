"""Flaws in the framed form: columns, ordinals, and frames from strangers."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_READER = "reference.wire.reader"
_HEADS = "reference.wire.heads"
_FRAMES = "reference.wire.frames"

MUTANTS = (
    Mutant(
        "directories-are-dropped-from-framed-packs",
        _HEADS,
        '                record["directories"] = directories\n',
        "",
        flagged_by="MPACK-010",
        check="test_framed.py::test_a_framed_history_is_taken_in_whole"
        " test_golden.py::test_golden_framed_packs_are_accepted",
    ),
    Mutant(
        "fields-that-only-some-have-are-dropped",
        _HEADS,
        "check_field(name, item) for name, item in own.items()",
        "check_field(name, item) for name, item in ()",
        flagged_by="MPACK-010",
        check="test_framed.py::test_a_framed_history_is_taken_in_whole",
    ),
    Mutant(
        "a-later-blob-of-a-frame-starts-too-early",
        _FRAMES,
        "        start = end\n",
        "        start = size\n",
        flagged_by="MPACK-024",
        check="test_framed.py::test_frames_may_be_cut_and_compressed_anyhow",
    ),
    Mutant(
        "rest-may-have-any-length",
        _HEADS,
        "    if rest and len(rest) != count:\n",
        "    if rest and len(rest) < count:\n",
        flagged_by="MPACK-010",
        check="test_framed.py::test_columns_fit_their_counts",
    ),
    Mutant(
        "columns-are-not-measured",
        _HEADS,
        "    if len(octets) % 4 or (count is not None and len(octets) != 4 * count):\n",
        "    if len(octets) % 4:\n",
        flagged_by="MPACK-010",
        check="test_framed.py::test_columns_fit_their_counts"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "an-ordinal-out-of-range-is-a-fault",
        _HEADS,
        "    if ordinals and max(ordinals) >= len(names):\n",
        "    if ordinals and max(ordinals) < 0:\n",
        flagged_by="MPACK-011",
        check="test_framed.py::test_ordinals_stay_in_range"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "external-ordinals-come-first",
        _HEADS,
        "        known = [*blob_ids, *self.external]\n",
        "        known = [*self.external, *blob_ids]\n",
        flagged_by="MPACK-011",
        check="test_framed.py::test_ordinals_go_on_through_what_is_named",
    ),
    Mutant(
        "further-keys-of-a-framed-pack-are-skipped",
        _READER,
        '                raise _malformed(f"a framed pack has no key {shown(key)} here",'
        ' "MPACK-012")\n',
        "                yield from self._call(self._unpacker.unpack)\n",
        flagged_by="MPACK-012",
        check="test_framed.py::test_the_keys_have_an_order"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-damaged-header-is-a-fault",
        _FRAMES,
        "    if start[:4] != _MAGIC:\n",
        "    zstandard.get_frame_parameters(start)\n    if start[:4] != _MAGIC:\n",
        flagged_by="MPACK-013",
        check="test_framed.py::test_a_head_is_one_map_in_one_frame",
    ),
    Mutant(
        "paths-come-in-any-order",
        _HEADS,
        "    if any(one >= two for",
        "    if any(one is None for",
        flagged_by="MPACK-014",
        check="test_framed.py::test_paths_are_sorted_and_good"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "a-frame-may-hold-nothing",
        _HEADS,
        "    if sum(counts) != len(sizes) or 0 in counts:\n",
        "    if sum(counts) != len(sizes):\n",
        flagged_by="MPACK-015",
        check="test_framed.py::test_frames_hold_every_blob",
    ),
    Mutant(
        "any-byte-means-stored",
        _HEADS,
        "    if len(stored) != len(counts) or any(flag > 1 for flag in stored):\n",
        "    if len(stored) != len(counts):\n",
        flagged_by="MPACK-015",
        check="test_framed.py::test_raw_is_0_or_1 test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "raw-has-to-be-there",
        _HEADS,
        '    stored = top.octets("raw") or bytes(len(counts))\n',
        '    stored = top.octets("raw")\n',
        flagged_by="MPACK-010",
        check="test_golden.py::test_golden_framed_packs_are_accepted",
    ),
    Mutant(
        "the-last-of-two-upserts-counts",
        _HEADS,
        '            if len(record["delta_upsert"]) != share.stop - share.start:\n',
        '            if len(record["delta_upsert"]) > share.stop - share.start:\n',
        flagged_by="MPACK-016",
        check="test_framed.py::test_a_path_is_set_once test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "rest-overrides-the-columns",
        _HEADS,
        " or not own.keys().isdisjoint((*fields, *_IDENTITY)):\n",
        ":\n",
        flagged_by="MPACK-017",
        check="test_framed.py::test_no_field_stands_twice"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "further-frames-are-skipped",
        _READER,
        '            raise _malformed(why, "MPACK-018")\n',
        "            for _ in range(count - len(head.frame_counts)):\n"
        "                yield from self._call(self._unpacker.unpack)\n",
        flagged_by="MPACK-018",
        check="test_framed.py::test_there_are_as_many_frames_as_counted",
    ),
    Mutant(
        "a-frame-may-hold-more-than-its-sizes",
        _FRAMES,
        "    if declared != expected:\n",
        "    if declared < expected:\n",
        flagged_by="MPACK-032",
        check="test_frames.py::test_a_bad_frame_is_refused"
        " test_limits.py::test_a_bomb_is_refused_by_its_header"
        " test_hostile.py::test_attacks_are_refused",
        inspired="https://github.com/SpringMT/zstd-ruby/issues/153",
    ),
    Mutant(
        "a-frame-may-be-followed-by-anything",
        _FRAMES,
        "allow_extra_data=False",
        "allow_extra_data=True",
        flagged_by="MPACK-035",
        check="test_frames.py::test_a_bad_frame_is_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "windows-of-any-width-are-opened",
        "reference.wire.pack",
        "WINDOW_BYTES = 8 * 1024 * 1024\n",
        "WINDOW_BYTES = 128 * 1024 * 1024\n",
        flagged_by="MPACK-033",
        check="test_frames.py::test_a_wide_window_is_refused"
        " test_hostile.py::test_attacks_are_refused",
    ),
    Mutant(
        "narrow-windows-are-refused",
        _FRAMES,
        "    if header.window_size > WINDOW_BYTES:\n",
        "    if header.window_size > WINDOW_BYTES or header.window_size == 1024:\n",
        flagged_by="MPACK-033",
        check="test_golden.py::test_golden_framed_packs_are_accepted",
    ),
    Mutant(
        "a-stored-frame-may-be-longer",
        _FRAMES,
        "        if stored and length != self._declared:\n",
        "        if stored and length < self._declared:\n",
        flagged_by="MPACK-036",
        check="test_frames.py::test_a_stored_frame_has_its_length"
        " test_hostile.py::test_attacks_are_refused",
    ),
)
