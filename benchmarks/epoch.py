"""Times an epoch of training the head in two ways: with features from the
store, and with a frozen wav2vec 2.0 (base size, random weights) in the loop,
which is usual in SpeechBrain.

python benchmarks/epoch.py --data_folder=/path/to/URDU [--batches 12]

The store holds noise of the shape of the backbone's features, because the time
to fill it is not measured. Both ways use the precision that the recipe chooses.
The usual way is timed for ``--batches`` batches, from whose mean the time of an
epoch is computed. The processor's seconds are given too, because other work on
the machine does not change them.
"""

import argparse
import tempfile
import time
from functools import partial

import soundfile
import torch
import transformers
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
from timing import save
from torchaudio.functional import resample

from speechbrain_ptssnn import PTSSNN, FocalSmoothingLoss
from speechbrain_ptssnn.backbones.base import Backbone
from speechbrain_ptssnn.corpora.registry import find_corpus
from speechbrain_ptssnn.features.store import FeatureStore
from speechbrain_ptssnn.recipe import training_precision
from speechbrain_ptssnn.utils.memory import keep_freed_memory


class Noise(Backbone):
    """Noise with as many frames and values as wav2vec 2.0 gives."""

    def __init__(self):
        super().__init__(16000, 50.0, 400)

    def extract(self, wav):
        return torch.randn((len(wav) - 400) // 320 + 1, 768)

    def fingerprint(self):
        return "noise"


def load_wav(path):
    """Reads and resamples a file, as the usual way does in every epoch."""
    samples, rate = soundfile.read(path, dtype="float32")
    return resample(torch.from_numpy(samples), rate, 16000)


def train(utterances, labels, load, extract, args, batches=None):
    """Trains for an epoch or for some batches.

    Returns the wall-clock and the processor seconds of an epoch, the number of
    batches that were trained and the number in an epoch.
    """
    torch.manual_seed(0)
    head = PTSSNN(768, len(labels)).to(args.device).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-4)
    loss = FocalSmoothingLoss()
    dataset = DynamicItemDataset(
        {
            u.id: {"wav": u.wav, "target": labels.index(u.label)}
            for u in utterances
        }
    )
    dataset.add_dynamic_item(load, takes=["id", "wav"], provides="data")
    dataset.set_output_keys(["data", "target"])
    loader = make_dataloader(dataset, batch_size=args.batch, shuffle=True)
    bf16 = training_precision("auto", args.device) == "bf16"
    done, start, processor = 0, time.perf_counter(), time.process_time()
    for batch in loader:
        batch = batch.to(args.device)
        data, lengths = batch.data
        with torch.no_grad():
            feats = extract(data, lengths)
        with torch.autocast(args.device, torch.bfloat16, bf16):
            rates = head(feats, lengths)
        loss(rates, batch.target).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done += 1
        if done == batches:
            break
    if "cuda" in args.device:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start, time.process_time() - processor
    return [each * len(loader) / done for each in seconds], done, len(loader)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--corpus", default="URDU")
    arguments.add_argument("--data_folder", required=True)
    arguments.add_argument("--batch", type=int, default=32)
    arguments.add_argument("--batches", type=int, default=2)
    arguments.add_argument(
        "--threads", type=int, default=torch.get_num_threads()
    )
    arguments.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    arguments.add_argument("--output", default="benchmarks/results/epoch.json")
    args = arguments.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    corpus = find_corpus(args.corpus)
    utterances = corpus.read(args.data_folder)
    run = partial(train, utterances, corpus.labels, args=args)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(folder, Noise(), utterances)
        store.fill()
        transformers.Wav2Vec2Model(
            transformers.Wav2Vec2Config()
        ).save_pretrained(f"{folder}/wav2vec2")
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(
            f"{folder}/wav2vec2"
        )
        backbone = Wav2Vec2(
            f"{folder}/wav2vec2", f"{folder}/cache", freeze=True
        ).to(args.device)
        results = {}
        for name, load, extract, batches in (
            ("store, first epoch", lambda i, _: store[i], lambda x, _: x, None),
            ("store", lambda i, _: store[i], lambda x, _: x, None),
            ("usual way", lambda _, wav: load_wav(wav), backbone, args.batches),
        ):
            (wall, processor), done, n = run(load, extract, batches=batches)
            results[name] = {"wall_s": wall, "processor_s": processor}
            print(
                f"{name}: {wall:.1f} s an epoch ({processor:.1f} s of the "
                f"processor), from {done} of {n} batches",
                flush=True,
            )
    usual, ours = results["usual way"], results["store"]
    ratios = {key: usual[key] / ours[key] for key in ours}
    print(f"usual way / store: {ratios}")
    save(args.output, title="epoch", results=results, ratios=ratios)
