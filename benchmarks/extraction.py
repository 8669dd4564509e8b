"""Times frozen front-ends on real audio, and their peak memory.

python benchmarks/extraction.py AUDIO_FOLDER --whisper=FOLDER [--threads 1 2]

The first line of each model is the whole model on Whisper's whole window in
float32, as it was before layers, window and precision could be chosen; the
others are compared with it. wav2vec 2.0 has random weights in its real size.
Each measurement is a process of its own, and they take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers
from timing import save

from speechbrain_ptssnn.audio import MonoAudio, load_audio
from speechbrain_ptssnn.backbones import Fbank, HuggingFace
from speechbrain_ptssnn.deploy.classify import find_audio
from speechbrain_ptssnn.utils.memory import bound_kernel_cache
from speechbrain_ptssnn.utils.text_tables import columns

# By model: (layer, window, precision).
SETTINGS = {
    "whisper": [
        ("last", "full", "fp32"),
        ("3", "full", "fp32"),
        ("3", "audio", "fp32"),
        ("3", "audio", "bf16"),
        ("4", "audio", "bf16"),
        ("last", "audio", "bf16"),
    ],
    "wav2vec2": [
        ("last", "full", "fp32"),
        ("last", "full", "bf16"),
        ("6", "full", "fp32"),
        ("6", "full", "bf16"),
        ("4", "full", "bf16"),
    ],
    "fbank": [("last", "full", "fp32")],
}


def build(model, source, layer, window, precision):
    """Returns a front-end."""
    if model == "fbank":
        return Fbank()
    backbone = HuggingFace(source, layer=layer, window=window)
    backbone.to_precision(precision)
    return backbone


def measure(files, threads, *settings):
    """Prints the seconds of audio, of computing, and the peak memory."""
    bound_kernel_cache()
    torch.set_num_threads(threads)
    backbone = build(*settings)
    mono = MonoAudio(backbone.sample_rate)
    wavs = [load_audio(file, mono) for file in files]
    for wav in wavs[:2]:
        backbone(wav)
    start = time.perf_counter()
    for wav in wavs:
        backbone(wav)
    seconds = time.perf_counter() - start
    audio = sum(map(len, wavs)) / backbone.sample_rate
    print(json.dumps([audio, seconds, peak_memory()]))


def peak_memory():
    """Peak memory of this process in MB. (``ru_maxrss`` begins with that of
    the process that started it.)
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (x for x in status.splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def save_wav2vec2(folder):
    """Writes a base model with random weights."""
    torch.manual_seed(0)
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).save_pretrained(
        folder
    )
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)


def main():
    """Runs all settings in turn and prints a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio_folder")
    parser.add_argument("--whisper", help="local folder of whisper-base")
    parser.add_argument("--models", nargs="+", default=list(SETTINGS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--output", default="benchmarks/results/extraction.json"
    )
    parser.add_argument("--one", help="internal: one measurement, as JSON")
    args = parser.parse_args()
    if args.one:
        measure(*json.loads(args.one))
        return
    found = find_audio([args.audio_folder])
    files = found[:: max(len(found) // args.files, 1)][: args.files]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        save_wav2vec2(folder)
        sources = {"whisper": args.whisper, "wav2vec2": folder, "fbank": ""}
        for threads in args.threads:
            for model in args.models:
                rows += compare(files, threads, model, sources[model], args)
    save(args.output, files=len(files), rows=rows)


def compare(files, threads, model, source, args):
    """Measures a model's settings in turn; prints and returns their medians."""
    runs = {setting: [] for setting in SETTINGS[model]}
    for _ in range(args.repeats):
        for setting, outcomes in runs.items():
            one = json.dumps([files, threads, model, source, *setting])
            command = [
                sys.executable,
                __file__,
                args.audio_folder,
                "--one",
                one,
            ]
            out = subprocess.run(
                command, check=True, capture_output=True, text=True
            ).stdout
            outcomes.append(json.loads(out.splitlines()[-1]))
    rows, lines = [], []
    for setting, outcomes in runs.items():
        speed = statistics.median(audio / s for audio, s, _ in outcomes)
        row = {
            "model": model,
            "threads": threads,
            **dict(zip(("layer", "window", "precision"), setting, strict=True)),
            "audio seconds a second": round(speed, 2),
            "peak MB": round(max(peak for *_, peak in outcomes)),
        }
        rows.append(row)
        times = speed / rows[0]["audio seconds a second"]
        lines.append([*setting, f"{speed:.1f}", f"{times:.2f}", row["peak MB"]])
    header = ["layer", "window", "precision", "audio s/s", "times", "peak MB"]
    print(f"\n{model}, {threads} thread(s), {len(files)} files:")
    cells = [[str(cell) for cell in line] for line in lines]
    print("\n".join(columns([header, *cells])), flush=True)
    return rows


if __name__ == "__main__":
    main()
