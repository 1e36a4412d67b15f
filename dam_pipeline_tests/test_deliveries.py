"""The ledger of deliveries: last words, what agencies have, and results that people enter or import."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dam_pipeline.errors import ConfigurationError, SchemaMismatch
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import (
    Deliveries,
    Delivery,
    DeliveryState,
    no_longer_to_send,
    there_already,
)
from dam_pipeline.stock.results import Row, compare_results, read_results, results_of

A = Delivery(
    agency="adobe-stock",
    media_id="m-a",
    asset_id="a",
    destination="sftp://host/upload",
    package="/packages/one",
    file="media/a.mov",
    sha256="11",
    size_bytes=10,
    master_sha256="aa",
    state=DeliveryState.VERIFIED,
    remote="sftp://host/upload/a.mov",
    verified="sha256",
)
B = replace(A, media_id="m-b", asset_id="b", file="media/b.mov", sha256="22")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a home of this test's own."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def ledger(settings: Settings) -> Deliveries:
    """Its ledger, empty."""
    return Deliveries(settings)


def review(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    """An agency's table."""
    path = tmp_path / "review.csv"
    path.write_bytes(text.encode(encoding))
    return path


class TestTheLedger:
    def test_the_last_word_counts_and_all_are_kept(self, ledger: Deliveries) -> None:
        ledger.record(A.now(DeliveryState.UPLOADING), B.now(DeliveryState.UPLOADING))
        ledger.record(A, replace(A, destination="elsewhere"))
        assert [one.state.value for one in ledger.history()] == [
            *("uploading", "uploading", "verified", "verified")
        ]
        latest = ledger.latest()
        assert latest[A.key].state is DeliveryState.VERIFIED
        assert latest[B.key].state is DeliveryState.UPLOADING
        assert len(latest) == 3
        assert all(one.when.endswith("+00:00") for one in ledger.history())

    def test_of_an_asset_all_destinations_are_told_in_the_order_of_their_last_words(
        self, ledger: Deliveries
    ) -> None:
        elsewhere = replace(A, destination="elsewhere")
        ledger.record(A, elsewhere, B, A.now(DeliveryState.ACCEPTED))
        found = ledger.of_assets(["a", "nobody"])
        assert [one.destination for one in found["a"]] == ["elsewhere", A.destination]
        assert found["nobody"] == []

    @pytest.mark.parametrize(
        ("state", "is_there"),
        [
            ("planned", False),
            ("approved", False),
            ("uploading", False),
            ("delivered", True),
            ("verified", True),
            ("accepted", True),
            ("rejected", False),
            ("withdrawn", False),
        ],
    )
    def test_an_agency_has_what_came_to_any_destination_of_it(
        self, ledger: Deliveries, state: str, is_there: bool
    ) -> None:
        ledger.record(A.now(DeliveryState(state)))
        assert set(there_already(ledger.latest(), A.agency, ["a", "b"])) == (
            {"a"} if is_there else set()
        )
        assert there_already(ledger.latest(), "pond5", ["a"]) == {}

    def test_the_same_bytes_are_not_sent_again_after_a_rejection_others_are(
        self, ledger: Deliveries
    ) -> None:
        ledger.record(A.now(DeliveryState.REJECTED, reason="noise"))
        elsewhere = replace(A, destination="elsewhere", state=DeliveryState.PLANNED)
        latest = ledger.latest()
        assert no_longer_to_send(latest, [elsewhere])["a"].reason == "noise"
        assert no_longer_to_send(latest, [replace(elsewhere, sha256="33")]) == {}

    @pytest.mark.parametrize("state", ["verified", "accepted", "rejected"])
    def test_what_was_only_planned_once_more_leaves_what_was_said_before(
        self, ledger: Deliveries, state: str
    ) -> None:
        ledger.record(A.now(DeliveryState(state), reason="as it was"))
        ledger.record(A.now(DeliveryState.PLANNED))
        ledger.record(A.now(DeliveryState.APPROVED))
        assert ledger.latest()[A.key].state is DeliveryState.APPROVED
        ledger.record(A.now(DeliveryState.UPLOADING), A.now(DeliveryState.PLANNED))
        found = ledger.latest()[A.key]
        assert (found.state.value, found.reason) == (state, "as it was")
        ledger.record(B.now(DeliveryState.APPROVED), B.now(DeliveryState.PLANNED))
        assert ledger.latest()[B.key].state is DeliveryState.PLANNED

    @pytest.mark.parametrize("state", ["planned", "approved", "uploading"])
    def test_to_want_it_sent_once_more_does_not_hide_that_the_agency_has_it(
        self, ledger: Deliveries, settings: Settings, state: str
    ) -> None:
        elsewhere = replace(A, destination="elsewhere", state=DeliveryState.PLANNED)
        ledger.record(A)
        ledger.record(A.now(DeliveryState(state)))
        latest = ledger.latest()
        assert set(there_already(latest, A.agency, ["a"])) == {"a"}
        assert set(no_longer_to_send(latest, [elsewhere])) == {"a"}
        names = {"a": "a.mov"}
        (word,) = results_of(settings, A.agency, names, DeliveryState.ACCEPTED)
        assert (word.destination, word.state.value) == (A.destination, "accepted")
        found = compare_results(settings, A.agency, [Row(2, "a.mov", "accepted", "")])
        assert [one.asset_id for one in found.changes] == ["a"]

    def test_what_is_wanted_once_more_goes_until_it_is_there(self, ledger: Deliveries) -> None:
        ledger.record(A)
        ledger.record(A.now(DeliveryState.APPROVED))
        assert no_longer_to_send(ledger.latest(), [A]) == {}
        ledger.record(A.now(DeliveryState.UPLOADING))
        assert no_longer_to_send(ledger.latest(), [A]) == {}
        ledger.record(A.now(DeliveryState.DELIVERED))
        assert set(no_longer_to_send(ledger.latest(), [A])) == {"a"}

    def test_releases_are_told_apart_by_bytes_and_name(self, ledger: Deliveries) -> None:
        release = replace(A, media_id="", asset_id="", file="releases/anna.pdf", sha256="77")
        ledger.record(release)
        latest = ledger.latest()
        assert no_longer_to_send(latest, [release])
        assert not no_longer_to_send(latest, [replace(release, file="releases/ben.pdf")])
        assert not no_longer_to_send(latest, [replace(release, sha256="78")])

    def test_a_line_that_a_crash_cut_short_loses_nothing_else(
        self, ledger: Deliveries, settings: Settings
    ) -> None:
        ledger.record(A)
        journal = settings.home / "journal" / "deliveries.jsonl"
        journal.write_text(journal.read_text() + '{"agency": "ado')
        ledger.record(B, replace(B, destination="elsewhere"))
        assert [one.asset_id for one in ledger.history()] == ["a", "b", "b"]

    def test_an_entry_of_a_newer_version_is_refused_with_advice(
        self, ledger: Deliveries, settings: Settings
    ) -> None:
        ledger.record(A)
        journal = settings.home / "journal" / "deliveries.jsonl"
        journal.write_text(journal.read_text().replace('"verified"', '"teleported"'))
        with pytest.raises(SchemaMismatch, match="Update dam_pipeline"):
            ledger.history()


