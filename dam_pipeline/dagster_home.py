"""A home that Dagster can work in: its folders, its `dagster.yaml`, its one instance.

`python -m dam_pipeline.dagster_home COMMAND …` carries out one of Dagster's own commands there.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

import dagster as dg

from dam_pipeline.catalogue.postgres import with_driver
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.event_log.batches import BATCH_SIZE, BATCH_SIZE_VARIABLE
from dam_pipeline.settings import SETTINGS_FILE, Settings, load_settings

CHECKOUT = Path(__file__).resolve().parent.parent
TEMPLATE = CHECKOUT / "dagster.yaml"
WORKSPACE = CHECKOUT / "workspace.yaml"
FOLDERS = ("derived", "journal", "lancedb", "graph", "dagster", "scratch", "models")

FIRST_SETTINGS = """\
# Settings of this library; DAM_* variables win over them. All of them: docs/reference/settings.md
# profile = "bundled"
"""


def prepare_home(settings: Settings) -> Path:
    """Make the home's folders and files where they are missing; returns Dagster's folder.

    `dagster.yaml` follows the template until a person edits it. Sets `DAGSTER_HOME`, `DAM_HOME` and
    the like for this process and its children. Raises ConfigurationError when the home cannot be
    written.
    """
    dagster_folder = settings.home / "dagster"
    try:
        for name in FOLDERS:
            (settings.home / name).mkdir(parents=True, exist_ok=True)
        if not (settings.home / SETTINGS_FILE).exists():
            (settings.home / SETTINGS_FILE).write_text(FIRST_SETTINGS)
        _write_dagster_yaml(dagster_folder, _dagster_yaml(settings))
    except OSError as error:
        raise ConfigurationError(
            f"{settings.home} cannot be used as DAM_HOME ({error.strerror or error}). Set DAM_HOME "
            "to a folder that you may write."
        ) from error
    os.environ["DAM_HOME"] = str(settings.home)
    os.environ["DAGSTER_HOME"] = str(dagster_folder)
    # A look at a slow share may outlast the minute that Dagster gives a sensor.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "300")
    os.environ.setdefault("DAGSTER_SCHEDULE_GRPC_TIMEOUT_SECONDS", "300")
    os.environ.setdefault(BATCH_SIZE_VARIABLE, BATCH_SIZE)
    if settings.celery_broker:
        os.environ["DAM_CELERY_BROKER"] = settings.celery_broker
    if settings.postgres_url:
        os.environ["DAGSTER_POSTGRES_URL"] = with_driver(settings.postgres_url)
    return dagster_folder


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance of a home, which UI, daemon and command line share."""
    return dg.DagsterInstance.from_config(str(prepare_home(settings)))


def _dagster_yaml(settings: Settings) -> str:
    """The template with the lines of the one storage or the other, and of where runs are worked on."""
    text = _choose(TEMPLATE.read_text(), "P", "SQLite", bool(settings.postgres_url))
    return _choose(text, "C", "Here", bool(settings.celery_broker))


def _choose(text: str, mark: str, else_mark: str, is_chosen: bool) -> str:
    """A template with its lines that begin with `#mark`, or with those that end with the other."""
    dropped, kept = rf"^.*# {else_mark}\n", rf"^#{mark} "
    if not is_chosen:
        dropped, kept = rf"^#{mark} .*\n", rf" # {else_mark}$"
    text = re.sub(dropped, "", text, flags=re.MULTILINE)
    return re.sub(kept, "", text, flags=re.MULTILINE)


def _write_dagster_yaml(folder: Path, text: str) -> None:
    path, stamp = folder / "dagster.yaml", folder / ".dagster.yaml.sha256"
    ours = not path.exists() or (stamp.exists() and stamp.read_text() == _sha256(path.read_text()))
    if ours and (not path.exists() or path.read_text() != text):
        path.write_text(text)
        stamp.write_text(_sha256(text))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    prepare_home(load_settings())
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    os.execvp(sys.argv[1], sys.argv[1:])
