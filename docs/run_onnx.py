"""Classifies a file by an exported model, without torch and this package."""

import json
import sys

import onnxruntime
import soundfile

if __name__ == "__main__":
    session = onnxruntime.InferenceSession(sys.argv[1])
    about = session.get_modelmeta().custom_metadata_map
    audio, rate = soundfile.read(sys.argv[2], dtype="float32", always_2d=True)
    if about["input"] != "waveform" or str(rate) != about["sample_rate"]:
        sys.exit(f"{rate} Hz, not {about['input']}, {about['sample_rate']} Hz")
    loudest = (audio.astype(float) ** 2).sum(0).argmax()
    channel = {"louder": loudest}.get(about["channel"], about["channel"])
    inputs = {"waveform": audio[None, :, int(channel)]}
    (posteriors,) = session.run(["posteriors"], inputs)[0]
    print(dict(zip(json.loads(about["labels"]), posteriors.tolist())))  # noqa: B905
