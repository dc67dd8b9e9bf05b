"""The suite as a pytest plugin: collects checks, and turns how each ended into a result."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Collection, Generator
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import pytest

from . import interruption, transcript
from .catalogue import Check, profile_of
from .client import NoAnswer
from .lifecycle import wait_for
from .outcomes import CouldNotRun, NotApplicable, Unmet
from .redaction import redact
from .verdicts import Result, Verdict
from .world import World

T = TypeVar("T")
CHECKS = Path(__file__).parent / "checks"
WORLD = pytest.StashKey[World]()
_WIDTH = 600
_GRACE = 2.0
_PATIENCE = 3
"""Checks in a row without an answer, before the subject is asked whether it is still there."""


def check_of(item: pytest.Item) -> Check:
    """What the marks, the name and the docstring of a test say."""
    marks = [id for mark in item.iter_markers("requirement") for id in mark.args]
    ids = tuple(dict.fromkeys(marks))
    module = Path(str(item.path)).stem.removeprefix("test_")
    text = getattr(getattr(item, "function", None), "__doc__", None) or item.name
    return Check(
        id=f"{module}/{item.name.removeprefix('test_')}",
        requirements=ids,
        profile=profile_of(ids),
        title=" ".join(text.split("\n\n")[0].split()),
        exclusive=item.get_closest_marker("exclusive") is not None,
        long=item.get_closest_marker("long") is not None,
    )


class Suite:
    """Runs the chosen checks in a world, and hands each result on as it comes.

    `run` collects them and runs all; `hold` collects them for whoever calls `examine`, in this
    process or in one that is forked from it.
    """

    def __init__(
        self,
        world: World | None = None,
        chosen: Collection[str] | None = None,
        emit: Callable[[Result], None] | None = None,
        folder: Path = CHECKS,
        shuffle: int | None = None,
    ) -> None:
        self.world = world
        self.chosen = chosen
        self.emit = emit or (lambda result: None)
        self.folder = folder
        self.shuffle = shuffle
        self.checks: list[Check] = []
        self.problems: list[str] = []
        self._items: dict[str, pytest.Item] = {}
        self._body: Callable[[], None] | None = None
        self._problem: BaseException | None = None
        self._compared: tuple[str, object, object] | None = None
        self._result: Result | None = None
        self._silent = 0
        self._grace = _GRACE

    @property
    def lists(self) -> bool:
        """Whether the checks are only looked for: without a world none can be run."""
        return self.world is None

    def run(self) -> int:
        """Collects and, where there is a world, runs; pytest's exit code."""
        return self._main(*(["--collect-only"] if self.lists else []))

    def hold(self, body: Callable[[], T]) -> T:
        """Collects, calls `body` while the checks can be examined, and gives its answer."""
        answers: list[T] = []
        self._body = lambda: answers.append(body())
        code = self._main("--capture=no")  # standard output is the caller's
        if self._problem is not None:
            raise self._problem
        if not answers:
            raise RuntimeError(f"the checks could not be collected: pytest's exit code is {code}")
        return answers[0]

    def enter(self, world: World, emit: Callable[[Result], None]) -> None:
        """From now on checks are examined in this world, and their results go there."""
        self.world, self.emit = world, emit
        self._silent, self._grace = 0, _GRACE

    def examine(self, *ids: str) -> None:
        """Runs some of the checks that `hold` collected, one after the other."""
        assert self.world is not None
        items = [self._items[id] for id in ids]
        for item, following in zip_longest(items, items[1:]):
            item.config.stash[WORLD] = self.world
            try:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            except KeyboardInterrupt:
                item.config.hook.pytest_runtest_teardown(item=item, nextitem=None)
                raise

    def _main(self, *arguments: str) -> int:
        common = [
            *("-c", str(CHECKS.parent / "pytest.ini"), "--rootdir", str(CHECKS.parent)),
            *("-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler", "--tb=no"),
            "--disable-plugin-autoload",  # nobody's plugins decide verdicts, or cost half a second
            str(self.folder),
        ]
        return int(pytest.main([*common, *arguments], plugins=[self]))

    def pytest_runtestloop(self) -> bool | None:
        """Under `hold`, what its caller does stands in place of pytest's own order."""
        if self._body is None:
            return None
        self._body()
        return True

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        """What the caller of `hold` raises is told by nobody else."""
        self._problem = excinfo.value
        return self._body is not None

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """The same for Ctrl-C."""
        self._problem = excinfo.value

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """What the absent terminal plugin would have defined, and other plugins read."""
        group = parser.getgroup("suite")
        group.addoption("--verbose", type=int, default=0, dest="verbose")
        group.addoption("--tb", default="no", dest="tbstyle")

    def pytest_configure(self, config: pytest.Config) -> None:
        """Lets the fixtures find the world."""
        if self.world is not None:
            config.stash[WORLD] = self.world

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A check that cannot be imported is the suite's error, not silence."""
        if report.failed:
            self.problems.append(f"{report.nodeid}: {report.longrepr}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keeps the chosen checks, those that take long first; or in an order of the dice."""
        items.sort(key=lambda item: item.get_closest_marker("long") is None)
        if self.shuffle is not None:
            random.Random(self.shuffle).shuffle(items)
        self.checks = [check_of(item) for item in items]
        self._items = {check.id: item for check, item in zip(self.checks, items, strict=True)}
        if self.chosen is not None:
            pairs = zip(items, self.checks, strict=True)
            items[:] = [item for item, check in pairs if check.id in self.chosen]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Each check has names and contents of its own, and a subject that still answers."""
        assert self.world is not None
        check = check_of(item)
        transcript.forget()
        self._compared = None
        self._result = Result(check.id, check.requirements, check.profile, Verdict.PASS)
        self._result.title = check.title
        self.world.begin(check.id)
        interruption.heed()
        if self._silent >= _PATIENCE and not check.profile.startswith("store-"):
            self._require_a_subject(self.world)

    def _require_a_subject(self, world: World) -> None:
        """Ends the check at once, rather than after a timeout, once nobody is there to ask."""
        if problem := wait_for(world.subject.url + world.subject.ready, self._grace):
            self._grace = 0.0
            raise CouldNotRun(f"the subject no longer answers: {problem}")
        self._grace = _GRACE
        if self._silent >= 2 * _PATIENCE:
            raise CouldNotRun(f"the subject left {self._silent} checks in a row without an answer")

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        """Remembers what a failing assertion compared."""
        self._compared = (op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turns the end of a check's phase into its verdict; the first that is no pass stays."""
        report = yield
        result = self._result
        if result is not None:
            result.ms += round(call.duration * 1000)
            if call.excinfo is not None and result.verdict is Verdict.PASS:
                self._judge(result, str(call.when), call.excinfo.value)
        return report

    def pytest_runtest_logfinish(self) -> None:
        """Hands the result on."""
        if self._result is not None:
            if self._result.verdict is Verdict.PASS:
                self._silent = 0
            self.emit(self._result)
            self._result = None

    def _judge(self, result: Result, phase: str, problem: BaseException) -> None:
        if isinstance(problem, NoAnswer) or isinstance(problem.__cause__, NoAnswer):
            self._silent += 1
        elif phase == "call":
            self._silent = 0
        result.evidence = transcript.exchanges()
        if self.world is not None and any("→ 500" in line for line in result.evidence):
            result.evidence += [f"log: {line}" for line in self.world.last_log_lines()]
        if isinstance(problem, CouldNotRun):
            result.verdict, result.detail = Verdict.COULD_NOT_RUN, _short(str(problem))
        elif isinstance(problem, NotApplicable):
            result.verdict, result.detail = Verdict.NOT_APPLICABLE, _short(str(problem))
        elif isinstance(problem, AssertionError) and phase == "call":
            result.verdict = Verdict.FAIL
            result.expected, result.actual, result.detail = self._told(problem, result.title)
        elif result.profile.startswith("store-") and isinstance(problem, OSError | ValueError):
            result.verdict = Verdict.FAIL  # a store's files are read as the specification has them
            result.expected, result.actual = "files as in store.md", _short(str(problem))
        elif isinstance(problem, AssertionError) and phase == "setup":
            result.verdict = Verdict.COULD_NOT_RUN
            result.detail = _short(f"the check could not be prepared: {problem}")
        else:
            result.verdict = Verdict.SUITE_ERROR
            last = traceback.extract_tb(problem.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            result.detail = _short(f"{type(problem).__name__} at {where}: {problem}")

    def _told(self, problem: AssertionError, title: str) -> tuple[str, str, str]:
        if isinstance(problem, Unmet):
            return _short(problem.expected), _short(problem.actual), _short(problem.detail)
        if self._compared is not None:
            op, left, right = self._compared
            sign = "" if op == "==" else f"{op} "
            return _short(f"{sign}{right!r}"), _short(repr(left)), title
        lines = str(problem).strip().splitlines()
        return title, _short(lines[0] if lines else "otherwise"), ""


def collect() -> tuple[list[Check], list[str]]:
    """Every check there is, and what kept some from being found."""
    suite = Suite()
    suite.run()
    return suite.checks, suite.problems


def _short(value: Any) -> str:
    text = redact(str(value))
    return text if len(text) <= _WIDTH else text[:_WIDTH] + "…"
