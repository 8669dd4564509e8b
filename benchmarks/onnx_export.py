"""An exported model beside PyTorch, on the test utterances of a run's folds.

For each fold: spikes and posteriors of the float32 file against PyTorch's, and
the accuracy of PyTorch, float32, our int8 and onnxruntime's own dynamic int8
(which rounds what goes into a product too). Then the files' sizes, the time of
an utterance, and, of a causal head, of a block of its stream.

python benchmarks/onnx_export.py RUN [--data_folder FOLDER] [--utterances 10]

RUN is results/<corpus>/<protocol>/<backbone>/<head>/<seed>. --utterances takes
only so many of each fold.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from timing import begin, compare, parser, save

from speechbrain_ptssnn.deploy.classify import open_bundle
from speechbrain_ptssnn.deploy.onnx_export import export_onnx
from speechbrain_ptssnn.deploy.streaming import AudioStream
from speechbrain_ptssnn.evaluation.trained_run import TrainedRun
from speechbrain_ptssnn.nnet.monitor import LayerRecorder

BLOCK = 0.5  # seconds, as ptssnn stream takes them
KINDS = ("float32", "int8", "dynamic int8")
TYPES = {"float": np.float32, "double": np.float64, "int64": np.int64}


def write_files(classifier, folder):
    """Exports a bundle; returns the files by kind, and by their stream's."""
    files, streams = {}, {}
    for kind in KINDS[:2]:
        path = folder / f"{kind}.onnx"
        whole, *stream = export_onnx(
            classifier, path, kind == "int8", spikes=kind == "float32"
        )
        files[kind] = whole.path
        if stream:
            streams[kind] = stream[0].path
    files[KINDS[2]] = folder / "dynamic.onnx"
    quantize_dynamic(
        files["float32"],
        files[KINDS[2]],
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
    )
    return files, streams


def session(path, threads):
    """Opens a file on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options)


class Fold:
    """A fold's bundle in PyTorch, and the same on onnxruntime."""

    def __init__(self, folder, scratch, threads):
        self.classifier = open_bundle(folder)
        self.encoder = self.classifier.mods.embedding_model
        files, streams = write_files(self.classifier, scratch)
        self.sizes = {kind: path.stat().st_size for kind, path in files.items()}
        self.sessions = {k: session(f, threads) for k, f in files.items()}
        self.streams = {k: session(f, threads) for k, f in streams.items()}
        (first,) = self.sessions["float32"].get_inputs()
        self.name = first.name

    def input(self, path):
        """What the files take, [1, ...], of a recording."""
        wav = self.classifier.load_audio(path)
        if self.name == "features":
            wav = self.encoder.backbone(wav)
        return wav.unsqueeze(0)

    @torch.no_grad()
    def pytorch(self, x):
        """Posteriors of an input, [classes]."""
        if self.name == "features":
            rates = self.encoder.head(self.encoder.normalizer(x))
        else:
            rates = self.encoder(x, torch.ones(1)).squeeze(1)
        return self.classifier.mods.classifier(rates)[0].exp().numpy()

    def onnx(self, kind, x):
        """The same, of a file."""
        inputs = {self.name: x.numpy()}
        return self.sessions[kind].run(["posteriors"], inputs)[0][0]

    def spikes(self, x):
        """Spikes that differ, and neuron-frames, of each layer."""
        with LayerRecorder(self.encoder.head) as seen:
            self.pytorch(x)
        names = list(seen.spikes)
        found = self.sessions["float32"].run(names, {self.name: x.numpy()})
        return {
            name: np.array([(each[0] != spikes.numpy()).sum(), each.size])
            for (name, spikes), each in zip(
                seen.spikes.items(), found, strict=True
            )
        }

    def stream(self, kind):
        """Returns a function that takes a file's next block and returns the
        posteriors so far.
        """
        block, *inputs = self.streams[kind].get_inputs()
        state = {
            each.name: np.zeros(
                [1 if n == "batch" else n for n in each.shape],
                TYPES[each.type.removeprefix("tensor(").rstrip(")")],
            )
            for each in inputs
        }

        def advance(samples):
            feeds = {block.name: samples.numpy()[None], **state}
            posteriors, _, *new = self.streams[kind].run(None, feeds)
            state.update(zip(state, new, strict=True))
            return posteriors[0]

        return advance


