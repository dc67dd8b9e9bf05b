"""Each demand on a durable write, tried on every writer there is."""

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from reference.store.repository import Repository
from tests.faults import FATAL, TOLERATED, Call, Disk
from tests.store.survival import Survival
from tests.store.writers import Writer, each_replacing_writer, each_writer

TEMP = re.compile(r"\.muse-tmp-[0-9a-f]{16}")
IMMUTABLE = ("objects", "commits", "snapshots")


def temps(root: Path) -> list[str]:
    """Every temp file below `root`."""
    return [name for _, _, names in os.walk(root) for name in names if ".muse-tmp-" in name]


def clean_run(root: Path, writer: Writer, content: bytes = b"one") -> list[Call]:
    """The calls of one write that goes well."""
    with Disk(root) as disk:
        writer.write(root, content)
    assert writer.read(root, content) == writer.value(content)
    return disk.calls


@each_writer
@pytest.mark.requirement("FS1", "DUR-006")
def test_the_temp_name_is_unique_and_exclusive(root: Path, writer: Writer) -> None:
    """Two writes use two names, both made exclusively, near the file and in no other use."""
    calls = clean_run(root, writer) + clean_run(root, writer, b"two")
    made = [call.path for call in calls if call.name == "open" and call.creates]
    assert len(made) == len(set(made)) >= 2
    for path in made:
        assert TEMP.fullmatch(os.path.basename(path))
    folders = {os.path.dirname(writer.path(root, content)) for content in (b"one", b"two")}
    above = {os.path.dirname(folder) for folder in folders}
    assert {os.path.dirname(path) for path in made} <= folders | above
