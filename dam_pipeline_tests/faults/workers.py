"""Workers that die: `dam ingest` ended with SIGKILL at any moment, and two at once."""

import time

from dam_pipeline_tests.faults.ground import Ground, Outcome

KILLED = -9


def killed_workers(ground: Ground, times: int) -> Outcome:
    """A worker killed at a random moment of its run; the library is complete after the next run."""
    outcome = Outcome("worker, kill -9")
    reference, seconds = ground.undisturbed("plain", ground.home())
    while outcome.faults < times:
        home = ground.home()
        command = home.ingest()
        time.sleep(ground.chance.uniform(0.1, seconds))
        if command.kill() != KILLED:
            ground.forget(home)  # it was through before
            continue
        wrong = [f"right after it: {one}" for one in home.snapshot()["untrue"]]
        outcome.add([*wrong, *home.complete(reference)])
        ground.tell(f"{outcome.what}: {outcome.faults} of {times}")
        ground.forget(home)
    return outcome


def killed_again_and_again(ground: Ground, times: int) -> Outcome:
    """One library whose every run is killed, until one gets through."""
    outcome = Outcome("worker, kill -9 in run after run of one library")
    reference, seconds = ground.undisturbed("plain", ground.home())
    home = ground.home()
    for _ in range(times):
        command = home.ingest()
        time.sleep(ground.chance.uniform(0.1, seconds / 2))
        if command.kill() == KILLED:
            outcome.faults += 1
    outcome.wrong += home.complete(reference)
    ground.forget(home)
    return outcome


def two_at_once(ground: Ground, times: int) -> Outcome:
    """Two `dam ingest` of the same folder at the same moment."""
    outcome = Outcome("two `dam ingest` over the same folder at once")
    reference, seconds = ground.undisturbed("plain", ground.home())
    for _ in range(times):
        home = ground.home()
        first = home.ingest()
        time.sleep(ground.chance.uniform(0, seconds / 3))
        second = home.ingest()
        ended = [first.wait(), second.wait()]
        broken = [f"one of them ended with {status}" for status in ended if status not in (0, 3)]
        outcome.add([*broken, *home.complete(reference)])
        ground.forget(home)
    return outcome
