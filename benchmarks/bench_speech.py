"""How long does the stage `transcript` take, against the bare speech model on the same file?

Ours: sound decoded in the child process, voice gate, windows, model, words put back on the file's axis.
Bare: `WhisperModel.transcribe` of the same path with the same parameters, precision and threads, which
decodes by itself. Models are loaded beforehand on both sides; both take turns. The sound is English by
espeak-ng with pauses, music in some of the long ones. `bare with its own gate` is told beside it.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
from pipeline import Took, timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.media.decoder import Decoder
from dam_pipeline.models import SpeechModel, open_speech
from dam_pipeline.models.whisper_faster import BEAM
from dam_pipeline.settings import load_settings

sys.path.insert(0, str(Path(__file__).with_name("accuracy")))
from spoken import programme, write

SEED = 77


def hear(path: Path, decoder: Decoder, model: SpeechModel, scratch: Path) -> int:
    """What the stage does with a file; gives the number of words."""
    import numpy as np

    track = decoder.audio(path, scratch / "samples.f32")
    if track is None:
        raise SystemExit("The file has no sound")
    samples = np.memmap(scratch / "samples.f32", "<f4", "r", shape=(track.samples,))
    return sum(len(segment.words) for segment in model.transcribe(samples).segments)


def hear_bare(path: Path, whisper: Any, *, gated: bool = False) -> int:
    """faster-whisper by itself; gives the number of words."""
    segments, _ = whisper.transcribe(
        str(path),
        beam_size=BEAM,
        word_timestamps=True,
        condition_on_previous_text=False,
        vad_filter=gated,
    )
    return sum(len(segment.words or ()) for segment in segments)


def main() -> None:
    """Make the sound, take turns, tell and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=machine.threads(), help="of the model")
    parser.add_argument("--seconds", type=float, default=180)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        scratch = Path(name)
        settings = load_settings(scratch / "home").model_copy(
            update={"profile": "bundled", "torch_threads": options.threads}
        )
        sound, said = programme(SEED, ["en"], options.seconds)
        write(scratch / "speech.wav", sound)
        model = open_speech(settings)
        bare = _bare_model(settings.weights_dir / "whisper-base-ct2", options.threads)
        speech_s = sum(one.end_s - one.start_s for one in said)
        tell(
            f"input     {options.seconds:.0f} s of sound, {speech_s:.0f} s of it speech, "
            f"{sum(len(one.words) for one in said)} words; {options.threads} threads"
        )
        with Decoder(settings) as decoder:
            work: dict[str, Callable[[], int]] = {
                "ours": lambda: hear(scratch / "speech.wav", decoder, model, scratch),
                "bare": lambda: hear_bare(scratch / "speech.wav", bare),
                "bare with its own gate": lambda: hear_bare(
                    scratch / "speech.wav", bare, gated=True
                ),
            }
            hear(scratch / "speech.wav", decoder, model, scratch)  # imports and the decoder's start
            times = take_turns(work, options.repeats)
    ours, own = middle([one.wall_s for one in times["ours"]]), times["bare"]
    keep(Figure("speech", ours, middle([one.wall_s for one in own]), "s", options.repeats), here)


def take_turns(work: dict[str, Callable[[], int]], repeats: int) -> dict[str, list[Took]]:
    """Each piece of work once a turn; its times and its words are told."""
    times: dict[str, list[Took]] = {name: [] for name in work}
    words: dict[str, int] = {}
    for _ in range(repeats):
        for name, act in work.items():
            found: list[int] = []
            times[name].append(timed(lambda act=act, found=found: found.append(act())))
            words[name] = found[0]
    for name, took in times.items():
        wall, cpu = middle([t.wall_s for t in took]), middle([t.cpu_s for t in took])
        tell(f"  {name:<24} {wall:6.2f} s, {cpu:6.2f} CPU s, {words[name]} words")
    return times


def _bare_model(folder: Path, threads: int) -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(folder),
        device="cpu",
        compute_type="int8",
        cpu_threads=threads,
        local_files_only=True,
    )


if __name__ == "__main__":
    main()