def measure_fold(fold, paths, targets):
    """Compares the fold's test utterances; returns their right answers of each
    kind, the layers' counts and the largest difference in posteriors.
    """
    right, layers, largest = dict.fromkeys(("PyTorch", *KINDS), 0), {}, {}
    for path, target in zip(paths, targets, strict=True):
        x = fold.input(path)
        expected = fold.pytorch(x)
        right["PyTorch"] += int(expected.argmax() == target)
        for kind in KINDS:
            found = fold.onnx(kind, x)
            right[kind] += int(found.argmax() == target)
            difference = float(np.abs(found - expected).max())
            largest[kind] = max(largest.get(kind, 0.0), difference)
        for name, counts in fold.spikes(x).items():
            layers[name] = layers.get(name, 0) + counts
    return right, layers, largest


def times(fold, paths, repeats):
    """Times the test utterance of median length, and a stream's block."""
    inputs = sorted(map(fold.input, paths), key=lambda x: x.shape[1])
    x = inputs[len(inputs) // 2]
    candidates = {"PyTorch": lambda: fold.pytorch(x)}
    for kind in KINDS:
        candidates[kind] = lambda kind=kind: fold.onnx(kind, x)
    found = {"utterance": compare(candidates, repeats)}
    if fold.streams and fold.name == "waveform":
        samples = x[0, : round(BLOCK * fold.classifier.hparams.sample_rate)]
        stream = AudioStream(fold.classifier)
        candidates = {"PyTorch": lambda: stream(samples)}
        for kind in fold.streams:
            advance = fold.stream(kind)
            candidates[kind] = lambda advance=advance: advance(samples)
        found["block"] = compare(candidates, repeats)
    return found, list(x.shape)


def table(accuracy, largest, sizes, found):
    """Prints the kinds side by side."""
    print(
        f"\n{'':14}{'WA %':>8}{'posteriors':>12}{'KB':>8}{'ratio':>7}"
        + "".join(f"{f'ms, {name}':>15}{'ratio':>7}" for name in found)
    )
    for kind, share in accuracy.items():
        cells = f"{kind:14}{100 * share:>8.2f}"
        if kind in KINDS:
            ratio = sizes[kind] / sizes["float32"]
            cells += f"{largest[kind]:>12.1e}{sizes[kind] / 1e3:>8.0f}"
            cells += f"{ratio:>7.2f}"
        else:
            cells += " " * 27
        for rows in found.values():
            if kind in rows:
                ratio = rows[kind]["ms"] / rows["PyTorch"]["ms"]
                cells += f"{rows[kind]['ms']:>15.3f}{ratio:>7.2f}"
        print(cells)


if __name__ == "__main__":
    arguments = parser(__doc__, "onnx_export.json")
    arguments.add_argument("run")
    arguments.add_argument("--data_folder")
    arguments.add_argument("--utterances", type=int)
    arguments.set_defaults(threads=1)
    args = begin(arguments)
    run = TrainedRun(args.run, data_folder=args.data_folder)
    right, n, layers, largest = dict.fromkeys(("PyTorch", *KINDS), 0), 0, {}, {}
    folds = {}
    for number in run.folds:
        with tempfile.TemporaryDirectory() as scratch:
            fold = Fold(
                run.files.fold(number).bundle, Path(scratch), args.threads
            )
            ids = run.test_ids(number)[: args.utterances]
            paths = [run.utterances[each].wav for each in ids]
            index = fold.classifier.hparams.label_encoder.lab2ind
            targets = [index[run.utterances[each].label] for each in ids]
            outcome = measure_fold(fold, paths, targets)
            if number == run.folds[0]:
                found, shape = times(fold, paths, args.repeats)
                sizes = fold.sizes
        folds[number] = {
            kind: count / len(ids) for kind, count in outcome[0].items()
        }
        cells = ", ".join(
            f"{k} {100 * v:.2f}" for k, v in folds[number].items()
        )
        print(f"fold {number}, {len(ids)} utterances, WA in %: {cells}")
        n += len(ids)
        for kind, count in outcome[0].items():
            right[kind] += count
        for name, counts in outcome[1].items():
            layers[name] = layers.get(name, 0) + counts
        for kind, difference in outcome[2].items():
            largest[kind] = max(largest.get(kind, 0.0), difference)
    accuracy = {kind: count / n for kind, count in right.items()}
    table(accuracy, largest, sizes, found)
    differ, total = (int(each) for each in sum(layers.values()))
    print(
        f"float32: {differ:,} of {total:,} spikes differ from PyTorch's, "
        f"{1e6 * differ / total:.3f} in a million neuron-frames"
    )
    save(
        args.output,
        run=str(args.run),
        utterances=n,
        input_shape=shape,
        accuracy=accuracy,
        folds=folds,
        layers={name: counts.tolist() for name, counts in layers.items()},
        differ=differ,
        neuron_frames=total,
        largest_difference=largest,
        bytes=sizes,
        times=found,
    )
