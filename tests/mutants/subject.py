"""`python -m tests.mutants.subject NAME …` is `musekit …` with one mutant's flaw in it.

The name `unpatched` stands for the reference as it is. Nothing on disk is changed: an import hook
patches the source of one module before it is compiled, and what it compiles is not cached.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from . import catalogue
from .mutant import Mutant

UNPATCHED = "unpatched"
_PR_SET_PDEATHSIG = 1


class _Patched(SourceFileLoader):
    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """The patched module; neither read from a cache nor written to one."""
        source = self._mutant.apply(self.get_source(fullname) or "")
        return compile(source, self.path, "exec", dont_inherit=True)


class Hook:
    """A finder that gives the one module another loader."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of the patched module; of every other one, nothing."""
        if name != self._mutant.module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Patched(self._mutant, spec.origin)
        return spec


def install(mutant: Mutant) -> None:
    """Makes the next import of the module a broken one."""
    if mutant.module in sys.modules:
        raise ImportError(f"{mutant.module} is already imported, so it cannot be patched")
    sys.meta_path.insert(0, Hook(mutant))


def _end_with_parent() -> None:
    """A subject whose judge was killed must not stay behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            sys.exit("the parent has ended")


def main(arguments: Sequence[str]) -> int:
    """Runs the command line of the reference, flawed."""
    name, *rest = arguments
    if rest[:1] == ["serve"]:
        _end_with_parent()
    if name != UNPATCHED:
        install(catalogue.find(name))
    from reference.cli import run

    return run(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
