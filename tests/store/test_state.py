"""State files and configuration: written, read back as the same value, cleared for good."""

import errno
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.store import state
from tests.faults import Disk
from tests.store.survival import Survival
from tests.store.test_seed_demands import contents, refused

NAMELESS = ("merge", "rebase", "config")
NAMED = ("reservation", "intent", "checkpoint")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
toml_values = st.recursive(
    st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that many examples write to in turn."""
    return str(tmp_path_factory.mktemp("shared"))


@given(value=st.dictionaries(texts, json_values, max_size=5))
@pytest.mark.requirement("STORE-012")
def test_any_json_object_comes_back(shared: str, value: dict[str, Any]) -> None:
    """With every key, number and text as it was."""
    with Disk(Path(shared)):
        state.set_state(shared, "merge", None, value)
    found = state.get_state(shared, "merge")
    assert found == value
    assert repr(found) == repr(value)


@given(value=st.dictionaries(texts, toml_values, max_size=5))
@pytest.mark.requirement("STORE-011", "STORE-060")
def test_any_toml_table_comes_back(shared: str, value: dict[str, Any]) -> None:
    """However its keys are called and its tables nest; other readers of TOML read the same."""
    with Disk(Path(shared)):
        state.set_state(shared, "config", None, value)
    assert state.get_state(shared, "config") == value
    assert tomllib.loads((Path(shared) / "config.toml").read_text(encoding="utf-8")) == value


@pytest.mark.requirement("STORE-011")
def test_a_remote_is_a_table_that_a_person_can_read(root: Path, dot: str) -> None:
    """As the specification shows it."""
    value = {"remotes": {"origin": {"url": "http://host/o/s"}}, "user": {"name": "Ü"}}
    state.set_state(dot, "config", None, value)
    assert (root / ".muse/config.toml").read_text(encoding="utf-8") == (
        '[remotes.origin]\nurl = "http://host/o/s"\n[user]\nname = "Ü"\n'
    )


@pytest.mark.parametrize(
    "value",
    [
        {"a": None},
        {"a": [None]},
        {"a": {"b": [{"c": None}]}},
        {"a": 2**63},
        {"a": float("inf")},
        {"a": float("nan")},
        {"a": "\ud800"},
        {"\ud800": 1},
    ],
)
@pytest.mark.requirement("STORE-019", "STORE-060")
def test_what_toml_cannot_hold_is_invalid(root: Path, dot: str, value: dict[str, Any]) -> None:
    """And leaves the configuration as it was."""
    state.set_state(dot, "config", None, {"kept": 1})
    before = contents(root)
    with refused("invalid", "TOML"):
        state.set_state(dot, "config", None, value)
    assert contents(root) == before


def nested(depth: int) -> dict[str, Any]:
    """An object that nests so deep."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    "value", [{"a": float("nan")}, {"a": [float("inf")]}, {"\ud800": 1}, {"a": "\udc00"}]
)
@pytest.mark.parametrize("kind", ["merge", "reservation"])
@pytest.mark.requirement("STORE-019")
def test_what_json_cannot_hold_is_invalid(
    root: Path, dot: str, kind: str, value: dict[str, Any]
) -> None:
    """No folder is made for it either."""
    before = contents(root)
    with refused("invalid", "JSON"):
        state.set_state(dot, kind, None, value)
    assert contents(root) == before


@pytest.mark.parametrize("kind", [*NAMELESS, *NAMED])
@pytest.mark.requirement("STORE-019", "STORE-059")
def test_an_object_is_what_a_state_is(root: Path, dot: str, kind: str) -> None:
    """A list, a text, a number, or something without end is none."""
    before = contents(root)
    wrong: list[object] = [[], "text", 1, True, nested(100_000)]
    for value in wrong:
        with refused("invalid", ""):
            state.set_state(dot, kind, None, value)
    assert contents(root) == before


BAD_NAMES = ["", "../x", "a/b", ".hidden", "-x", "x" * 201, "ü", "a b", "a\n", "a\0", 5, ["a"]]


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
@pytest.mark.requirement("STORE-019", "STORE-059")
def test_a_bad_name_is_invalid(root: Path, dot: str, kind: str, name: object) -> None:
    """For writing, clearing and reading."""
    before = contents(root.parent)
    for attempt in (
        lambda: state.set_state(dot, kind, name, {}),
        lambda: state.set_state(dot, kind, name, None),
        lambda: state.get_state(dot, kind, name),
    ):
        with refused("invalid", kind):
            attempt()
    assert contents(root.parent) == before


@pytest.mark.parametrize("name", ["default", "x"])
@pytest.mark.parametrize("kind", NAMELESS)
@pytest.mark.requirement("STORE-059")
def test_some_states_have_no_name(dot: str, kind: str, name: str) -> None:
    """Not even one that would mean the same."""
    with refused("invalid", "no name"):
        state.set_state(dot, kind, name, {})
    with refused("invalid", "no name"):
        state.get_state(dot, kind, name)


