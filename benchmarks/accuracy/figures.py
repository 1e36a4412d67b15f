"""Accuracy figures: told to a person and kept in benchmarks/accuracy/results.json, a key a script."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")


def f1(right: int, missed: int, wrong: int) -> float:
    """Harmonic mean of precision and recall; 1 where there was nothing to find and nothing found."""
    return 2 * right / (2 * right + missed + wrong) if right + missed + wrong else 1.0


def tell(text: str) -> None:
    """Say a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def keep(name: str, figures: Mapping[str, Any], truth: str) -> None:
    """Tell the figures of one script and merge them into results.json; `truth` says what on."""
    tell(f"{name} ({truth})")
    for figure, value in figures.items():
        shown = f"{value:.4f}" if isinstance(value, float) else value
        tell(f"  {figure:<40} {shown}")
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    document[name] = {"truth": truth, "figures": dict(figures)}
    RESULTS.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
