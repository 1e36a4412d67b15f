"""The house rules of the command line: help, examples, `--json`, exit codes, quick help."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dam_pipeline.cli.main import COMMANDS, GROUPS
from dam_pipeline.cli.reference import CommandHelp, commands
from dam_pipeline_tests.processed import DAM, dam, run_dam

ALL = {one.name: one for one in commands()}
HEAVY = ("dagster", "torch", "av", "lancedb", "duckdb", "transformers", "pyarrow", "sqlalchemy")


def test_every_command_of_the_design_is_there() -> None:
    groups = {
        "source": ("add", "list", "remove", "accept"),
        "models": ("list", "fetch", "import", "verify"),
        "tag": ("add", "remove", "list", "vocabulary", "calibrate"),
        "events": ("waiting", "send", "schema"),
        "space": ("list", "build", "compare", "promote", "rollback", "remove"),
        "sidecar": ("diff", "write", "merge"),
        "stock": (
            *("export", "import"),
            *("edit", "show", "check"),
            *("package", "publish", "approve", "login"),
            *(f"deliveries {name}" for name in ("list", "add", "accept")),
            *(f"deliveries {name}" for name in ("reject", "withdraw", "import")),
            *("shortlist add", "shortlist remove", "shortlist list"),
            *(f"agencies {name}" for name in ("list", "show", "import", "add", "remove")),
        ),
    }
    expected = {f"dam {name}" for name in COMMANDS}
    expected |= {f"dam {group} {name}" for group in GROUPS for name in groups[group]}
    assert set(ALL) == expected


@pytest.mark.parametrize("one", ALL.values(), ids=ALL)
def test_every_command_has_help_with_an_example_and_json(one: CommandHelp) -> None:
    first, _, rest = one.help.partition("\n")
    assert first.endswith((".", ";"))
    assert "Example" in rest
    assert f"{one.name}" in rest
    assert all(parameter.help for parameter in one.parameters)
    assert "--json" in {name for parameter in one.parameters for name in parameter.names}


@pytest.mark.parametrize("name", ALL)
def test_every_command_answers_help(name: str) -> None:
    result = dam(*name.split()[1:], "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dam_pipeline.cli.main import app; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_console_script_prints_the_version_and_completion() -> None:
    assert run_dam({}, "--version").stdout.startswith("dam ")
    done = run_dam({"_DAM_COMPLETE": "complete_bash", "COMP_WORDS": "dam re", "COMP_CWORD": "1"})
    assert set(done.stdout.split()) == {"related", "retry", "rebuild"}


def test_a_shell_completes_agencies() -> None:
    words = {"COMP_WORDS": "dam stock check --agency s", "COMP_CWORD": "4"}
    done = run_dam({"_DAM_COMPLETE": "complete_bash", **words})
    assert set(done.stdout.split()) == {"shutterstock", "storyblocks"}
    assert DAM.exists()


@pytest.mark.parametrize("words", [("no-such-command",), ("show",), ("status", "--no-such")])
def test_wrong_words_are_wrong_use(words: tuple[str, ...]) -> None:
    assert dam(*words).exit_code == 2


def test_a_broken_setting_is_named(dam_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_BATCH_FILES", "many")
    result = dam("status")
    assert result.exit_code == 2
    assert "batch_files" in result.stderr


def test_a_home_that_cannot_be_written_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAM_HOME", "/proc/no-home")
    for command in ("init", "status", "rebuild"):
        result = dam(command)
        assert result.exit_code in (1, 2), command
        assert "/proc/no-home" in result.stderr.replace("\n", ""), command


def test_init_makes_a_home_and_keeps_what_is_there(dam_home: Path) -> None:
    assert json.loads(dam("init", "--json").stdout) == {
        "home": str(dam_home),
        "profile": "bundled",
    }
    (dam_home / "dam.toml").write_text("# mine\n")
    assert dam("init").exit_code == 0
    assert (dam_home / "dam.toml").read_text() == "# mine\n"
    assert (dam_home / "dagster" / "dagster.yaml").exists()
