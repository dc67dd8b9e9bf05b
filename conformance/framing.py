"""The capability `framed`: claimed by the subject file, announced by the server, and true."""

from __future__ import annotations

from .histories import commit
from .outcomes import CouldNotRun, NotApplicable, Unmet, prepared
from .repository import Repository
from .world import World


def require_announced(world: World, repo: Repository) -> None:
    """Ends the check on a server that does not say that it takes framed packs."""
    with prepared("GET refs"):
        is_announced = repo.takes_framed()
    if not is_announced and "framed" in world.subject.capabilities:
        raise CouldNotRun("the subject file claims framed, GET refs does not")
    if not is_announced:
        raise NotApplicable("the subject does not announce the capability framed")


def require_framed(world: World, repo: Repository) -> None:
    """Ends it also where a sound one is refused: that is one failure, of HTTP-026, and no more."""
    require_announced(world, repo)
    if world.framed is None:
        with prepared("POST /api/repos"):
            own = world.repository()
        try:
            own.push(commit("sound"), framed=True)
            world.framed = ""
        except Unmet as unmet:
            world.framed = unmet.actual
    if world.framed:
        raise CouldNotRun(f"a sound framed pack is refused, see HTTP-026: {world.framed}")
