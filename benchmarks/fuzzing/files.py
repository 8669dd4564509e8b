"""File modes, full disks, kills and damaged files."""

import os
import resource
import shutil
import signal

from fuzzing.cases import case, check_same_files, check_training
from fuzzing.engine import RUN, Find


def _obstruct(rng, path):
    """Puts something else where a file or folder is wanted."""
    kind = rng.choice(
        [
            "file",
            "folder",
            "dangling",
            "loop",
            "fifo",
            "read-only",
            "no rights",
            "missing",
            "null",
            "empty",
            "full",
        ]
    )
    mode = path.stat().st_mode if path.exists() else 0
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "read-only":
        os.chmod(path, mode & 0o555) if mode else path.mkdir(0o555)
        for each in path.rglob("*") if path.is_dir() else ():
            os.chmod(each, each.stat().st_mode & 0o555)
        return kind
    if kind == "no rights":
        os.chmod(path, 0) if mode else path.mkdir(0)
        return kind
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if kind in ("file", "empty"):
        path.write_text("x" * (kind == "file"))
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("missing/file")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "fifo":
        os.mkfifo(path, 0o666)
    elif kind in ("null", "full"):
        path.symlink_to(f"/dev/{kind}")
    return kind


@case("modes", 4)
def obstructed(rng, w):
    """A file or folder of a training is something else, or forbidden."""
    w.add_run()
    inputs = [
        "cafe/cafe.csv",
        "cafe/3.wav",
        "cafe/tiny.yaml",
        "cafe",
        "cafe/two_folds.yaml",
        "cafe/backbones/tiny_fbank.yaml",
    ]
    fold = f"results/{RUN}/fold_1"
    outputs = [
        "results",
        "results/Cafe",
        "results/Cafe/two_folds",
        f"results/{RUN}",
        fold,
        f"results/{RUN}/log.txt",
        f"results/{RUN}/settings.json",
        f"results/{RUN}/folds.json",
        f"results/{RUN}/hyperparams.yaml",
        f"{fold}/save",
        f"results/{RUN}/predictions.csv",
        f"results/{RUN}/summary.json",
        f"results/{RUN}/manifest.json",
        f"{fold}/train_log.txt",
        f"{fold}/lock",
        f"{fold}/model",
        f"{fold}/result.json",
        f"{fold}/predictions.csv",
        f"{fold}/tensorboard",
        "features",
        *(
            str(p.relative_to(w.path))
            for p in sorted((w / "features").rglob("*"))
        ),
    ]
    if rng.random() < 0.6:
        shutil.rmtree(w / "results" / RUN / "fold_1")
        (w / "results" / RUN / "fold_1").mkdir()
    if rng.random() < 0.3:
        shutil.rmtree(w / "results")
    name = rng.choice(rng.choice([inputs, outputs]))
    w.give_to_nobody()
    kind = _obstruct(rng, w / name)
    w.notes = f"{name}: {kind}"
    outcome = w.train()
    try:
        end = outcome.judge()
        if end == "accepted":
            _check_predictions_if_readable(w)
    except Find as find:
        raise Find(f"{name} is {kind}: {find}") from find
    return end


def _check_predictions_if_readable(w):
    file = w / "results" / RUN / "predictions.csv"
    if os.path.islink(file) or (file.exists() and not file.is_file()):
        raise Find("accepted, and predictions.csv is no file")
    w.check_same()


@case("modes", 2)
def obstructed_reading(rng, w):
    """The same for the commands that only read, and for their output."""
    w.add_run()
    (w / "out").mkdir()
    fold = f"results/{RUN}/fold_1"
    run = f"results/{RUN}"
    commands = [
        (
            ["classify", f"{fold}/model", "cafe"],
            [
                "cafe/3.wav",
                f"{fold}/model",
                "cafe",
                *(
                    f"{fold}/model/{n}"
                    for n in (
                        "head.ckpt",
                        "hyperparams.yaml",
                        "normalizer.ckpt",
                        "label_encoder.ckpt",
                    )
                ),
            ],
        ),
        (
            ["classify", f"{fold}/model", "cafe", "--csv=out/a.csv"],
            ["out", *(f"out/a.csv{end}" for end in ("", ".part", ".json"))],
        ),
        (
            ["compare", run, run, "--json=out/a.json"],
            [
                "out",
                "out/a.json",
                f"{run}/predictions.csv",
                f"{run}/folds.json",
                f"{run}/summary.json",
                f"{run}/settings.json",
                run,
            ],
        ),
        (
            ["energy", run],
            [
                f"{run}/energy.json",
                f"{fold}/model",
                f"{run}/manifest.json",
                f"{run}/hyperparams.yaml",
                "features",
                "cafe/3.wav",
                run,
            ],
        ),
        (
            ["report", run],
            [
                f"{run}/report.html",
                f"{fold}/tensorboard",
                f"{fold}/train_log.txt",
                "features",
                f"{run}/summary.json",
                f"{run}/predictions.csv",
                run,
            ],
        ),
    ]
    words, names = rng.choice(commands)
    name = rng.choice(names)
    w.give_to_nobody()
    kind = _obstruct(rng, w / name)
    try:
        return w.run(*words).judge()
    except Find as find:
        raise Find(f"{words[0]}: {name} is {kind}: {find}") from find


