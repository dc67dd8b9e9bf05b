"""Every mutant there is: a module a topic, each with its `MUTANTS`."""

from __future__ import annotations

import pkgutil
from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tests.mutants.mutant import DoesNotApply, Mutant


def topics() -> list[str]:
    """The modules of the catalogue."""
    return sorted(item.name for item in pkgutil.iter_modules(__path__))


def load(chosen: Collection[str] = ()) -> dict[str, Mutant]:
    """The mutants of the chosen topics, or of all, as `topic/name`."""
    return {
        f"{topic}/{mutant.name}": mutant
        for topic in topics()
        if not chosen or topic in chosen
        for mutant in import_module(f"{__name__}.{topic}").MUTANTS
    }


def find(key: str) -> Mutant:
    """The mutant `topic/name`; only its topic is read."""
    return load({key.partition("/")[0]})[key]


def misfit(mutant: Mutant) -> str:
    """Why the patch cannot be made in today's source, if it cannot."""
    spec = find_spec(mutant.module)
    if spec is None or spec.origin is None:
        return f"there is no module {mutant.module}"
    try:
        compile(mutant.apply(Path(spec.origin).read_text("utf-8")), spec.origin, "exec")
    except (DoesNotApply, SyntaxError) as problem:
        return str(problem)
    return ""
