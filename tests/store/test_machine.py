"""The store against a dictionary, through its adapter, with faults and power cuts in between.

For every name the model keeps the values that may be found under it: after an acknowledgement
that is one value; a failed or interrupted operation adds what it might have done.
"""

import errno
import json
import shutil
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reference.store import adapter, fsck
from reference.store.repository import Repository
from tests import oracle
from tests.faults import Disk
from tests.store.survival import Survival

ABSENT = "nothing"
BRANCHES = ["main", "feat/x", "feat/y"]
STATES = [("merge", None), ("checkpoint", "s"), ("reservation", "r"), ("config", None)]

contents = st.sampled_from([b"", b"a", b"b" * 300, b"\0\xff"])
branches = st.sampled_from(BRANCHES)
troubles = st.none() | st.tuples(
    st.sampled_from(["cut", errno.EIO, errno.ENOSPC]), st.integers(0, 30)
)


def commit_id(head: str | None, files: dict[str, bytes], message: str) -> str:
    """The id that a commit of some files will have."""
    manifest = {path: oracle.blob_id(content) for path, content in files.items()}
    record = {
        "parent_commit_id": head,
        "snapshot_id": oracle.snapshot_id(manifest),
        "message": message,
        "committed_at": "2026-01-01T00:00:00Z",
        "author": "machine",
    }
    return oracle.commit_id(record)


