"""What implementers read is what there is: every key, option, verdict, profile and word."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import adapter, bundle, subject
from conformance.verdicts import Verdict
from reference.spec.requirements import PROFILES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "conformance" / "IMPLEMENTERS.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("```toml\n[subject]")[2].partition("```")[0]


def test_the_example_on_the_page_has_every_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And can be used as it stands."""
    monkeypatch.setenv("ALICE_KEY", "A" * 43)
    path = tmp_path / "subject.toml"
    path.write_text(f"[subject]{EXAMPLE}")
    assert subject.load(path).second_url
    keys = {key for section in subject.KEYS.values() for key in section}
    told = set(re.findall(r"^\[?([a-z_.]+)\b", f"subject]\n{EXAMPLE}", re.MULTILINE))
    told = {name.rpartition(".")[2] for name in told}
    assert keys - told - set(subject.LIMITS) == set()


def test_every_option_is_on_the_page() -> None:
    """`--help` and the page name the same options."""
    command = [sys.executable, "-m", "conformance", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    options = set(re.findall(r"(?<![\w-])(--[a-z-]+)", done.stdout)) - {"--help"}
    listed = {option for option in options if f"`{option}" in PAGE}
    assert options - listed == {"--verbose", "--quiet"}


@pytest.mark.parametrize("words", [PROFILES, tuple(Verdict), adapter.ERRORS, bundle.COMMANDS])
def test_every_word_is_on_the_page(words: tuple[str, ...]) -> None:
    """Profiles, verdicts, the store's errors, and what is done with a report."""
    assert [word for word in words if word not in PAGE] == []


def test_every_link_leads_to_a_file() -> None:
    """Relative links, from the page's own folder."""
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "conformance" / link).exists()] == []
