"""What does a delivery cost, against the plain tool that moves the same bytes to the same place?

Ours: `publish` of a package over one connection: manifest verified, part file, bytes compared over there,
renamed, every step in the ledger. Bare: `sftp -b` of OpenSSH, and a copy to a folder. They take turns.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from results import Figure, keep, middle, tell, tell_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dam_pipeline.publishing import parse_destination
from dam_pipeline.publishing.sending import Options, publish, unfinished
from dam_pipeline.settings import Settings
from dam_pipeline_tests.delivery_servers import DeliveryServer, running_sshd, trust
from dam_pipeline_tests.packed import pack, several

REPEATS = 3


def timed(act: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def ours(package: Path, home: Path, address: str) -> None:
    """Publish a package; all of it has to arrive."""
    sent = publish(Settings(home=home), package, parse_destination(address), Options(jobs=1))
    if unfinished(sent):
        raise SystemExit(f"{unfinished(sent)[0].reason}")


def sftp(server: DeliveryServer, package: Path, home: Path, address: str) -> None:
    """The files by OpenSSH's own client, over one connection."""
    there = parse_destination(address)
    lines = [f"put {path} {there.folder}/{path.name}" for path in (package / "media").iterdir()]
    command = ["sftp", "-q", "-P", str(there.port), "-i", server.variables["DAM_SSH_IDENTITY"]]
    known = f"UserKnownHostsFile={home / 'known_hosts'}"
    host = f"{there.user}@{there.host}" if there.user else there.host
    command += ["-o", known, "-b", "-", host]
    text = "\n".join(lines)
    subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--megabytes", type=float, default=5)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory() as name, running_sshd() as server:
        os.environ |= server.variables
        work = Path(name)
        package = work / "package"
        pack(package, several(options.files, int(options.megabytes * 1e6)))
        took: dict[str, list[float]] = {
            "sftp": [],
            "bare_sftp": [],
            "folder": [],
            "bare_folder": [],
        }
        for turn in range(REPEATS):
            home = work / f"home-{turn}"
            trust(server, home)
            mine, theirs = server.own_folder()[0], server.own_folder()[0]
            took["sftp"].append(timed(partial(ours, package, home, mine)))
            took["bare_sftp"].append(timed(partial(sftp, server, package, home, theirs)))
            there = work / f"there-{turn}"
            there.mkdir()
            second = work / f"second-{turn}"
            took["folder"].append(timed(partial(ours, package, second, str(there))))
            copy = work / f"copy-{turn}"
            took["bare_folder"].append(timed(partial(shutil.copytree, package / "media", copy)))
            for folder in (there, copy):
                shutil.rmtree(folder)
    for way in ("sftp", "folder"):
        mine_s, bare_s = middle(took[way]), middle(took[f"bare_{way}"])
        tell(f"{way}: {options.files} files in {mine_s:.2f} s, bare {bare_s:.2f} s")
        keep(Figure(f"publish_{way}", mine_s, bare_s, "s", REPEATS), here)


if __name__ == "__main__":
    main()
