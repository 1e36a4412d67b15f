"""`dam stock publish`, `approve` and `deliveries`: what they print, change and leave alone."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.events.kinds import Event
from dam_pipeline.publishing.approving import approved_packages
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.handmade import Clip, Handmade
from dam_pipeline_tests.packed import asset_of, pack
from dam_pipeline_tests.processed import dam, dam_json

CLIPS = {"falcon.mov": b"flies" * 100, "harbour.mov": b"ships" * 200}
SILENT = {"width": 0, "codecs": [], "created_at": None, "camera": None, "lens": None}
SECRET = "not-to-be-seen-anywhere"


@pytest.fixture
def home(dam_home: Path) -> Iterator[Path]:
    """A library of two clips, and the package `spring` of both."""
    with open_catalogue(dam_home) as catalogue:
        Handmade(dam_home, catalogue).add(
            *(Clip(name, media_id=asset_of(name), probe=SILENT) for name in CLIPS)
        )
    pack(dam_home / "packages" / "spring", CLIPS)
    return dam_home


@pytest.fixture
def agency(tmp_path: Path) -> Path:
    """The folder that stands for the agency."""
    return tmp_path / "agency"


def everything_below(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All files with inode, time and content: any change shows."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestPublish:
    def test_json_has_the_documented_keys_and_says_where_each_file_is(
        self, home: Path, agency: Path
    ) -> None:
        found = dam_json("stock", "publish", "spring", "--to", str(agency))
        assert found == [
            {
                "media_id": asset_of(name),
                "file": f"media/{name}",
                "state": "verified",
                "bytes": len(content),
                "verified": "sha256",
                "remote": f"{agency}/{name}",
                "reason": "",
            }
            for name, content in CLIPS.items()
        ]
        assert {path.name: path.read_bytes() for path in agency.iterdir()} == CLIPS

    def test_words_say_delivered_and_verified_and_never_accepted(
        self, home: Path, agency: Path
    ) -> None:
        result = dam("stock", "publish", "spring", "--to", str(agency))
        assert result.exit_code == 0
        assert "2 delivered, bytes verified" in result.stderr
        assert "accepted" not in result.output
        again = dam("stock", "publish", "spring", "--to", str(agency))
        assert again.exit_code == 0
        assert "0 delivered, bytes verified; 2 left out" in again.stderr

    def test_a_dry_run_tells_files_sizes_names_and_reasons_and_changes_nothing(
        self, home: Path, agency: Path, tmp_path: Path
    ) -> None:
        dam_json("stock", "publish", "spring", "--to", str(agency))
        pack(home / "packages" / "summer", CLIPS | {"gull.mov": b"cries"})
        before = everything_below(tmp_path)
        to = "ftp://me@host.invalid/upload"
        found = dam_json("stock", "publish", "summer", "--to", to, "--dry-run")
        assert [(one["file"], one["state"], one["bytes"]) for one in found] == [
            ("media/falcon.mov", "verified", 500),
            ("media/harbour.mov", "verified", 1000),
            ("media/gull.mov", "planned", 5),
        ]
        assert [bool(one["reason"]) for one in found] == [True, True, False]
        assert found[2]["remote"] == "ftp://host.invalid/upload/gull.mov"
        told = dam("stock", "publish", "summer", "--to", to, "--dry-run")
        assert "1 files (5 B) would be sent" in told.stderr
        assert everything_below(tmp_path) == before

    @pytest.mark.parametrize(
        ("agency_id", "to", "warnings"),
        [
            ("adobe-stock", "sftp://me@host.invalid/", []),
            ("adobe-stock", "/mnt/staging", []),
            ("adobe-stock", "ftp://me@host.invalid/", ["readable to anyone", "takes sftp"]),
            ("shutterstock", "ftps://me@ftps.shutterstock.com", []),
            ("shutterstock", "ftps://me@host.invalid", ["reached at ftps.shutterstock.com"]),
            ("generic", "ftp://me@host.invalid", ["readable to anyone", "sftp as well"]),
            ("of-somebody-else", "sftp://me@host.invalid", []),
        ],
    )
    def test_addresses_that_do_not_suit_the_agency_are_warned_of(
        self, home: Path, agency_id: str, to: str, warnings: list[str]
    ) -> None:
        pack(home / "packages" / "other", CLIPS, agency=agency_id)
        result = dam("stock", "publish", "other", "--to", to, "--dry-run")
        told = [line for line in result.stderr.splitlines() if line.startswith("warning")]
        assert result.exit_code == 0
        assert len(told) == len(warnings)
        assert all(words in line for words, line in zip(warnings, told, strict=True))

    def test_a_failed_file_is_exit_code_3_and_the_rest_is_there(
        self, home: Path, agency: Path
    ) -> None:
        agency.mkdir()
        (agency / "falcon.mov").write_bytes(b"of somebody else")
        result = dam("stock", "publish", "spring", "--to", str(agency), "--json")
        assert result.exit_code == 3
        states = {one["file"]: one["state"] for one in json.loads(result.stdout)}
        assert states == {"media/falcon.mov": "uploading", "media/harbour.mov": "verified"}
        told = dam("stock", "publish", "spring", "--to", str(agency))
        assert told.exit_code == 3
        assert "1 not there" in told.stderr

    def test_a_spoilt_package_is_told_and_nothing_goes(self, home: Path, agency: Path) -> None:
        (home / "packages" / "spring" / "media" / "falcon.mov").write_bytes(b"?")
        result = dam("stock", "publish", "spring", "--to", str(agency))
        assert result.exit_code == 1
        assert "falcon.mov" in result.stderr
        assert not agency.exists()

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--to", f"sftp://me:{SECRET}@host/dir"), "password"),
            (("--to", "gopher://host/dir"), "gopher"),
            (("--to", "sftp:///dir"), "host"),
            (("--to", "/tmp", "--limit", "quick"), "quick"),
            (("--to", "/tmp", "--jobs", "0"), "jobs"),
        ],
    )
    def test_wrong_use_is_exit_code_2_and_shows_no_password(
        self, home: Path, words: tuple[str, ...], told: str
    ) -> None:
        result = dam("stock", "publish", "spring", *words)
        assert result.exit_code == 2
        assert told in re.sub(r"\x1b\[[0-9;]*m", "", result.stderr)
        assert SECRET not in result.output


class TestEvents:
    def test_each_delivered_file_is_told_once_to_who_listens(
        self, home: Path, agency: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DAM_NATS_URL", "nats://127.0.0.1:1")  # nobody is there: events wait
        for _ in range(2):
            dam_json("stock", "publish", "spring", "--to", str(agency))
        with open_catalogue(home, sinks=("nats",)) as catalogue:
            told: list[Event] = []
            catalogue.outbox.deliver(lambda _name: Taking(told))
        found = [json.loads(one.body) for one in told]
        assert {one["type"] for one in found} == {"media.delivered"}
        assert sorted((one["data"]["media_id"], one["data"]["remote"]) for one in found) == sorted(
            (asset_of(name), f"{agency}/{name}") for name in CLIPS
        )
        assert {one["data"]["state"] for one in found} == {"verified"}
        assert {one["data"]["agency"] for one in found} == {"adobe-stock"}


class Taking:
    """A sink that takes everything."""

    def __init__(self, told: list[Event]) -> None:
        self._told = told

    def send(self, events: Sequence[Event]) -> list[str]:
        self._told.extend(events)
        return [one.event_id for one in events]


class TestApprove:
    def test_what_is_approved_can_be_taken_back(self, home: Path, agency: Path) -> None:
        found = dam_json("stock", "approve", "spring", "--to", str(agency))
        assert [one["state"] for one in found] == ["approved", "approved"]
        (waiting,) = approved_packages(load_settings())
        assert (waiting.to, waiting.files, waiting.size_bytes) == (str(agency), 2, 1500)
        found = dam_json("stock", "approve", "spring", "--to", str(agency), "--withdraw")
        assert [one["state"] for one in found] == ["planned", "planned"]
        assert approved_packages(load_settings()) == []
        assert not agency.exists()

    def test_publishing_by_hand_sends_what_was_approved(self, home: Path, agency: Path) -> None:
        dam("stock", "approve", "spring", "--to", str(agency))
        plan = dam_json("stock", "publish", "spring", "--to", str(agency), "--dry-run")
        assert [one["state"] for one in plan] == ["approved", "approved"]
        dam("stock", "publish", "spring", "--to", str(agency))
        assert approved_packages(load_settings()) == []


class TestByHand:
    def test_what_a_person_uploaded_is_noted_and_not_sent_again(
        self, home: Path, agency: Path
    ) -> None:
        found = dam_json("stock", "deliveries", "add", "spring")
        assert [(one["state"], one["by"], one["verified"]) for one in found] == [
            ("delivered", "person", "")
        ] * 2
        assert found[0]["remote"] == "portal://adobe-stock/falcon.mov"
        assert dam_json("stock", "publish", "spring", "--to", str(agency))[0]["reason"]
        assert list(agency.glob("*")) == []
        dam_json("stock", "deliveries", "add", "spring")
        assert len(dam_json("stock", "deliveries", "--history")) == 2


class TestDeliveries:
    @pytest.fixture(autouse=True)
    def _sent(self, home: Path, agency: Path) -> None:
        dam_json("stock", "publish", "spring", "--to", str(agency))

    def test_the_bare_name_lists_and_takes_the_options_of_list(self) -> None:
        everything = dam_json("stock", "deliveries")
        assert everything == dam_json("stock", "deliveries", "list")
        assert [one["state"] for one in everything] == ["verified", "verified"]
        (found,) = dam_json("stock", "deliveries", asset_of("falcon.mov"), "--state", "verified")
        assert found["media_id"] == asset_of("falcon.mov")
        assert dam_json("stock", "deliveries", "--agency", "pond5") == []
        words = dam_json("stock", "deliveries", asset_of("falcon.mov"), "--history")
        assert [one["state"] for one in words] == ["planned", "uploading", "verified"]
        assert dam("stock", "deliveries", "--state", "lost").exit_code == 2

    def test_people_say_what_came_of_it(self, agency: Path) -> None:
        falcon = asset_of("falcon.mov")
        (found,) = dam_json("stock", "deliveries", "accept", falcon, "--agency", "adobe-stock")
        assert (found["state"], found["by"]) == ("accepted", "person")
        why = ("--reason", "out of focus")
        dam_json("stock", "deliveries", "reject", falcon, "--agency", "adobe-stock", *why)
        (found,) = dam_json("stock", "deliveries", "--state", "rejected")
        assert (found["media_id"], found["reason"]) == (falcon, "out of focus")
        dam_json("stock", "deliveries", "withdraw", falcon, "--agency", "adobe-stock")
        (found,) = dam_json("stock", "deliveries", "--state", "withdrawn")
        assert found["media_id"] == falcon
        wrong = dam("stock", "deliveries", "accept", falcon, "--agency", "pond5")
        assert wrong.exit_code == 2
        assert "only to adobe-stock" in wrong.stderr

    def test_an_import_names_what_it_does_not_know_and_a_dry_run_changes_nothing(
        self, home: Path, tmp_path: Path
    ) -> None:
        table = tmp_path / "review.csv"
        table.write_text(
            "Filename,Status,Reason\nfalcon.mov,Accepted,\nharbour.mov,Rejected,noise\n"
            "unknown.mov,Accepted,\n"
        )
        words = ("stock", "deliveries", "import", str(table), "--agency", "adobe-stock")
        before = everything_below(home)
        dry = dam(*words, "--dry-run", "--json")
        assert everything_below(home) == before
        real = dam(*words, "--json")
        assert (dry.exit_code, real.exit_code) == (3, 3)
        assert json.loads(dry.stdout) == json.loads(real.stdout)
        assert json.loads(real.stdout)["unknown"] == [
            {"row": 4, "name": "unknown.mov", "why": "nothing was sent under it"}
        ]
        states = {one["file"]: one["state"] for one in dam_json("stock", "deliveries")}
        assert states == {"media/falcon.mov": "accepted", "media/harbour.mov": "rejected"}
        once_more = json.loads(dam(*words, "--json").stdout)
        assert (once_more["changes"], once_more["unchanged"]) == ([], 2)
        assert "unknown.mov" in dam(*words).stderr

    def test_show_tells_where_a_media_went(self, agency: Path) -> None:
        (found,) = dam_json("show", asset_of("falcon.mov"))["deliveries"]
        assert (found["agency"], found["state"]) == ("adobe-stock", "verified")
        assert found["remote"] == f"{agency}/falcon.mov"
        assert "delivered, bytes verified" in dam("show", asset_of("falcon.mov")).stdout
