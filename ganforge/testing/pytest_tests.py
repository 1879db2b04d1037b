"""Ready parametrised tests: one for each check and backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from ganforge.testing.framework import CHECKS
from ganforge.testing.runner import Report, Subject, backends_to_check, run_checks


def architecture_tests(*specs: str, plugins: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function that holds architectures (``NAME`` or ``NAME:options``) to the contract.

    Args:
        specs: what ``--arch`` would be given; choose small options, so that the tests are quick.
        plugins: Python files that bring them, as for ``--plugin``; none for an installed package.
    """
    return _tests("architecture", specs, plugins)


def strategy_tests(*specs: str, plugins: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function that holds balancing strategies to the contract; arguments as ``architecture_tests``."""
    return _tests("strategy", specs, plugins)


def loss_tests(*specs: str, plugins: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function that holds losses to the contract; arguments as ``architecture_tests``."""
    return _tests("loss", specs, plugins)


def dataset_tests(*specs: str, plugins: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function that holds data sources to the contract; arguments as ``architecture_tests``."""
    return _tests("dataset", specs, plugins)


def optimizer_tests(*specs: str, plugins: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function that holds optimizers to the contract; arguments as ``architecture_tests``."""
    return _tests("optimizer", specs, plugins)


def logger_tests(*specs: str, plugins: Sequence[str] = ()) -> Callable[..., None]:
    """Return a test function that holds loggers to the contract; arguments as ``architecture_tests``."""
    return _tests("logger", specs, plugins)


def _tests(kind: str, specs: Sequence[str], plugins: Sequence[str]) -> Callable[..., None]:
    import pytest

    backends = backends_to_check()
    subjects = tuple(Subject(kind, spec) for spec in specs)
    cases = [
        pytest.param(spec, one.name, backend, id=f"{spec}-{one.name}-{backend}")
        for backend in backends
        for spec in specs
        for one in CHECKS[kind]
        if one.everywhere or backend == backends[0]
    ]
    if kind in ("architecture", "loss"):
        cases += [pytest.param(spec, "agrees", b, id=f"{spec}-agrees-{b}") for b in backends[1:] for spec in specs]

    @pytest.mark.parametrize(("spec", "check", "backend"), cases)
    def test(spec: str, check: str, backend: str) -> None:
        found = [
            result
            for result in _reports(subjects, tuple(backends), tuple(plugins))[backend].results
            if (result.subject, result.check) == (spec, check)
        ]
        if not found or found[0].state == "skipped":
            pytest.skip(found[0].message if found else "it does not build")
        if found[0].state == "failed":
            pytest.fail(f"{spec} on {backend}: {found[0].message}", pytrace=False)

    return test


@cache
def _reports(subjects: tuple[Subject, ...], backends: tuple[str, ...], plugins: tuple[str, ...]) -> dict[str, Report]:
    return dict(run_checks(subjects, backends, plugins))
