"""Spoken truth: espeak-ng's sentences with the time of every word, and sounds in which nobody speaks.

espeak-ng tells when each word begins, so starts are exact. Voice, pitch, pace, pauses and grounds follow
a seed. Synthetic speech is not people's speech: it shows that times and languages are kept, and flatters
or hurts word error rates in ways that recordings would not.
"""

import ctypes
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

RATE_HZ = 22_050  # espeak-ng's own
VOICES = {"en": ("en-us", "en"), "de": ("de",), "fr": ("fr",), "es": ("es",)}
LOUDNESS = 0.15  # root mean square of speech
_WORD_EVENT, _LAST_EVENT, _UTF8, _RATE, _PITCH = 1, 0, 1, 1, 3

SENTENCES = {
    "en": (
        "The fishermen come home before the storm.",
        "Our train leaves the station at half past seven.",
        "She painted the old wooden door dark green.",
        "Nobody expected the river to rise so quickly.",
        "We need two cameras and a second microphone for the interview.",
        "The children are playing football behind the school.",
        "In winter the lake is frozen for three months.",
        "He repairs bicycles in a small workshop near the harbour.",
        "The museum will open its new wing in September.",
        "Please close the window before you leave the kitchen.",
        "Farmers bring fresh vegetables to the market every morning.",
        "The orchestra rehearsed the second movement for an hour.",
        "A strong wind broke the mast of the sailing boat.",
        "My grandmother bakes bread in a stone oven.",
        "The scientists measured the temperature of the ocean.",
        "Many people were waiting for the last bus.",
    ),
    "de": (
        "Die Fischer kommen vor dem Sturm nach Hause.",
        "Unser Zug fährt um halb acht vom Bahnhof ab.",
        "Im Winter ist der See drei Monate lang zugefroren.",
        "Die Kinder spielen hinter der Schule Fußball.",
        "Niemand hat erwartet, dass der Fluss so schnell steigt.",
        "Bitte schließen Sie das Fenster, bevor Sie die Küche verlassen.",
        "Die Bauern bringen jeden Morgen frisches Gemüse auf den Markt.",
        "Das Museum wird im September einen neuen Flügel eröffnen.",
    ),
    "fr": (
        "Les pêcheurs rentrent à la maison avant la tempête.",
        "Notre train quitte la gare à sept heures et demie.",
        "En hiver, le lac est gelé pendant trois mois.",
        "Les enfants jouent au football derrière l'école.",
        "Personne ne pensait que la rivière monterait si vite.",
        "Le musée ouvrira une nouvelle salle en septembre.",
        "Ma grand-mère prépare du pain dans un four en pierre.",
        "Beaucoup de gens attendaient le dernier autobus.",
    ),
    "es": (
        "Los pescadores vuelven a casa antes de la tormenta.",
        "Nuestro tren sale de la estación a las siete y media.",
        "En invierno el lago está helado durante tres meses.",
        "Los niños juegan al fútbol detrás de la escuela.",
        "Nadie esperaba que el río subiera tan rápido.",
        "El museo abrirá una sala nueva en septiembre.",
        "Mi abuela prepara pan en un horno de piedra.",
        "Mucha gente esperaba el último autobús.",
    ),
}


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence on a file's axis; `words` are their starts and texts, empty where unknown."""

    start_s: float
    end_s: float
    text: str
    language: str
    words: tuple[tuple[float, str], ...] = ()


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_HEAR = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Speaker:
    """espeak-ng through its library, for the times of its words; one a process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        if self._library.espeak_Initialize(1, 0, None, 0) != RATE_HZ:
            raise SystemExit("espeak-ng does not start: install espeak-ng")

    def speak(
        self, text: str, language: str, voice: str, words_per_minute: int, pitch: int = 50
    ) -> "Spoken":
        """One sentence without the silence around it."""
        pieces: list[np.ndarray] = []
        starts: list[tuple[float, str]] = []

        def hear(samples: object, count: int, events: object) -> int:
            if count:
                pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
            at = 0
            while events[at].type != _LAST_EVENT:  # type: ignore[index]
                event = events[at]  # type: ignore[index]
                if event.type == _WORD_EVENT and event.length:
                    first = event.text_position - 1
                    word = text[first : first + event.length]
                    starts.append((event.audio_position_ms / 1000, word))
                at += 1
            return 0

        kept = _HEAR(hear)
        self._library.espeak_SetSynthCallback(kept)
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        raw = text.encode()
        self._library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return Spoken.trimmed(np.concatenate(pieces), starts, text, language)


@cache
def the_speaker() -> Speaker:
    """The speaker of this process: the library hangs when it is initialised twice."""
    return Speaker()


@dataclass(frozen=True, slots=True)
class Spoken:
    """The sound (float32, `RATE_HZ`) of a sentence, with the starts of its words in it."""

    sound: np.ndarray
    words: tuple[tuple[float, str], ...]
    text: str
    language: str

    @classmethod
    def trimmed(
        cls, samples: np.ndarray, starts: Sequence[tuple[float, str]], text: str, language: str
    ) -> "Spoken":
        """At `LOUDNESS`, from the first sound that can be heard to the last."""
        sound = samples.astype(np.float32) / 32768
        loud = np.flatnonzero(abs(sound) > 0.01)
        first_s = loud[0] / RATE_HZ
        sound = sound[loud[0] : loud[-1]]
        sound = sound * (LOUDNESS / np.sqrt(np.mean(sound**2)))
        words = tuple((max(float(at - first_s), 0.0), word) for at, word in starts)
        return cls(sound, words, text, language)

    def at(self, start_s: float) -> Said:
        """Itself on a file's axis."""
        words = tuple((start_s + at, word) for at, word in self.words)
        return Said(start_s, start_s + len(self.sound) / RATE_HZ, self.text, self.language, words)