class TestResults:
    def test_a_persons_word_counts_for_every_destination_of_the_agency(
        self, ledger: Deliveries, settings: Settings
    ) -> None:
        ledger.record(A, replace(A, destination="elsewhere"), replace(A, agency="pond5"), B)
        words = results_of(settings, A.agency, {"a": "a.mov"}, DeliveryState.REJECTED, "noise")
        assert {(one.destination, one.state.value, one.reason, one.by) for one in words} == {
            (A.destination, "rejected", "noise", "person"),
            ("elsewhere", "rejected", "noise", "person"),
        }

    def test_what_was_never_sent_is_named(self, ledger: Deliveries, settings: Settings) -> None:
        ledger.record(A, B.now(DeliveryState.APPROVED))
        with pytest.raises(ConfigurationError, match=r"b\.mov"):
            results_of(settings, A.agency, {"a": "a.mov", "b": "b.mov"}, DeliveryState.ACCEPTED)
        with pytest.raises(ConfigurationError, match="only to adobe-stock"):
            results_of(settings, "pond5", {"a": "a.mov"}, DeliveryState.ACCEPTED)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_tables_of_agencies_are_read_whatever_they_are_written_in(
        self, tmp_path: Path, encoding: str, delimiter: str
    ) -> None:
        lines = [
            ("File name", "Title", "Review Status", "Rejection reason"),
            ("a.mov", "Café", "Accepted", ""),
            ("b.mov", "Two", "Not accepted", "déjà vu"),
        ]
        text = "\r\n".join(delimiter.join(line) for line in lines)
        rows = read_results(review(tmp_path, text, encoding))
        assert [(one.number, one.name, one.status, one.reason) for one in rows] == [
            (2, "a.mov", "Accepted", ""),
            (3, "b.mov", "Not accepted", "déjà vu"),
        ]

    @pytest.mark.parametrize("text", ["", "colour,status\nred,accepted\n", "file,reason\na,b\n"])
    def test_a_table_without_its_columns_is_refused_by_name(
        self, tmp_path: Path, text: str
    ) -> None:
        with pytest.raises(ConfigurationError, match="'file name'"):
            read_results(review(tmp_path, text))

    def test_rows_are_matched_by_file_name_stem_or_media_and_the_rest_is_named(
        self, ledger: Deliveries, settings: Settings, tmp_path: Path
    ) -> None:
        twin = replace(A, asset_id="twin", media_id="m-twin", destination="elsewhere")
        c = replace(A, asset_id="c", media_id="m-c", file="media/c.mov")
        ledger.record(A, B, twin, c.now(DeliveryState.ACCEPTED))
        text = (
            "file,status,reason\nB.MOV,rejected,noise\nc,Online,\nm-a,For sale,\n"
            "a.mov,accepted,\nz.mov,accepted,\nb.mov,who knows,\nc.mov,in review,\n"
        )
        found = compare_results(settings, A.agency, read_results(review(tmp_path, text)))
        assert [(one.asset_id, one.state.value, one.reason) for one in found.changes] == [
            ("b", "rejected", "noise"),
            ("a", "accepted", ""),
        ]
        assert (found.unchanged, found.pending) == (1, 1)
        assert [(one.row, one.name, one.why) for one in found.unknown] == [
            (5, "a.mov", "several media were sent under it"),
            (6, "z.mov", "nothing was sent under it"),
            (7, "b.mov", "no known status: 'who knows'"),
        ]
        assert len(ledger.history()) == 4  # nothing was recorded by comparing
        json.dumps(found.to_json())

    def test_a_word_on_media_counts_for_what_arrived_else_for_what_broke_off(
        self, ledger: Deliveries, settings: Settings
    ) -> None:
        broken = replace(A, destination="elsewhere", state=DeliveryState.UPLOADING)
        ledger.record(A, broken, replace(B, state=DeliveryState.UPLOADING))
        names = {"a": "a.mov", "b": "b.mov"}
        found = results_of(settings, A.agency, names, DeliveryState.ACCEPTED)
        assert [(one.asset_id, one.destination) for one in found] == [
            ("a", A.destination),
            ("b", B.destination),
        ]

    def test_of_several_rows_on_a_file_the_last_counts(
        self, ledger: Deliveries, settings: Settings, tmp_path: Path
    ) -> None:
        ledger.record(A.now(DeliveryState.ACCEPTED), B)
        text = "file,status\na.mov,rejected\na.mov,accepted\nb.mov,accepted\nb.mov,rejected\n"
        found = compare_results(settings, A.agency, read_results(review(tmp_path, text)))
        assert [(one.asset_id, one.state.value) for one in found.changes] == [("b", "rejected")]

    def test_a_row_that_is_undecided_takes_back_what_one_before_it_said(
        self, ledger: Deliveries, settings: Settings
    ) -> None:
        ledger.record(A)
        rows = [Row(2, "a.mov", "rejected", "noise"), Row(3, "a.mov", "In review", "")]
        found = compare_results(settings, A.agency, rows)
        assert (found.changes, found.pending) == ((), 1)
        found = compare_results(settings, A.agency, rows[::-1])
        assert [one.state.value for one in found.changes] == ["rejected"]

    @pytest.mark.parametrize("destination", [A.destination, "elsewhere"])
    def test_what_was_said_of_an_earlier_file_is_no_news_of_the_mended_one(
        self, ledger: Deliveries, settings: Settings, destination: str
    ) -> None:
        mended = replace(A, destination=destination, sha256="33")
        ledger.record(A, A.now(DeliveryState.REJECTED, reason="noise", by="import"))
        ledger.record(mended.now(DeliveryState.UPLOADING), mended)
        old = Row(2, "a.mov", "rejected", "noise")
        found = compare_results(settings, A.agency, [old])
        assert (found.changes, found.unchanged) == ((), 1)
        found = compare_results(settings, A.agency, [Row(2, "a.mov", "accepted", ""), old])
        assert (mended.key, DeliveryState.ACCEPTED) in [(x.key, x.state) for x in found.changes]
        found = compare_results(settings, A.agency, [old, Row(3, "a.mov", "rejected", "shaky")])
        assert mended.key in [one.key for one in found.changes if one.reason == "shaky"]

    def test_a_status_in_another_script_is_unknown_and_not_undecided(
        self, ledger: Deliveries, settings: Settings, tmp_path: Path
    ) -> None:
        ledger.record(A)
        rows = read_results(review(tmp_path, "file,status\na.mov,Отклонено\n"))
        found = compare_results(settings, A.agency, rows)
        assert (found.pending, [one.row for one in found.unknown]) == (0, [2])

    def test_a_table_that_is_cut_or_no_csv_is_read_or_refused(self, tmp_path: Path) -> None:
        whole = "file,status\na.mov,accepted".encode("utf-16")
        (tmp_path / "cut.csv").write_bytes(whole[:-1])
        assert [one.name for one in read_results(tmp_path / "cut.csv")] == ["a.mov"]
        huge = "file,status,reason\na.mov,rejected," + "x" * 200_000
        csv.field_size_limit(131_072)  # Python's own
        with pytest.raises(ConfigurationError, match="is no CSV"):
            read_results(review(tmp_path, huge))
