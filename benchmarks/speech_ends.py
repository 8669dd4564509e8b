"""Where a stretch of speech should end: the choice of ``SURE``.

A recording of the utterances in a folder is made as in benchmarks/timeline.py,
with another seed. Its speech is found once for each probability that a
stretch's last frame may need; 0 leaves Silero's own end. An end that is found
within 0.2 s is counted for each kind of sound that follows it.

python benchmarks/speech_ends.py FOLDER [--leave_out RUN/fold_1/predictions.csv]

FOLDER holds wavs, named by their id. Those of the predictions, on which
benchmarks/timeline.py judges, are left out.
"""

import tempfile
from pathlib import Path

import numpy as np
import soundfile
from timeline import NOISES, RATE, TOLERANCE, edges_found, make_recording
from timing import begin, parser, save

from speechbrain_ptssnn.audio import MonoAudio, load_audio
from speechbrain_ptssnn.audio.speech import SpeechFinder
from speechbrain_ptssnn.evaluation.predictions import read_predictions

SURE = (0, 0.5, 0.6, 0.7, 0.8, 0.9)


def ends_by_noise(truth, speech):
    """Share of ends found within 0.2 s, by the noise that follows."""
    ends = np.array([row[1] for row in truth])
    found = np.array([end for _, end in speech])
    hits = np.abs(found - ends[:, None]).min(1) <= TOLERANCE
    n = len(NOISES)  # before utterance k stands noise k, in turn
    return {
        str(noise): float(hits[(k - 1) % n :: n].mean())
        for k, noise in enumerate(NOISES)
    }


def main():
    """Measures each probability."""
    arguments = parser(__doc__, "speech_ends.json")
    arguments.add_argument("folder")
    arguments.add_argument("--leave_out")
    arguments.add_argument("--minutes", type=float, default=20)
    args = begin(arguments)
    tested = set()
    if args.leave_out:
        tested = {row["id"] for row in read_predictions(Path(args.leave_out))}
    files = sorted(Path(args.folder).rglob("*.wav"))
    mono = MonoAudio(RATE)
    utterances = [
        (load_audio(file, mono).numpy(), "")
        for file in files
        if file.stem not in tested
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "recording.wav"))
        truth = make_recording(path, utterances, args.minutes, seed=1)
        wav, _ = soundfile.read(path, dtype="float32")
    finder, results = SpeechFinder(), {}
    finder(wav)
    for sure in SURE:
        # Above 1 no frame is sure, so Silero's own end stands.
        finder.sure = sure or 2
        speech = finder.finish()
        results[sure] = {
            **edges_found(truth, speech),
            "ends_before": ends_by_noise(truth, speech),
            "stretches": len(speech),
        }
        print(sure, results[sure])
    print(f"{len(truth)} of {len(utterances)} utterances")
    save(
        args.output,
        utterances=len(truth),
        of=len(utterances),
        minutes=args.minutes,
        results=results,
    )


if __name__ == "__main__":
    main()