class StoreMachine(RuleBasedStateMachine):
    """Operations of the adapter in any order, each with or without trouble."""

    @initialize()
    def start(self) -> None:
        """An empty store, durable."""
        self.folder = Path(tempfile.mkdtemp(prefix="store-machine-"))
        self.lives = 0
        self.root = self.folder / "0"
        self.root.mkdir()
        with Disk(self.root):
            Repository.init(str(self.root))
        self.survival = Survival.of(self.root)
        self.repository = Repository(str(self.root))
        self.may: dict[Any, set[Any]] = {("ref", branch): {ABSENT} for branch in BRANCHES}
        self.may[("head", None)] = {"main"}
        self.may |= {("state", *state): {ABSENT} for state in STATES}
        self.may[("state", "config", None)] = {"{}"}
        self.commits: dict[str, dict[str, bytes]] = {}
        self.count = 0

    def teardown(self) -> None:
        """Nothing is left behind."""
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # How an operation is done.

    def ask(self, **request: Any) -> dict[str, Any]:
        """The adapter's answer."""
        return adapter.answer(self.repository, json.dumps(request).encode())

    def perform(
        self, trouble: tuple[int | str, int] | None, writes: dict[Any, Any], **request: Any
    ) -> dict[str, Any]:
        """Asks, with trouble at one of the calls, and notes what may be found afterwards."""
        kind, at = trouble or (None, 0)
        with Disk(self.root, keeps_bytes=True) as disk:
            if isinstance(kind, int):
                disk.fail(lambda call: len(disk.calls) == at + 1, kind)
            answer = self.ask(**request)
        cut = kind == "cut" and at < len(disk.calls)
        assert answer["ok"] or answer["error"] != "io" or [c for c in disk.calls if c.failed]
        for name, value in writes.items():
            if answer["ok"] and not cut:
                self.may[name] = {value}
            elif cut or answer["error"] == "io":
                self.may.setdefault(name, {ABSENT}).add(value)
        self.survival.follow(disk.calls[:at] if cut else disk.calls)
        if kind == "cut":
            self.restart()
        return answer

    def restart(self) -> None:
        """The machine comes up again with what a power cut has left."""
        self.lives += 1
        root = self.folder / str(self.lives)
        self.survival.rebuild(self.root, root)
        self.root = root
        self.survival = Survival.of(root)
        self.repository = Repository(str(root))
        assert fsck.problems(self.repository) == []

    def found(self, name: tuple[Any, ...]) -> Any:
        """What is there under a name now."""
        match name:
            case ("blob", object_id):
                answer = self.ask(op="get_blob", id=object_id)
                return b64decode(answer["data"]) if answer["ok"] else self.none(answer)
            case ("ref", branch):
                answer = self.ask(op="get_ref", branch=branch)
                return answer["id"] if answer["ok"] else self.none(answer)
            case ("head", _):
                answer = self.ask(op="get_head")
                return answer["branch"]
            case ("state", kind, state):
                answer = self.ask(op="get_state", kind=kind, name=state)
                return json.dumps(answer["value"]) if answer["ok"] else self.none(answer)
            case ("file", path):
                try:
                    return (self.root / path).read_bytes()
                except FileNotFoundError:
                    return ABSENT
        raise AssertionError(name)

    @staticmethod
    def none(answer: dict[str, Any]) -> str:
        """The one refusal that a read may give."""
        assert answer["error"] == "not_found", answer
        return ABSENT

    # What is done.

    @rule(content=contents, trouble=troubles)
    def put_blob(self, content: bytes, trouble: tuple[int | str, int] | None) -> None:
        """New or there already."""
        name = ("blob", oracle.blob_id(content))
        data = b64encode(content).decode()
        self.perform(trouble, {name: content}, op="put_blob", data=data)

    @rule(content=contents, trouble=troubles)
    def put_blob_file(self, content: bytes, trouble: tuple[int | str, int] | None) -> None:
        """From a file outside the store."""
        source = self.folder / "source"
        source.write_bytes(content)
        name = ("blob", oracle.blob_id(content))
        self.perform(trouble, {name: content}, op="put_blob_file", path=str(source))

    @rule(
        branch=branches,
        files=st.dictionaries(st.sampled_from(["a", "b/c"]), contents, max_size=2),
        trouble=troubles,
    )
    def commit(
        self, branch: str, files: dict[str, bytes], trouble: tuple[int | str, int] | None
    ) -> None:
        """On whatever the branch is at."""
        self.count += 1
        head = self.found(("ref", branch))
        new = commit_id(None if head == ABSENT else head, files, f"{self.count}")
        writes: dict[Any, Any] = {("blob", oracle.blob_id(c)): c for c in files.values()}
        writes[("ref", branch)] = new
        self.commits[new] = files
        answer = self.perform(
            trouble,
            writes,
            op="commit",
            branch=branch,
            files={path: b64encode(content).decode() for path, content in files.items()},
            message=f"{self.count}",
            author="machine",
            committed_at="2026-01-01T00:00:00Z",
        )
        assert not answer["ok"] or answer["commit_id"] == new

    @rule(branch=branches, data=st.data(), trouble=troubles)
    def set_ref(
        self, branch: str, data: st.DataObject, trouble: tuple[int | str, int] | None
    ) -> None:
        """To a commit that is there, from what is there or from something else."""
        known = sorted(oid for oid in self.commits if self.ask(op="get_commit", id=oid)["ok"])
        if not known:
            return
        new, seen = data.draw(st.sampled_from(known)), self.found(("ref", branch))
        expected = data.draw(st.sampled_from([seen, ABSENT, new]))
        answer = self.perform(
            trouble if expected == seen else None,
            {("ref", branch): new},
            op="set_ref",
            branch=branch,
            id=new,
            expect=None if expected == ABSENT else expected,
        )
        assert expected == seen or answer["error"] == "conflict"

    @rule(branch=branches, trouble=troubles)
    def set_head(self, branch: str, trouble: tuple[int | str, int] | None) -> None:
        """To a branch, with commits or without."""
        self.perform(trouble, {("head", None): branch}, op="set_head", branch=branch)

    @rule(
        state=st.sampled_from(STATES), value=st.sampled_from([None, {}, {"n": 1}]), trouble=troubles
    )
    def set_state(
        self,
        state: tuple[str, str | None],
        value: dict[str, int] | None,
        trouble: tuple[int | str, int] | None,
    ) -> None:
        """Set, replaced, cleared."""
        kind, name = state
        if kind == "config" and value is None:
            return
        found = ABSENT if value is None else json.dumps(value)
        writes = {("state", *state): found}
        self.perform(trouble, writes, op="set_state", kind=kind, name=name, value=value)

    @rule(data=st.data(), path=st.sampled_from(["out", "in/out"]), trouble=troubles)
    def restore(
        self, data: st.DataObject, path: str, trouble: tuple[int | str, int] | None
    ) -> None:
        """A blob that is there, beside the store."""
        present = sorted(
            name[1]
            for name, values in self.may.items()
            if name[0] == "blob" and self.found(name) != ABSENT
        )
        if not present:
            return
        object_id = data.draw(st.sampled_from(present))
        content = self.found(("blob", object_id))
        self.may.setdefault(("file", path), {ABSENT})
        dest = str(self.root / path)
        self.perform(trouble, {("file", path): content}, op="restore", id=object_id, dest=dest)

    @precondition(lambda self: all(len(values) == 1 for values in self.may.values()))
    @rule(trouble=troubles)
    def gc(self, trouble: tuple[int | str, int] | None) -> None:
        """What no branch reaches may go, and nothing else."""
        reached = set()
        at = [self.found(("ref", branch)) for branch in BRANCHES]
        while at:
            commit = self.ask(op="get_commit", id=at.pop())
            if commit["ok"]:
                record = commit["record"]
                files = self.commits[record["commit_id"]]
                reached |= {oracle.blob_id(content) for content in files.values()}
                at += [record["parent_commit_id"]] if record["parent_commit_id"] else []
        writes = {name: ABSENT for name in self.may if name[0] == "blob" and name[1] not in reached}
        answer = self.perform(trouble, writes, op="gc", grace_seconds=0)
        assert answer["ok"] or answer["error"] == "io", answer

    @rule()
    def power_cut(self) -> None:
        """Between two operations."""
        self.restart()

    @invariant()
    def every_name_holds_what_it_may(self) -> None:
        """Acknowledged values, or the value of an operation that did not end well."""
        for name, values in getattr(self, "may", {}).items():
            assert self.found(name) in values, name


StoreMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck)
)
TestStoreMachine = pytest.mark.requirement(
    "DUR-001", "DUR-002", "DUR-004", "DUR-019", "STORE-044", "STORE-047"
)(StoreMachine.TestCase)