@case("modes", 2)
def file_size_limit(rng, w):
    """A write fails, as on a full disk; then the same command goes on."""
    limit = round(10 ** rng.uniform(3, 4.3))  # what is printed needs some

    def before():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))

    outcome = w.train(before=before)
    if outcome.judge() == "refused" and not any(
        # SQLite does not say more.
        reason in outcome.sentence
        for reason in ("too large", "I/O error")
    ):
        raise Find(f"does not say why: {outcome.sentence}")
    check_training(w, "same")
    check_same_files(w)
    return "refused" if outcome.status else "accepted"


@case("kill", 4)
def killed(rng, w):
    """SIGKILL at a random time, perhaps several times, and again."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        after = rng.uniform(0, 1.2 * w.template.seconds)
        outcome = w.train(kill_after=after)
        if outcome.status not in (0, -signal.SIGKILL):
            outcome.judge()
            raise Find(f"refused: {outcome.sentence}")
    check_training(w, "same")
    check_same_files(w)
    return "accepted"


@case("kill", 4)
def damaged(rng, w):
    """A file of a run is empty, cut or gone, as after a power cut."""
    w.add_run()
    if rng.random() < 0.3:  # the fold has not ended
        for name in ("result.json", "predictions.csv"):
            (w / "results" / RUN / "fold_2" / name).unlink()
        for name in ("predictions.csv", "summary.json"):
            (w / "results" / RUN / name).unlink()
    files = [
        path
        for folder in ("results", "features")
        for path in sorted((w / folder).rglob("*"))
        if path.is_file() and path.name != "lock"
    ]
    spoilt = rng.sample(files, rng.choice([1, 1, 1, 2, 4]))
    for path in spoilt:
        data = path.read_bytes()
        change = rng.randrange(5)
        if change == 0:
            path.write_bytes(b"")
        elif change == 1:
            path.write_bytes(data[: rng.randrange(len(data) + 1)])
        elif change == 2:
            path.write_bytes(bytes(len(data)))
        elif change == 3:
            path.unlink()
        elif data:
            data = bytearray(data)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
    names = [str(path.relative_to(w.path)) for path in spoilt]
    try:
        run = f"results/{RUN}"
        words = rng.choice(
            [
                None,
                None,
                None,
                ["report", run],
                ["energy", run],
                ["compare", run, run],
                ["classify", f"{run}/fold_1/model", "cafe"],
            ]
        )
        if words:
            return w.run(*words).judge()
        outcome = w.train()
        end = outcome.judge()
        # A flipped bit in a table of numbers cannot be seen.
        if end == "accepted" and change != 4:
            w.check_same()
        return end
    except Find as find:
        raise Find(f"{names}: {find}") from find


@case("kill")
def other_settings(rng, w):
    """The same folder with other settings is refused, also after a kill."""
    w.train(kill_after=rng.uniform(0, 1.2 * w.template.seconds))
    settings = w / "results" / RUN / "settings.json"
    before = settings.read_text() if settings.exists() else None
    outcome = w.train(rng.choice(["--lr=0.5", "--seed=1", "--crop=0.1"]))
    end = outcome.judge()
    seed = outcome.words[2] == "--seed=1"  # which is the default
    if seed and end == "refused":
        raise Find(f"the same settings are refused: {outcome.sentence}")
    if not seed and end == "accepted" and before is not None:
        again = w.train()
        if again.judge() == "accepted":
            raise Find("two settings in one folder")
    return end
