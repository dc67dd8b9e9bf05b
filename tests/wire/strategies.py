"""What hypothesis draws: values JSON can hold, paths, trees, histories of any shape."""

from typing import Any

from hypothesis import strategies as st

from reference.wire.names import ancestors

from .histories import History, Version, history

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
"""Text that a commit may hold."""

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

times = st.builds(
    "{:%Y-%m-%dT%H:%M:%S}{}{}".format,
    st.datetimes(),
    st.sampled_from(["", ".5", ".000001"]),
    st.sampled_from(["Z", "+00:00", "-03:30", "+14:00"]),
).filter(lambda text: len(text.split("T")[0]) == 10)

segments = st.sampled_from(["a", "b", "a-b", "a.b", "A", "ab", "é", "\uff5e", "😀", "..."])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
contents = st.sampled_from([b"", b"x", b"hello\n", b"line\n" * 40, bytes(range(256))])

fields = st.fixed_dictionaries(
    {"message": texts, "committed_at": times},
    optional={
        "author": texts,
        "branch": texts,
        "metadata": st.dictionaries(texts, json_values, max_size=3),
        "structured_delta": json_values,
        "sem_ver_bump": st.sampled_from(["none", "patch", "minor", "major"]),
        "breaking_changes": st.lists(texts, max_size=2),
        "agent_id": texts,
        "format_version": st.integers(-1, 2**32),
        "x_unknown": json_values,
        "": json_values,
    },
)


@st.composite
def trees(draw: st.DrawFn) -> tuple[dict[str, bytes], list[str]]:
    """Files and explicit directories that one tree can hold."""
    files: dict[str, bytes] = {}
    for path, content in draw(st.dictionaries(paths, contents, max_size=8)).items():
        inside = any(other.startswith(path + "/") for other in files)
        if not inside and not any(folder in files for folder in ancestors(path)):
            files[path] = content
    directories = [
        path
        for path in draw(st.lists(paths, unique=True, max_size=3))
        if path not in files and not any(folder in files for folder in ancestors(path))
    ]
    return files, directories


@st.composite
def histories(draw: st.DrawFn, most: int = 7) -> History:
    """Any graph of commits, each snapshot a root or a delta on any earlier one."""
    versions: list[Version] = []
    for number in range(draw(st.integers(0, most))):
        earlier = st.integers(0, max(number - 1, 0))
        several = st.lists(earlier, max_size=2, unique=True) if number else st.just([])
        files, directories = draw(trees())
        versions.append(
            Version(
                files,
                directories,
                tuple(draw(several)),
                draw(st.none() | earlier) if number else None,
                # the number keeps two commits of one tree apart
                {**draw(fields), "prompt_hash": str(number), "author": f"author {number}"},
                draw(st.booleans()),
            )
        )
    return history(*versions)


def same_records(found: list[Any], sent: list[Any]) -> bool:
    """Whether records are equal to the last bit: True is not 1, and 0.0 is not -0.0."""
    return repr([_ordered(item) for item in found]) == repr([_ordered(item) for item in sent])


def _ordered(record: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(record.items())