@pytest.mark.parametrize("kind", ["", "stash", "../merge", "MERGE_STATE.json"])
@pytest.mark.requirement("STORE-059")
def test_there_are_no_other_kinds(root: Path, dot: str, kind: str) -> None:
    """An unknown one is invalid."""
    before = contents(root)
    with refused("invalid", "kind"):
        state.set_state(dot, kind, None, {})
    with refused("invalid", "kind"):
        state.get_state(dot, kind)
    assert contents(root) == before


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.requirement("STORE-059")
def test_the_name_is_default_where_none_is_given(dot: str, kind: str) -> None:
    """And the longest, and those with every character that is allowed, work."""
    state.set_state(dot, kind, None, {"n": 1})
    assert state.get_state(dot, kind, "default") == {"n": 1}
    for name in ("x" * 200, "_a.b:c@d-E9"):
        state.set_state(dot, kind, name, {"n": 2})
        assert state.get_state(dot, kind, name) == {"n": 2}


@pytest.mark.parametrize("kind", ["merge", "rebase", *NAMED])
@pytest.mark.requirement("STORE-014", "STORE-060")
def test_a_state_is_cleared(dot: str, kind: str) -> None:
    """Whether it was set or not; then there is none."""
    state.set_state(dot, kind, None, None)
    with refused("not_found", kind):
        state.get_state(dot, kind)
    state.set_state(dot, kind, None, {"n": 1})
    state.set_state(dot, kind, None, None)
    with refused("not_found", kind):
        state.get_state(dot, kind)


@pytest.mark.requirement("STORE-060")
def test_the_configuration_is_replaced_as_a_whole_and_never_cleared(dot: str) -> None:
    """It is empty at first."""
    assert state.get_state(dot, "config") == {}
    state.set_state(dot, "config", None, {"a": 1, "b": {"c": 2}})
    state.set_state(dot, "config", None, {"b": {"d": 3}})
    assert state.get_state(dot, "config") == {"b": {"d": 3}}
    with refused("invalid", "config"):
        state.set_state(dot, "config", None, None)
    assert state.get_state(dot, "config") == {"b": {"d": 3}}


@pytest.mark.parametrize("kind", ["merge", "checkpoint"])
@pytest.mark.requirement("DUR-004", "DUR-005", "DUR-011", "DUR-018")
def test_a_clearing_that_fails_can_be_repeated(root: Path, dot: str, kind: str) -> None:
    """It is acknowledged once the state cannot come back, whoever removed the file."""
    state.set_state(dot, kind, None, {"n": 1})
    path = next(path for path in root.rglob("*.json") if path.read_bytes().startswith(b'{\n "n"'))
    survival = Survival.of(root)
    with Disk(root) as disk:
        disk.fail("fsync", errno.EIO)
        with pytest.raises(OSError):
            state.set_state(dot, kind, None, None)
        assert state.get_state(dot, kind) == {"n": 1}
        state.set_state(dot, kind, None, None)
    survival.follow(disk.calls)
    assert survival.lacks(path)
    state.set_state(dot, kind, None, {"n": 2})
    survival = Survival.of(root)
    with Disk(root) as disk:
        path.unlink()
        survival.live.pop(str(path))
        state.set_state(dot, kind, None, None)
    survival.follow(disk.calls)
    assert survival.lacks(path)


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"null", b"\xff{}", b"[" * 100_000])
@pytest.mark.parametrize(
    ("kind", "place"), [("merge", "MERGE_STATE.json"), ("config", "config.toml")]
)
@pytest.mark.requirement("STORE-013")
def test_a_damaged_state_is_an_error(
    root: Path, dot: str, kind: str, place: str, raw: bytes
) -> None:
    """And can be written anew."""
    (root / ".muse" / place).write_bytes(raw)
    if kind == "config" and raw in (b"", b"[1]"):
        assert isinstance(state.get_state(dot, kind), dict)
        return
    with refused("integrity", "integrity check"):
        state.get_state(dot, kind)
    state.set_state(dot, kind, None, {"n": 1})
    assert state.get_state(dot, kind) == {"n": 1}


@pytest.mark.requirement("STORE-041")
def test_all_states_that_are_set_are_listed(root: Path, dot: str) -> None:
    """And no stranger, temp file or folder without one."""
    state.set_state(dot, "merge", None, {"n": 0})
    for n, kind in enumerate(NAMED, 1):
        state.set_state(dot, kind, "x", {"n": n})
    (root / f".muse/coordination/intents/.muse-tmp-{'0' * 16}").write_bytes(b"{")
    (root / ".muse/coordination/intents/README.md").write_bytes(b"")
    (root / ".muse/op_log/empty").mkdir()
    assert sorted(value.get("n", -1) for value in state.all_values(dot)) == [-1, 0, 1, 2, 3]
