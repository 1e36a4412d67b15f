"""Runs the benchmarks one after another and prints all figures as a table: `make bench` and the like.

One that fails does not stop the others; the exit status then is 1.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from results import RESULTS, tell

HERE = Path(__file__).parent
SHORT = ("ingest", "speech", "loop", "obvious", "bookkeeping", "memory")
LONG = ("faces", "search", "graph", "unchanged", "packaging")
SERVERS = ("weaviate", "s3", "storage", "tick", "scattered", "workers", "publishing")


def run(question: str) -> bool:
    """Run one script; returns whether it ended well."""
    tell(f"── {question}")
    began_s = time.monotonic()
    ended = subprocess.run([sys.executable, HERE / f"bench_{question}.py"], check=False)
    tell(f"   took {(time.monotonic() - began_s) / 60:.1f} min\n")
    return ended.returncode == 0


def tell_table() -> None:
    """All figures of record, those of earlier runs included."""
    document = json.loads(RESULTS.read_text())
    tell(f"{'measure':<24}{'ours':>12}{'baseline':>12}{'ratio':>8}  unit")
    for measure, figure in document.items():
        if isinstance(figure, dict) and "ratio" in figure:
            numbers = f"{figure['value']:>12.3f}{figure['baseline']:>12.3f}{figure['ratio']:>8.3f}"
            tell(f"{measure:<24}{numbers}  {figure['unit']}, median of {figure['repeats']}")


def main() -> int:
    """Run what was asked for, then tell the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="those that take longer, instead")
    parser.add_argument("--servers", action="store_true", help="those of servers, instead")
    asked = parser.parse_args()
    questions = LONG if asked.long else SERVERS if asked.servers else SHORT
    failed = [one for one in questions if not run(one)]
    tell_table()
    for question in failed:
        tell(f"bench_{question}.py failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
