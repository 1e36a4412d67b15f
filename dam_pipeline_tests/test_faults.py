"""A sample of each kind of trouble; `make test-faults` causes all of it (docs/reference/faults.md)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline_tests.faults.__main__ import SCENARIOS, Scenario, make_ground
from dam_pipeline_tests.faults.ground import NotPossible
from dam_pipeline_tests.faults.homes import Warm

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.weights]


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as process:
        yield process


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.name for one in SCENARIOS])
def test_a_normal_run_completes_the_library_after(
    scenario: Scenario, warm: Warm, tmp_path: Path
) -> None:
    try:
        outcome = scenario.run(make_ground(warm, tmp_path / "ground", scenario), scenario.sample)
    except NotPossible as error:
        pytest.skip(str(error))
    assert outcome.wrong == []
    assert outcome.faults >= scenario.sample
