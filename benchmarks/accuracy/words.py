"""Are words heard, at the right time, in the right language, and only where somebody speaks?

Truth: programmes of several minutes spoken by espeak-ng (seeded; one a language, one where languages
follow each other) and sounds without speech. `--folder F` takes your own: NAME.wav or NAME.mp4 beside
NAME.json, a list of {"start_s", "end_s", "text", "language"}; an empty list means that nobody speaks.
"""

import argparse
import json
import re
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from figures import keep, tell
from spoken import NOBODY, SENTENCES, Said, programme, write

from dam_pipeline.media.sound import read_audio
from dam_pipeline.models import SpeechModel, Transcript, open_speech
from dam_pipeline.records import Word
from dam_pipeline.settings import Settings, load_settings

WITHIN_S = 0.3
HELD_OUT_SEED = 500
LENGTH_S = 100.0
SILENT_S = 30.0


@dataclass(frozen=True, slots=True)
class Labelled:
    """A file and what is said in it."""

    path: Path
    said: tuple[Said, ...]


@dataclass
class Tally:
    """What was right and wrong so far; offsets in seconds."""

    sentences: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    words: list[float] = field(default_factory=list)
    missed: int = 0
    errors: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    spoken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    language: list[bool] = field(default_factory=list)
    file_language: list[bool] = field(default_factory=list)
    false_words: int = 0
    silent_s: float = 0.0

    def figures(self) -> dict[str, float | int]:
        """The figures by name."""
        found: dict[str, float | int] = {
            "sentences": len(self.sentences) + self.missed,
            "sentences not heard at all": self.missed,
        }
        for name, offsets in (
            ("sentence starts", self.sentences),
            ("sentence ends", self.ends),
            ("word starts", self.words),
        ):
            if offsets:
                found[f"{name} within {WITHIN_S} s"] = float(np.mean(np.abs(offsets) <= WITHIN_S))
                found[f"{name}, worst, s"] = float(np.max(np.abs(offsets)))
        for language, count in self.spoken.items():
            found[f"word error rate, {language}"] = self.errors[language] / count
        if self.language:
            found["sentences in the right language"] = float(np.mean(self.language))
            found["files in the right language"] = float(np.mean(self.file_language))
        found["false words where nobody speaks"] = self.false_words
        found["seconds in which nobody speaks"] = self.silent_s
        return found


def plain(text: str) -> list[str]:
    """Words without case and marks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"[^\W_]+", folded.replace("'", " ").replace("’", " "))


def distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Words to insert, delete or replace to make one of the other (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            change = before + (left != right)
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, change)
    return row[-1]


def hold(tally: Tally, transcript: Transcript, said: Sequence[Said], length_s: float) -> None:
    """Hold a transcript against the truth of one file."""
    words = [(word, segment.language) for segment in transcript.segments for word in segment.words]
    if not said:
        tally.false_words += len(words)
        tally.silent_s += length_s
        return
    taken: set[int] = set()
    for one in said:
        inside = [
            at
            for at, (word, _) in enumerate(words)
            if one.start_s - WITHIN_S <= (word.start_s + word.end_s) / 2 <= one.end_s + WITHIN_S
            and at not in taken
        ]
        taken.update(inside)
        heard = [words[at] for at in inside]
        _hold_sentence(tally, one, [word for word, _ in heard], [found for _, found in heard])
    tally.false_words += len(words) - len(taken)
    tally.silent_s += length_s - sum(one.end_s - one.start_s for one in said)
    spoken: dict[str, float] = defaultdict(float)
    for one in said:
        spoken[one.language] += one.end_s - one.start_s
    tally.file_language.append(transcript.language == max(spoken, key=lambda name: spoken[name]))


def _hold_sentence(tally: Tally, said: Said, heard: list[Word], languages: list[str]) -> None:
    truth = plain(said.text)
    parts = [(part, word.start_s) for word in heard for part in plain(word.text)]
    tally.spoken[said.language] += len(truth)
    tally.errors[said.language] += distance(truth, [part for part, _ in parts])
    if not heard:
        tally.missed += 1
        return
    tally.sentences.append(heard[0].start_s - said.start_s)
    tally.ends.append(heard[-1].end_s - said.end_s)
    tally.language.append(max(set(languages), key=languages.count) == said.language)
    starts = [(part, at) for at, word in said.words for part in plain(word)]
    rows = SequenceMatcher(None, [p for p, _ in starts], [p for p, _ in parts], autojunk=False)
    for block in rows.get_matching_blocks():
        for step in range(block.size):
            tally.words.append(parts[block.b + step][1] - starts[block.a + step][1])


def generated(folder: Path, seed: int) -> Iterator[Labelled]:
    """Programmes of each language, one of all, and sounds without speech."""
    plans = [[language] for language in SENTENCES] + [list(SENTENCES)]
    for number, languages in enumerate(plans):
        path = folder / f"programme-{'-'.join(languages)}.wav"
        ground = (0.0, 0.002, 0.006)[number % 3]
        sound, said = programme(seed + number, languages, LENGTH_S, ground)
        write(path, sound)
        yield Labelled(path, tuple(said))
    for number, (name, make) in enumerate(NOBODY.items()):
        path = folder / f"{name}.wav"
        write(path, make(np.random.default_rng(seed + number), SILENT_S))
        yield Labelled(path, ())


def labelled(folder: Path) -> Iterator[Labelled]:
    """Files of a folder beside their labels."""
    for labels in sorted(folder.glob("*.json")):
        path = next((p for p in folder.glob(f"{labels.stem}.*") if p.suffix != ".json"), None)
        if path is None:
            raise SystemExit(f"There is no sound beside {labels}.")
        said = (Said(**{**one, "words": ()}) for one in json.loads(labels.read_text()))
        yield Labelled(path, tuple(said))


def transcribe(path: Path, model: SpeechModel, scratch: Path) -> tuple[Transcript, float]:
    """What the pipeline hears in a file, as its stage does, and the file's length."""
    track = read_audio(str(path), scratch / "samples.f32", lambda _share: None)
    if track is None or not track.samples:
        return Transcript((), "", 0.0), 0.0
    samples = np.memmap(scratch / "samples.f32", "<f4", "r", shape=(track.samples,))
    return model.transcribe(samples), track.samples / track.sample_rate_hz


def measure(files: Iterator[Labelled], settings: Settings, scratch: Path) -> Tally:
    """Listen to all files; each is told as it is done."""
    tally, model = Tally(), open_speech(settings)
    for one in files:
        transcript, length_s = transcribe(one.path, model, scratch)
        hold(tally, transcript, one.said, length_s)
        count = sum(len(segment.words) for segment in transcript.segments)
        tell(f"  {one.path.name}: {count} words in {length_s:.0f} s, {transcript.language}")
    return tally


def main() -> None:
    """Make or read the truth, listen, tell and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--window", type=float, help="DAM_SPEECH_WINDOW_S instead of the default")
    parser.add_argument("--folder", type=Path, help="labelled files instead of generated ones")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dam-words-") as name:
        scratch = Path(name)
        settings = load_settings(scratch).model_copy(update={"profile": "bundled"})
        if options.window:
            settings = settings.model_copy(update={"speech_window_s": options.window})
        files = labelled(options.folder) if options.folder else generated(scratch, options.seed)
        tally = measure(files, settings, scratch)
        truth = f"labelled files of {options.folder}" if options.folder else (
            f"espeak-ng, seed {options.seed}, whisper base: synthetic speech"
        )  # fmt: skip
        keep("words", tally.figures(), truth)


if __name__ == "__main__":
    main()
