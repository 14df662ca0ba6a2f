"""How many inputs are generated, and a summary of how many were bad."""

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.generated import tally

# Fixtures of a function are fine: every example writes its own files anew.
_NO_CONCERN = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

settings.register_profile(
    "fast",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=_NO_CONCERN,
    report_multiple_bugs=False,
)
settings.register_profile(
    "long",
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=_NO_CONCERN,
    report_multiple_bugs=False,
)
settings.load_profile("long" if "GENERATED_EXAMPLES" in os.environ else "fast")

_FIGURES = "generated_inputs"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands the figures of a worker to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_FIGURES] = tally.figures()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: Any) -> None:
    """Adds the figures of a worker."""
    tally.add(getattr(node, "workeroutput", {}).get(_FIGURES, {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many inputs were bad, by family."""
    figures = tally.figures()
    if not figures:
        return
    terminalreporter.section("generated inputs")
    tried = sum(number for number, _ in figures.values())
    refused = sum(number for _, number in figures.values())
    rows = [*sorted(figures.items()), ("all", (tried, refused))]
    for family, (number, bad) in rows:
        terminalreporter.write_line(
            f"{family:<28}{number:>8} generated, {bad:>8} refused clearly"
        )
