"""Speech made by espeak-ng, heard by real whisper weights; and the windows around it."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
import whisper

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models import SpeechModel, Transcript, identify, open_speech
from dam_pipeline.models.silero import FRAME, Silero
from dam_pipeline.models.voice import Heard, Span, Voice, Window, padded, windows
from dam_pipeline.records import Word
from dam_pipeline.settings import Settings

RATE = 16_000
FOX = "the quick brown fox jumps over the lazy dog"
PARK = "many people enjoy walking in the park on sunny days"

pytestmark = pytest.mark.weights


def _say(text: str) -> np.ndarray:
    """Mono float32 16 kHz speech without the silence around it."""
    wave = subprocess.run(["espeak-ng", "--stdout", text], capture_output=True, check=True).stdout
    form = ["-ar", str(RATE), "-ac", "1", "-f", "f32le", "-"]
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", "-", *form], input=wave, capture_output=True, check=True
    ).stdout
    sound = np.frombuffer(raw, np.float32)
    loud = np.flatnonzero(abs(sound) > 0.01)
    return sound[loud[0] : loud[-1]]


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def _words(transcript: Transcript) -> str:
    return " ".join(s.text for s in transcript.segments).lower()


@pytest.fixture(scope="module")
def fox() -> np.ndarray:
    """FOX, spoken."""
    return _say(FOX)


@pytest.fixture(scope="module")
def park() -> np.ndarray:
    """PARK, spoken."""
    return _say(PARK)


@pytest.fixture(scope="module")
def model(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> SpeechModel:
    """Whisper base in CTranslate2 form, joined from its packages."""
    home = tmp_path_factory.mktemp("speech")
    folder = shared_folder / "models"
    return open_speech(Settings(home=home, models_dir=folder, profile="bundled", torch_threads=1))


@pytest.fixture(scope="module")
def fox_heard(model: SpeechModel, fox: np.ndarray) -> Transcript:
    """What is heard in FOX alone."""
    return model.transcribe(fox)


@pytest.fixture(scope="module")
def two_sayings(model: SpeechModel, fox: np.ndarray, park: np.ndarray) -> Transcript:
    """FOX from 3.0 s, then 20 s of silence, then PARK."""
    sound = np.concatenate([_silence(3), fox, _silence(20), park, _silence(2)])
    return model.transcribe(sound)


def test_spoken_words_are_found(two_sayings: Transcript) -> None:
    for word in ("quick", "fox", "lazy", "dog", "people", "walking", "park", "sunny"):
        assert word in _words(two_sayings)
    assert two_sayings.language == "en"
    assert {segment.language for segment in two_sayings.segments} == {"en"}


def test_sayings_apart_get_their_own_times(
    two_sayings: Transcript, fox: np.ndarray, park: np.ndarray
) -> None:
    first, *_, last = two_sayings.segments
    park_at_s = 3 + len(fox) / RATE + 20
    assert first.start_s == pytest.approx(3, abs=0.3)
    before = [s for s in two_sayings.segments if s.start_s < 15]
    assert before[-1].end_s == pytest.approx(3 + len(fox) / RATE, abs=0.3)
    after = [s for s in two_sayings.segments if s.start_s > 15]
    assert after[0].start_s == pytest.approx(park_at_s, abs=0.3)
    assert last.end_s == pytest.approx(park_at_s + len(park) / RATE, abs=0.3)


def test_words_are_in_order_inside_their_segments(two_sayings: Transcript) -> None:
    for segment in two_sayings.segments:
        assert segment.words
        times = [t for word in segment.words for t in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert segment.start_s <= times[0]
        assert times[-1] <= segment.end_s
        assert all(0 <= word.probability <= 1 for word in segment.words)


def test_a_word_is_heard_where_it_is_said(two_sayings: Transcript, fox: np.ndarray) -> None:
    words = [word for segment in two_sayings.segments for word in segment.words]
    dog = next(word for word in words if word.text.lower().startswith("dog"))
    assert dog.end_s == pytest.approx(3 + len(fox) / RATE, abs=0.3)
    fox_word = next(word for word in words if word.text.lower().startswith("fox"))
    spoken_before_s = len(_say("the quick brown")) / RATE
    assert fox_word.start_s == pytest.approx(3 + spoken_before_s, abs=0.3)


def test_speech_s_counts_the_speech_alone(
    two_sayings: Transcript, fox: np.ndarray, park: np.ndarray
) -> None:
    assert two_sayings.speech_s == pytest.approx((len(fox) + len(park)) / RATE, abs=1.0)


def _noise(seconds: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, seconds * RATE).astype(np.float32)


def _music(seconds: int) -> np.ndarray:
    """A struck chord every second, each with its overtones."""
    time_s = np.arange(seconds * RATE) / RATE
    tones = [220 * 2 ** (step / 12) * k for step in (0, 4, 7) for k in (1, 2, 3)]
    chord = sum(np.sin(2 * np.pi * tone * time_s) for tone in tones)
    return (0.05 * chord * np.exp(-3 * (time_s % 1))).astype(np.float32)


@pytest.mark.parametrize(
    "sound",
    [_silence(30), _noise(30), _music(30), _silence(0), _silence(0.01)],
    ids=["silence", "noise", "music", "nothing", "a click's length"],
)
def test_sound_without_speech_gives_no_segment(model: SpeechModel, sound: np.ndarray) -> None:
    assert model.transcribe(sound) == Transcript((), "", 0.0)


def test_the_same_sound_gives_the_same_text_and_times(
    model: SpeechModel, fox: np.ndarray, fox_heard: Transcript
) -> None:
    assert model.transcribe(fox) == fox_heard


def test_a_memory_mapped_file_is_read_as_an_array_is(
    tmp_path: Path, model: SpeechModel, fox: np.ndarray, fox_heard: Transcript
) -> None:
    fox.tofile(tmp_path / "fox.f32")
    mapped = np.memmap(tmp_path / "fox.f32", np.float32, "r")
    assert model.transcribe(mapped) == fox_heard


def test_progress_rises_to_one(model: SpeechModel, fox: np.ndarray) -> None:
    shares: list[float] = []
    model.transcribe(fox, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_provenance_names_whisper_and_the_gate(model: SpeechModel) -> None:
    assert model.ref.weights_sha256.startswith("d01c3014881c9c6f")
    assert [ref.name for ref in model.also] == ["silero-vad"]


def test_the_gate_computes_what_silero_publishes(tmp_path: Path, fox: np.ndarray) -> None:
    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad  # sets torch to one thread

    sound = np.concatenate([_silence(1), fox, _noise(40)])  # more than one block
    official = load_silero_vad()
    padding = -len(sound) % FRAME
    with torch.inference_mode():
        whole = torch.from_numpy(np.pad(sound, (0, padding)))
        expected = [official(frame, RATE).item() for frame in whole.split(FRAME)]
    torch.set_num_threads(threads)
    chances = Silero(Settings(home=tmp_path)).probabilities(sound)
    assert abs(chances - np.array(expected)).max() < 1e-4


def test_finding_spans_leaves_torch_its_threads(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    Voice(Settings(home=tmp_path)).spans(_silence(1))
    assert torch.get_num_threads() == 2


class _Counter:
    """A recogniser that notes how long its windows are, and says one word in the middle of each.

    `chances` are those of the languages of one window after the other.
    """

    def __init__(self, *chances: dict[str, float]) -> None:
        self.lengths_s: list[float] = []
        self._chances = iter(chances)

    def languages(self, sound: np.ndarray) -> dict[str, float]:
        return next(self._chances, {"en": 1.0})

    def listen(self, sound: np.ndarray, language: str) -> Iterable[Heard]:
        """One word that lasts from a second after the start to a second before the end."""
        length_s = len(sound) / RATE
        self.lengths_s.append(length_s)
        word = Word(1.0, length_s - 1, " word", 1.0)
        return [Heard(0.0, length_s, " word", (word,))]


def test_long_speech_is_cut_at_silences_into_windows(tmp_path: Path, park: np.ndarray) -> None:
    settings = Settings(home=tmp_path, speech_window_s=12, torch_threads=1)
    sound = np.concatenate([part for _ in range(4) for part in (park, _silence(1.5))])
    counter = _Counter()
    voice = Voice(settings)
    transcript = voice.transcribe(sound, counter)
    assert len(counter.lengths_s) >= 2
    assert max(counter.lengths_s) <= 12
    starts = [segment.start_s for segment in transcript.segments]
    period_s = len(park) / RATE + 1.5
    for start in starts:  # each window begins where somebody begins to speak
        assert min(abs(start - k * period_s) for k in range(4)) < 0.3


def test_speech_without_a_pause_is_cut_all_the_same(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, speech_window_s=12)
    sound = _say(". ".join([FOX, PARK] * 5).replace(".", ""))
    spans = Voice(settings).spans(sound)
    assert len(spans) > 1
    assert all(window.length_s <= 12 for window in windows(spans, 12))
    assert sum(s.end - s.start for s in spans) > 0.9 * len(sound)


def test_a_time_in_a_window_lands_in_the_span_it_was_said_in() -> None:
    spans = (Span(0, RATE, 0), Span(100 * RATE, 102 * RATE, 100 * RATE))
    window = Window(spans)  # 1 s silence, 1 s speech, 1 s silence, 2 s speech
    assert window.length_s == 5
    assert window.place(1.25, 1.75) == (0.25, 0.75)
    assert window.place(3.5, 4.0) == (100.5, 101.0)
    assert window.place(4.5, 6.0) == (101.5, 102.0)
    assert window.place(2.9, 3.5) == (100.0, 100.5)


def test_a_short_pause_in_a_window_is_kept_as_it_was() -> None:
    spans = (Span(0, RATE, 0), Span(round(1.5 * RATE), 2 * RATE, round(1.5 * RATE)))
    window = Window(spans)
    samples = np.arange(2 * RATE, dtype=np.float32)
    assert window.length_s == 3
    assert list(window.sound(samples)[RATE:]) == list(samples)
    assert window.place(2.6, 2.9) == (1.6, 1.9)


def _languages(tmp_path: Path, park: np.ndarray, *chances: dict[str, float]) -> list[str]:
    """Languages of the windows of three sayings, one window each."""
    settings = Settings(home=tmp_path, speech_window_s=11, speech_language="")
    sound = np.concatenate([part for _ in range(3) for part in (park, park, _silence(1.5))])
    heard = Voice(settings).transcribe(sound, _Counter(*chances))
    assert len(heard.segments) == 3
    return [segment.language for segment in heard.segments]


def test_a_sure_change_of_language_is_followed(tmp_path: Path, park: np.ndarray) -> None:
    english, german = {"en": 0.9, "de": 0.1}, {"en": 0.1, "de": 0.9}
    assert _languages(tmp_path, park, english, german, german) == ["en", "de", "de"]


def test_an_unsure_window_keeps_the_language_before(tmp_path: Path, park: np.ndarray) -> None:
    german, unclear = {"de": 0.8, "yi": 0.2}, {"yi": 0.5, "de": 0.3}
    assert _languages(tmp_path, park, german, unclear, german) == ["de", "de", "de"]


def test_an_unclear_beginning_is_decided_with_what_follows(
    tmp_path: Path, park: np.ndarray
) -> None:
    german, unclear = {"de": 0.8, "yi": 0.2}, {"yi": 0.45, "de": 0.35}
    assert _languages(tmp_path, park, unclear, german, german, german) == ["de"] * 3


def test_spans_that_touch_are_not_heard_twice() -> None:
    first, second = padded([(RATE, 2 * RATE), (2 * RATE + 1600, 3 * RATE)], 4 * RATE)
    assert first.end == second.start == 2 * RATE + 800
    assert (first.start, second.end) == (RATE - 3200, 3 * RATE + 3200)


def _micro_checkpoint(path: Path) -> None:
    """A random whisper of one layer in OpenAI's own form."""
    torch.manual_seed(0)
    dims = whisper.model.ModelDimensions(80, 1500, 32, 2, 1, 51865, 448, 32, 2, 1)
    state = whisper.model.Whisper(dims).state_dict()
    torch.save({"dims": dims.__dict__, "model_state_dict": state}, path)


def test_openai_whisper_opens_a_checkpoint_and_stays_quiet_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "micro.pt"
    _micro_checkpoint(path)
    settings = Settings(home=tmp_path, speech_model=str(path), torch_threads=1)
    model = open_speech(settings)
    assert identify(settings)["speech"] == model.ref
    assert model.ref.name == "micro"
    assert model.transcribe(_silence(10)).segments == ()


def test_a_file_that_is_no_whisper_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.pt"
    torch.save({"dims": {"n_mels": 80}, "model_state_dict": {}}, path)
    with pytest.raises(WeightsMismatch, match=r"broken.pt is not a whisper checkpoint"):
        open_speech(Settings(home=tmp_path, speech_model=str(path)))