def sentence(speaker: Speaker, random: np.random.Generator, language: str) -> Spoken:
    """A sentence of a language by a voice and at a pace of chance."""
    text = str(random.choice(SENTENCES[language]))
    voice, pace = str(random.choice(VOICES[language])), int(random.integers(120, 150))
    return speaker.speak(text, language, voice, pace, int(random.integers(42, 62)))


def programme(
    seed: int, languages: Sequence[str], length_s: float, ground: float = 0.002
) -> tuple[np.ndarray, list[Said]]:
    """A file's sound and truth: sentences at chance times, music between some, hiss below all.

    `languages` follow each other in equal parts of the file. Pauses last 0.3 to 8 s.
    """
    speaker, random = the_speaker(), np.random.default_rng(seed)
    sound = random.normal(0, ground, round(length_s * RATE_HZ)).astype(np.float32)
    said: list[Said] = []
    at_s = float(random.uniform(0.5, 6))
    while True:
        part = min(int(at_s / length_s * len(languages)), len(languages) - 1)
        spoken = sentence(speaker, random, languages[part])
        one = spoken.at(at_s)
        if one.end_s > length_s - 0.5:
            return sound, said
        _mix(sound, spoken.sound, at_s)
        said.append(one)
        pause_s = float(random.choice([0.3, 0.6, 1.0, 2.5, 8.0]) * random.uniform(0.9, 1.3))
        if pause_s > 6:
            kind = list(NOBODY)[int(random.integers(len(NOBODY)))]
            _mix(sound, 0.3 * NOBODY[kind](random, pause_s - 2), one.end_s + 1)
        at_s = one.end_s + pause_s


def _mix(sound: np.ndarray, piece: np.ndarray, at_s: float) -> None:
    start = round(at_s * RATE_HZ)
    room = sound[start : start + len(piece)]
    room += piece[: len(room)]


def _axis(length_s: float) -> np.ndarray:
    return np.arange(round(length_s * RATE_HZ)) / RATE_HZ


def chords(random: np.random.Generator, length_s: float) -> np.ndarray:
    """Struck chords with overtones, a new one each beat."""
    time_s, beat_s = _axis(length_s), float(random.uniform(0.4, 1.2))
    sound = np.zeros_like(time_s)
    for beat in range(int(length_s / beat_s) + 1):
        inside = (time_s >= beat * beat_s) & (time_s < (beat + 1) * beat_s)
        since = time_s[inside] - beat * beat_s
        root = 110 * 2 ** (random.integers(0, 24) / 12)
        for step in (0, *random.choice([3, 4, 7, 10, 12], 2, replace=False)):
            for overtone in range(1, 5):
                tone = root * 2 ** (step / 12) * overtone
                sound[inside] += np.sin(2 * np.pi * tone * since) * np.exp(-3 * since) / overtone
    return (0.06 * sound).astype(np.float32)


def drums(random: np.random.Generator, length_s: float) -> np.ndarray:
    """Kick and snare: falling tones and bursts of noise."""
    time_s, beat_s = _axis(length_s), float(random.uniform(0.3, 0.6))
    since, beat = time_s % beat_s, (time_s // beat_s).astype(int)
    kick = np.sin(2 * np.pi * 60 * since) * np.exp(-12 * since) * (beat % 2 == 0)
    snare = random.normal(0, 0.5, len(time_s)) * np.exp(-25 * since) * (beat % 2 == 1)
    return (0.5 * (kick + snare)).astype(np.float32)


def melody(random: np.random.Generator, length_s: float) -> np.ndarray:
    """A line with vibrato that swells and falls, near the range of a voice."""
    time_s = _axis(length_s)
    notes = 220 * 2 ** (random.integers(0, 18, int(length_s / 0.5) + 2) / 12)
    tone = notes[(time_s / 0.5).astype(int)] * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * time_s))
    phase = 2 * np.pi * np.cumsum(tone) / RATE_HZ
    swell = np.sin(np.pi * (time_s % 0.5) / 0.5)
    return (0.15 * swell * (np.sin(phase) + 0.5 * np.sin(2 * phase))).astype(np.float32)


def noise(random: np.random.Generator, length_s: float) -> np.ndarray:
    """Loud hiss whose strength wanders, as wind has."""
    strength = np.interp(_axis(length_s), np.arange(0, length_s + 2), random.uniform(
        0.02, 0.2, len(np.arange(0, length_s + 2))))  # fmt: skip
    return (random.normal(0, 1, len(strength)) * strength).astype(np.float32)


def hum(random: np.random.Generator, length_s: float) -> np.ndarray:
    """Mains hum with its harmonics."""
    time_s = _axis(length_s)
    tones = (np.sin(2 * np.pi * 50 * k * time_s) / k for k in (1, 2, 3, 5))
    return (0.1 * sum(tones)).astype(np.float32)


def silence(random: np.random.Generator, length_s: float) -> np.ndarray:
    """Nothing at all."""
    return np.zeros(round(length_s * RATE_HZ), np.float32)


NOBODY: dict[str, Callable[[np.random.Generator, float], np.ndarray]] = {
    "chords": chords,
    "drums": drums,
    "melody": melody,
    "noise": noise,
    "hum": hum,
    "silence": silence,
}


def write(path: Path, sound: np.ndarray) -> None:
    """Write float32 sound as a mono WAV of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
