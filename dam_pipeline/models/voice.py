"""From sound to text on the file's own time axis, around any whisper.

The gate (silero) finds where someone speaks; stretches without speech never reach the recogniser,
which would invent words there. Speech is joined into windows of limited length, cut at silences,
and what was heard is put back where it was said. The networks themselves live elsewhere.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from dam_pipeline.models.silero import SAMPLE_RATE_HZ, Silero
from dam_pipeline.records import ModelRef, Segment, Word
from dam_pipeline.settings import Settings

Progress = Callable[[float], None]  # share of the work done, 0–1

THRESHOLD = 0.5  # chance from which a frame is speech; silero's own default
LEAST_SPEECH_MS = 250  # shorter bursts are coughs and clicks
LEAST_SILENCE_MS = 500  # shorter pauses stay inside a span, so whisper hears natural speech
PAD_S = 0.2  # kept on both sides of a span, so that first and last sounds are not cut
ONSET_S = 0.05  # a word begins at most this long before the gate heard anything
JOIN_S = 1.0  # silence before a window's first span; what longer pauses between spans become
DONE_S = 0.6  # what is left of a window after this long before its last sound is silence
SPLIT_S = 1.0  # a pause of this length within one heard sentence makes two segments
SURE = 0.5  # chance from which a language is believed
SWITCH = 3.0  # how much likelier another language must be than the one before
LOOK_AHEAD = 2  # windows that help to decide the language of an unclear first one
_GATE_SHARE = 0.1  # of the progress that is reported


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said: segments in order, the language most spoken ('' without), seconds of speech."""

    segments: tuple[Segment, ...]
    language: str
    speech_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A sentence as a recogniser gives it, in seconds of the window that it was given."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]


