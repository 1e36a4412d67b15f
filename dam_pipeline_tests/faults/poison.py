"""A file that kills every worker which reads it."""

from dam_pipeline_tests.faults.ground import Ground, Outcome

DEATHS = 3  # after which a file is parked


def poison_file(ground: Ground, times: int) -> Outcome:
    """Workers die of one file until it is parked; the others are done, and it can be tried again."""
    outcome = Outcome("a poison file, parked after 3 deaths and named")
    reference, _ = ground.undisturbed("plain", ground.home())
    for number in range(times):
        bad = f"photo-{number % 6}.jpg"
        home = ground.home({"DAM_MAX_ATTEMPTS": str(DEATHS)})
        home.variables = {**home.variables, "TEST_POISON": bad}
        ended = [home.ingest().wait() for _ in range(DEATHS)]
        wrong = [] if ended == [-9] * DEATHS else [f"workers ended with {ended}"]
        if (status := home.ingest().wait()) != 3:
            wrong.append(f"the run after that ended with {status}, not 3")
        wrong += _not_parked(home.snapshot()["states"], bad.removesuffix(".jpg"))
        home.variables = {"DAM_MAX_ATTEMPTS": str(DEATHS)}
        if (status := home.start("retry", "--failed").wait()) != 0:
            wrong.append(f"its retry ended with {status}")
        outcome.add([*wrong, *home.complete(reference)])
        ground.forget(home)
    return outcome


def _not_parked(states: dict[str, dict[str, list[str]]], name: str) -> list[str]:
    """What is wrong with the states, if not that file alone is failed and the others are through."""
    failed = [key for key, of in states.items() if "failed" in [state for state, _ in of.values()]]
    through = [key for key, of in states.items() if of.get("search_index", [""])[0] == "done"]
    wrong = [] if len(failed) == 1 and failed[0].startswith(name) else [f"failed: {failed}"]
    if len(through) < len(states) - 2:  # the poisoned one, and the sound, which has nothing to find
        wrong.append(f"only {through} are through")
    return wrong
