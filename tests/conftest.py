"""What every test gets: its own configuration folder, and hypothesis profiles that reproduce."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("kit", deadline=None, print_blob=True)
settings.register_profile("nightly", parent=settings.get_profile("kit"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "kit"))

# A shell's background job starts with Ctrl-C ignored, and so would every process started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def musekit_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own: no test sees or leaves a key of the user's."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MUSEKIT_HOME", str(home))
    return home
