"""The checks there are: which requirement each proves, and to which profile it belongs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from reference.spec import requirements
from reference.spec.requirements import Requirement


@dataclass(frozen=True, slots=True)
class Check:
    """One check as it was found in the sources."""

    id: str
    requirements: tuple[str, ...]
    profile: str
    title: str
    exclusive: bool
    long: bool = False


@cache
def specification() -> dict[str, Requirement]:
    """The requirements by id."""
    return {item.id: item for item in requirements.load()}


def profile_of(ids: Sequence[str]) -> str:
    """The profile of the first requirement that has one."""
    known = specification()
    profiles = [known[id].profile for id in ids if id in known and known[id].profile]
    return profiles[0] or "" if profiles else ""


def matches(check: Check, names: Collection[str]) -> bool:
    """Whether a check is meant by one of these: a requirement, a check, or a check's beginning."""
    for name in names:
        if name in check.requirements or check.id == name:
            return True
        if check.id.startswith((f"{name}[", f"{name}/")):
            return True
    return False


def select(
    checks: Iterable[Check], ids: Collection[str] = (), profiles: Collection[str] = ()
) -> list[Check]:
    """The checks that are asked for; all of them when nothing is."""
    return [
        check
        for check in checks
        if (not ids or matches(check, ids)) and (not profiles or check.profile in profiles)
    ]


def unknown(ids: Iterable[str], checks: Sequence[Check]) -> list[str]:
    """The names that no check answers to."""
    return [name for name in ids if not any(matches(check, [name]) for check in checks)]
