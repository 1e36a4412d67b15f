"""Runs the scenarios, tells what came of each as it ends, and writes the table that the docs show."""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from dam_pipeline_tests.faults import daemons, disks, network, poison, servers, workers
from dam_pipeline_tests.faults.ground import Ground, NotPossible, Outcome
from dam_pipeline_tests.faults.homes import Warm
from dam_pipeline_tests.faults.originals import make_originals

SEED = 6
HEAD = "| trouble | times | wrong afterwards | when, commit, moments | |"
RULE = "| --- | --- | --- | --- | --- |"
ABOUT = """# Faults

<!-- Written by `make test-faults`. -->
What was broken on purpose, how often, and what was wrong with the library after one normal run of
`dam ingest` (or, for the daemon and sensors, after they had gone on): any state, result, row of the index,
edge of the graph, partition or original that differs from undisturbed work counts. A seed chooses the
moments, all over the run. CI causes a little of each.

Every process dies by SIGKILL, as from a power cut of that process alone; the machine's own power was never
cut. Servers come back on their data after 0.2 to 4 s. The library is small (photographs, clips of two
shots, a sound; speech and faces off), so that trouble falls on every step and not only into models.
"""


@dataclass(frozen=True)
class Scenario:
    """A kind of trouble, and how often it is caused: in all of it, and in the sample."""

    run: Callable[[Ground, int], Outcome]
    times: int
    sample: int

    @property
    def name(self) -> str:
        """What `--only` calls it."""
        return self.run.__name__.replace("_", "-")


SCENARIOS = (
    Scenario(workers.killed_workers, 50, 2),
    Scenario(workers.killed_again_and_again, 10, 3),
    Scenario(workers.two_at_once, 5, 1),
    Scenario(poison.poison_file, 3, 1),
    Scenario(servers.killed_postgres, 5, 1),
    Scenario(servers.killed_weaviate, 5, 1),
    Scenario(servers.killed_s3, 5, 1),
    Scenario(network.cut_networks, 6, 1),
    Scenario(network.slow_networks, 3, 1),
    Scenario(network.no_network, 3, 1),
    Scenario(disks.full_home, 5, 1),
    Scenario(disks.full_scratch, 5, 1),
    Scenario(daemons.killed_daemon, 5, 1),
    Scenario(daemons.killed_webserver, 5, 1),
    Scenario(daemons.two_sensors, 3, 1),
    Scenario(daemons.source_goes_and_returns, 3, 1),
)


def main(words: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 when anything was wrong."""
    asked = _asked(words)
    is_well = True
    with tempfile.TemporaryDirectory(prefix="dam-faults.") as folder, Warm() as warm:
        for scenario in SCENARIOS:
            if not asked.only or scenario.name in asked.only:
                times = asked.times or (scenario.sample if asked.sample else scenario.times)
                ground = make_ground(warm, Path(folder) / scenario.name, scenario, asked.seed)
                outcome = _run(scenario, ground, times)
                is_well = is_well and not outcome.wrong
                if asked.write:
                    write_row(Path(asked.write), outcome, asked.seed)
    return int(not is_well)


def make_ground(warm: Warm, folder: Path, scenario: Scenario, seed: int = SEED) -> Ground:
    """The place of a scenario, with originals in it."""
    return Ground(
        warm=warm,
        folder=folder,
        originals=make_originals(folder / "originals"),
        # Of its own, so that a scenario meets the same moments alone and among the others.
        chance=random.Random(f"{seed} {scenario.name}"),
        tell=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
    )


def _asked(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="a little of each")
    parser.add_argument("--seed", type=int, default=SEED, help="chooses the moments")
    parser.add_argument("--only", action="append", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--times", type=int, help="how often, instead of what is usual")
    parser.add_argument("--write", metavar="FILE", help="write the table as a page")
    return parser.parse_args(words)


def _run(scenario: Scenario, ground: Ground, times: int) -> Outcome:
    began = time.monotonic()
    try:
        outcome = scenario.run(ground, times)
    except NotPossible as error:
        outcome = Outcome(scenario.name, note=f"not possible here: {error}")
    outcome.seconds = time.monotonic() - began
    print(
        f"{scenario.name}: {_words(outcome)}, {outcome.seconds:.0f} s", file=sys.stderr, flush=True
    )
    for wrong in outcome.wrong:
        print(f"  WRONG {wrong}", file=sys.stderr, flush=True)
    return outcome


def _words(outcome: Outcome) -> str:
    return outcome.note or f"{outcome.faults} times, {len(outcome.wrong)} wrong"


def write_row(page: Path, outcome: Outcome, seed: int) -> None:
    """Put an outcome's row into the page, in the place of an older one; the other rows stay."""
    wrong = outcome.note or "; ".join(outcome.wrong[:2])
    moment = datetime.now(UTC).date().isoformat()
    row = (
        f"| {outcome.what} | {outcome.faults} | {len(outcome.wrong)} | {moment}, {_commit()}, "
        f"seed {seed} | {wrong} |"
    )
    with FileLock(page.with_suffix(".lock")):
        before = page.read_text().splitlines() if page.exists() else []
        rows = [one for one in before if one.startswith("| ") and not one.startswith(HEAD[:10])]
        kept = [one for one in rows if not one.startswith(("| ---", f"| {outcome.what} |"))]
        page.write_text("\n".join([ABOUT, HEAD, RULE, *sorted([*kept, row]), ""]))


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
