"""Figures: how one is kept in results.json and told to a person. Ratio: ours ÷ baseline."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import machine

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """One answer: medians of `repeats` interleaved measurements of ours and of the baseline."""

    measure: str
    value: float
    baseline: float
    unit: str
    repeats: int

    @property
    def ratio(self) -> float:
        """Ours ÷ baseline: smaller is better."""
        return self.value / self.baseline


def middle(values: list[float]) -> float:
    """The median."""
    return float(median(values))


def tell(text: str) -> None:
    """Say a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell_machine() -> dict[str, str | int | float]:
    """Describe the machine, before the work makes it busy."""
    here = machine.describe()
    tell("machine   " + ", ".join(f"{name} {value}" for name, value in here.items()))
    return here


def keep(figure: Figure, here: dict[str, str | int | float]) -> None:
    """Tell a figure and merge it into results.json."""
    tell(
        f"{figure.measure}: {figure.value:.2f} {figure.unit}, bare {figure.baseline:.2f} "
        f"{figure.unit}, ratio {figure.ratio:.2f} (medians of {figure.repeats})\n"
    )
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    document[figure.measure] = {
        "value": round(figure.value, 4),
        "baseline": round(figure.baseline, 4),
        "ratio": round(figure.ratio, 4),
        "unit": figure.unit,
        "repeats": figure.repeats,
    }
    document |= {"machine": here, "commit": machine.commit()}
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
