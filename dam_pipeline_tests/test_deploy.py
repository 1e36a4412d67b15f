"""What is shipped for a team, `compose.yaml` and the values for Kubernetes: it names what exists."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dam_pipeline.dagster_home import open_instance
from dam_pipeline.settings import Settings
from dam_pipeline.stages.queues import queue_tags

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {f"DAM_{name.upper()}" for name in Settings.model_fields}
ONCE = {"bucket"}
OURS = {"code", "webserver", "daemon", "preview", "worker", "gpu-worker", *ONCE}
SERVERS = {"postgres", "weaviate", "s3", "redis", "nats"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of compose.yaml."""
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """The values for Dagster's chart."""
    return yaml.safe_load((ROOT / "docs/deploy/kubernetes/values.yaml").read_text())


def built(script: str) -> str:
    """The version that tests run on."""
    found = re.search(r"^VERSION=v(\S+)$", (ROOT / ".ci" / script).read_text(), re.M)
    assert found
    return found[1]


def within(document: Any) -> Iterator[tuple[str, Any]]:
    """All keys of a document with what they hold, however deep."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield key, value
            yield from within(value)
    elif isinstance(document, list):
        for value in document:
            yield from within(value)


def test_the_whole_system_is_there(services: dict[str, Any]) -> None:
    assert set(services) == OURS | SERVERS


def test_compose_sets_only_settings_that_exist(services: dict[str, Any]) -> None:
    for name in OURS:
        given = {key for key in services[name]["environment"] if key.startswith("DAM_")}
        assert given, name
        assert given - SETTINGS == set(), name


def test_compose_pins_each_server_to_what_is_tested_where_that_is_known(
    services: dict[str, Any],
) -> None:
    images = {name: services[name]["image"] for name in SERVERS}
    assert [one for one in images.values() if not re.search(r":v?\d+(\.\d+)+", one)] == []
    assert images["weaviate"].endswith(f":{built('weaviate.sh')}")
    assert images["s3"].endswith(f":v{built('s3.sh')}")


def test_every_service_that_others_wait_for_says_when_it_is_ready(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how["condition"] == wanted, (name, other)
            assert other in ONCE or "healthcheck" in services[other], other
    assert [name for name in SERVERS if "healthcheck" not in services[name]] == []


def test_what_has_no_login_is_reachable_from_this_machine_alone(services: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert set(published) == {"webserver", "preview"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_compose_holds_no_password_and_says_which_variables_it_wants() -> None:
    text = (ROOT / "compose.yaml").read_text()
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    assert wanted == {"DAM_PASSWORD", "DAM_MEDIA"}
    head = text.partition("name:")[0]
    assert all(f"{name}=" in head for name in wanted)
    assert re.findall(r"(?i)(?:password|secret_\w*|api\w*_keys?): (?!\$\{)\S+", text) == []


def test_the_ui_asks_the_code_location_where_it_is(services: dict[str, Any]) -> None:
    workspace = yaml.safe_load((ROOT / "docs/deploy/workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    command = services[server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--location-name") + 1] == server["location_name"]


def test_the_image_is_made_by_what_make_setup_runs() -> None:
    dockerfile = (ROOT / "docs/deploy/Dockerfile").read_text()
    assert "RUN .ci/setup.sh" in dockerfile
    assert re.search(r"^FROM python:3\.\d+\.\d+-", dockerfile, re.M)


def test_kubernetes_sets_only_settings_that_exist(values: dict[str, Any]) -> None:
    names = {
        one["name"]
        for key, listed in within(values)
        if key == "env" and isinstance(listed, list)
        for one in listed
        if one["name"].startswith("DAM_")
    }
    assert "DAM_STORAGE_URL" in names
    assert names - SETTINGS == set()


def test_pods_keep_nothing_on_their_machine_and_no_secret_is_written_down(
    values: dict[str, Any],
) -> None:
    found = list(within(values))
    assert [value for key, value in found if key == "hostPath"] == []
    assert [value for key, value in found if key == "postgresqlPassword"] == []
    environment = [one for key, listed in found if key == "env" for one in listed]
    secret = re.compile("PASSWORD|SECRET|API_KEY|POSTGRES_URL|NATS_URL")
    assert [one["name"] for one in environment if secret.search(one["name"])] == []


def test_runs_with_models_ask_for_a_node_with_a_graphics_card(
    values: dict[str, Any], settings: Settings
) -> None:
    deployment = values["dagster-user-deployments"]["deployments"][0]
    given = {one["name"]: one["value"] for one in deployment["env"]}
    split = settings.model_copy(
        update={name: given[f"DAM_{name.upper()}"] for name in ("gpu_queue", "gpu_run_tags")}
    )
    asked = json.loads(queue_tags(split)["dagster-k8s/config"])
    assert asked["pod_spec_config"]["node_selector"] == {"dam/gpu": "true"}
    assert asked["container_config"]["resources"]["limits"] == {"nvidia.com/gpu": "1"}


@pytest.mark.parametrize("broker", ["", "redis://:s3cret@box:6379/0"])
def test_a_broker_sends_runs_to_workers_and_is_written_nowhere(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    monkeypatch.setenv("DAM_CELERY_BROKER", broker)
    with open_instance(settings.model_copy(update={"celery_broker": broker})) as instance:
        limit = instance.get_concurrency_config().run_queue_config.max_concurrent_runs
        is_patient = instance.run_monitoring_start_timeout_seconds > 24 * 3600
        assert type(instance.run_launcher).__name__ == (
            "CeleryRuns" if broker else "DefaultRunLauncher"
        )
        assert (limit, is_patient) == ((50, True) if broker else (2, False))
    assert "s3cret" not in (settings.home / "dagster" / "dagster.yaml").read_text()


def test_the_graph_has_one_writer_everywhere(values: dict[str, Any]) -> None:
    template = (ROOT / "dagster.yaml").read_text()
    ours = yaml.safe_load(re.sub(r"^#C .*\n", "", template, flags=re.M))["concurrency"]["runs"]
    theirs = values["concurrency"]["runs"]
    assert theirs["tagConcurrencyLimits"] == ours["tag_concurrency_limits"]
