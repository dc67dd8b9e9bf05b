"""The catalogue fits the sources and the specification of today; what it proves is a session."""

from __future__ import annotations

import sys
from collections import Counter
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from reference.spec import requirements
from reference.wire import ids
from tests.mutants import __main__ as command
from tests.mutants import catalogue, subject
from tests.mutants.mutant import DoesNotApply, Mutant

MUTANTS = catalogue.load()
OLD, NEW = 'PREFIX = "sha256:"', 'PREFIX = "md5:"'
SAMPLE = Mutant("another-prefix", "reference.wire.ids", OLD, NEW, flagged_by="ID-001")


def test_every_patch_fits() -> None:
    """Its text is in the module once, and what it makes of it still compiles."""
    assert [wrong for mutant in MUTANTS.values() if (wrong := catalogue.misfit(mutant))] == []


def test_a_name_that_no_mutant_has_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 before anything is prepared, also beside a name that is right."""
    name = next(iter(MUTANTS.values())).name
    assert command.main([name, "nope"]) == 2
    assert capsys.readouterr().err == "no mutant is named 'nope'\n"


def test_names_are_unique() -> None:
    """A name alone says which mutant is meant."""
    counts = Counter(mutant.name for mutant in MUTANTS.values())
    assert [name for name, count in counts.items() if count > 1] == []
    assert len(MUTANTS) == sum(counts.values())


def test_every_mutant_breaks_a_binding_requirement() -> None:
    """What it is flagged by is a MUST that a conformance profile checks."""
    binding = {item.id for item in requirements.load() if item.is_must and item.profile}
    assert [key for key, mutant in MUTANTS.items() if mutant.flagged_by not in binding] == []


def test_flaws_are_the_references() -> None:
    """The suite and its oracle are never the ones that are broken."""
    assert {mutant.module.partition(".")[0] for mutant in MUTANTS.values()} == {"reference"}


def test_some_flaws_are_known_from_elsewhere() -> None:
    """At least twenty were made by somebody, and the thread about it can be read."""
    inspired = [mutant.inspired for mutant in MUTANTS.values() if mutant.inspired]
    assert len(inspired) >= 20
    assert [url for url in inspired if not url.startswith("https://")] == []


def test_a_patch_must_fit_exactly_once() -> None:
    """A text that is gone, or stands twice, patches nothing."""
    assert SAMPLE.apply(f"import re\n{OLD}\n") == f"import re\n{NEW}\n"
    for source in ("", f"{OLD}\n{OLD}\n"):
        with pytest.raises(DoesNotApply):
            SAMPLE.apply(source)


def test_the_hook_breaks_one_module_and_leaves_no_trace() -> None:
    """The flaw is in what is compiled, not in the file, nor in a cache of it."""
    folder = str(Path(catalogue.__path__[0]).parents[2] / "reference" / "wire")
    hook = subject.Hook(SAMPLE)
    assert hook.find_spec("reference.wire.pack", [folder]) is None
    spec = hook.find_spec(SAMPLE.module, [folder])
    assert isinstance(spec, ModuleSpec)
    assert spec.loader is not None
    code = spec.loader.get_code(SAMPLE.module)  # type: ignore[attr-defined]  # of a source loader
    values: dict[str, object] = {"__name__": SAMPLE.module, "__package__": "reference.wire"}
    exec(code, values)
    assert (values["PREFIX"], ids.PREFIX) == ("md5:", "sha256:")


def test_what_is_imported_cannot_be_patched() -> None:
    """A flaw that would come too late is an error, not a survivor."""
    assert ids.__name__ in sys.modules
    with pytest.raises(ImportError):
        subject.install(SAMPLE)