class Recogniser(Protocol):
    """What a speech network does with a window: mono float32 16 kHz sound."""

    def languages(self, sound: np.ndarray) -> Mapping[str, float]:
        """The chance of each language in the first half minute of the sound."""

    def listen(self, sound: np.ndarray, language: str) -> Iterable[Heard]:
        """Sentences in order, as they are heard."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples [start, end) of the file in which someone speaks, from `onset` on."""

    start: int
    end: int
    onset: int

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Window:
    """Spans that the recogniser hears as one piece: after JOIN_S of silence, long pauses cut to it."""

    spans: tuple[Span, ...]

    @property
    def length_s(self) -> float:
        """Its length in seconds, silences included."""
        return sum(span.length_s for span in self.spans) + sum(self._pauses_s())

    def sound(self, samples: np.ndarray) -> np.ndarray:
        """The spans' samples joined, float32; short pauses between them as they were."""
        silence = np.zeros(round(JOIN_S * SAMPLE_RATE_HZ), np.float32)
        pieces: list[np.ndarray] = []
        for at, (span, pause_s) in enumerate(zip(self.spans, self._pauses_s(), strict=True)):
            is_short = at and pause_s < JOIN_S
            before = samples[self.spans[at - 1].end : span.start] if is_short else silence
            pieces += [before, samples[span.start : span.end]]
        return np.concatenate(pieces).astype(np.float32, copy=False)

    def _pauses_s(self) -> list[float]:
        """The silence before each span in the window."""
        gaps = [(b.start - a.end) / SAMPLE_RATE_HZ for a, b in pairwise(self.spans)]
        return [JOIN_S, *(min(gap, JOIN_S) for gap in gaps)]

    def place(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Seconds on the file's axis of seconds in the window, inside the span they fall into."""
        span, offset_s = self._span_at((start_s + end_s) / 2)
        shift_s = span.start / SAMPLE_RATE_HZ - offset_s
        earliest = max(span.start / SAMPLE_RATE_HZ, span.onset / SAMPLE_RATE_HZ - ONSET_S)
        latest = span.end / SAMPLE_RATE_HZ
        start = min(max(start_s + shift_s, earliest), latest)
        return start, min(max(end_s + shift_s, start), latest)

    def _span_at(self, time_s: float) -> tuple[Span, float]:
        """The span that a time of the window belongs to, and where in the window it begins."""
        pauses_s = self._pauses_s()
        offset_s = pauses_s[0]
        for span, pause_s in zip(self.spans[:-1], pauses_s[1:], strict=True):
            if time_s < offset_s + span.length_s + pause_s / 2:
                return span, offset_s
            offset_s += span.length_s + pause_s
        return self.spans[-1], offset_s


class Voice:
    """The gate and the windows around one recogniser (most of port `SpeechModel`)."""

    def __init__(self, settings: Settings) -> None:
        self._gate = Silero(settings)
        self._settings = settings

    @property
    def ref(self) -> ModelRef:
        """The gate as provenance names it."""
        return self._gate.ref

    def transcribe(
        self, samples: np.ndarray, recogniser: Recogniser, on_progress: Progress | None = None
    ) -> Transcript:
        """What is said in mono float32 samples of 16 kHz (array or memmap), on their axis."""
        report = on_progress or (lambda share: None)
        spans = self.spans(samples, lambda share: report(_GATE_SHARE * share))
        pieces = list(windows(spans, self._settings.speech_window_s))
        total_s = sum(window.length_s for window in pieces)
        segments, spoken_s, done_s = list[Segment](), defaultdict[str, float](float), 0.0
        tongue = Tongue(self._settings.speech_language)
        for at, window in enumerate(pieces):
            sound = window.sound(samples)
            later = (one.sound(samples) for one in pieces[at + 1 : at + 1 + LOOK_AHEAD])
            language = tongue.of(sound, later, recogniser)
            for sentence in _until_done(recogniser.listen(sound, language), window.length_s):
                placed = place(sentence, window, language)
                spoken_s[language] += sum(one.end_s - one.start_s for one in placed)
                segments.extend(placed)
                heard_s = done_s + min(sentence.end_s, window.length_s)
                report(_GATE_SHARE + (1 - _GATE_SHARE) * heard_s / total_s)
            done_s += window.length_s
        report(1.0)
        main = max(spoken_s, key=lambda name: spoken_s[name], default="")
        return Transcript(tuple(segments), main, sum(span.length_s for span in spans))

    def spans(self, samples: np.ndarray, on_progress: Progress | None = None) -> list[Span]:
        """Where someone speaks; no span is longer than a window may be."""
        rule = _spans_rule()
        chances = self._gate.probabilities(samples, on_progress)
        found = rule(
            chances.tolist(),
            sampling_rate=SAMPLE_RATE_HZ,
            threshold=THRESHOLD,
            min_speech_duration_ms=LEAST_SPEECH_MS,
            max_speech_duration_s=self._settings.speech_window_s - 2 * (JOIN_S + PAD_S),
            min_silence_duration_ms=LEAST_SILENCE_MS,
            speech_pad_ms=0,
            audio_length_samples=len(samples),
        )
        return padded([(int(span["start"]), int(span["end"])) for span in found], len(samples))


class Tongue:
    """The language of each window: detected, but changed only for good reason.

    Half a minute of unclear speech is often taken for a related language. So a change needs a chance
    of `SURE` and `SWITCH` times that of the language before, and an unclear beginning is decided
    together with the windows after it.
    """

    def __init__(self, known: str) -> None:
        self._known = known
        self._before = ""

    def of(self, sound: np.ndarray, later: Iterable[np.ndarray], recogniser: Recogniser) -> str:
        """The language of a window's sound; `later` are the windows after it."""
        if self._known:
            return self._known
        chances = Counter(recogniser.languages(sound))
        if not self._before:
            for count, more in enumerate(later, start=1):
                if max(chances.values()) >= SURE * count:
                    break
                chances.update(recogniser.languages(more))
            self._before = max(chances, key=lambda name: chances[name])
        best = max(chances, key=lambda name: chances[name])
        if chances[best] >= max(SURE, SWITCH * chances[self._before]):
            self._before = best
        return self._before


def _until_done(sentences: Iterable[Heard], length_s: float) -> Iterator[Heard]:
    """Sentences up to the one that ends with the sound: a recogniser would go on into silence."""
    for sentence in sentences:
        yield sentence
        if sentence.end_s >= length_s - PAD_S - DONE_S:
            return


def padded(found: Sequence[tuple[int, int]], length: int) -> list[Span]:
    """Spans of samples with PAD_S more on both sides, or half of a shorter silence between two."""
    pad = round(PAD_S * SAMPLE_RATE_HZ)
    spans = []
    for index, (onset, end) in enumerate(found):
        before = (found[index - 1][1] + onset) // 2 if index else 0
        after = (end + found[index + 1][0]) // 2 if index + 1 < len(found) else length
        spans.append(Span(max(before, onset - pad), min(after, end + pad), onset))
    return spans


def windows(spans: Sequence[Span], longest_s: float) -> Iterator[Window]:
    """Spans in order, as many to a window as fit into its length; cuts fall into silences."""
    held: list[Span] = []
    for span in spans:
        if held and Window((*held, span)).length_s > longest_s:
            yield Window(tuple(held))
            held = []
        held.append(span)
    if held:
        yield Window(tuple(held))


def place(heard: Heard, window: Window, language: str) -> list[Segment]:
    """The heard sentence on the file's axis; a long pause inside it makes several segments."""
    if not heard.words:
        start_s, end_s = window.place(heard.start_s, heard.end_s)
        text = heard.text.strip()
        return [Segment(start_s, end_s, text, language)] if text else []
    groups: list[list[Word]] = []
    for word in heard.words:
        start_s, end_s = window.place(word.start_s, word.end_s)
        moved = replace(word, start_s=start_s, end_s=end_s)
        if not groups or start_s - groups[-1][-1].end_s >= SPLIT_S:
            groups.append([])
        groups[-1].append(moved)
    texts = [heard.text] if len(groups) == 1 else ["".join(w.text for w in g) for g in groups]
    return [
        _segment(group, text.strip(), language)
        for group, text in zip(groups, texts, strict=True)
        if text.strip()
    ]


def _segment(words: list[Word], text: str, language: str) -> Segment:
    kept = tuple(replace(word, text=word.text.strip()) for word in words if word.text.strip())
    return Segment(words[0].start_s, words[-1].end_s, text, language, kept)


def _spans_rule() -> Callable[..., list[dict[str, float]]]:
    """silero-vad's own rule from probabilities to spans; importing it sets torch to one thread."""
    import torch

    threads = torch.get_num_threads()
    from silero_vad.utils_vad import (
        get_speech_timestamps_from_probs,
    )

    torch.set_num_threads(threads)
    rule: Callable[..., list[dict[str, float]]] = get_speech_timestamps_from_probs
    return rule
