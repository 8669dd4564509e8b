"""The training loop of one fold, on SpeechBrain's ``Brain``."""

import math

import speechbrain as sb
import torch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain.utils.train_logger import FileTrainLogger
from torch.utils.tensorboard import SummaryWriter

from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.evaluation.separability import share_between
from speechbrain_ptssnn.lobes.spike_stages import StageMonitor
from speechbrain_ptssnn.metrics import unweighted_accuracy, weighted_accuracy
from speechbrain_ptssnn.nnet.members import repeated
from speechbrain_ptssnn.nnet.monitor import (
    FiringRates,
    has_collapsed,
    idle_in_words,
)
from speechbrain_ptssnn.training.temperature import fit_temperature

logger = get_logger(__name__)


def best_validation(checkpoint):
    """What selects a checkpoint: validation UA and, where it ties, the loss.

    The loss alone would select the first epoch for unseen speakers: it rises
    while the accuracy does, because wrong answers grow more certain.
    """
    return checkpoint.meta["UA"], -checkpoint.meta["loss"]


class SERBrain(sb.Brain):
    r"""Trains a head on stored features and selects it on validation.

    Needs the module ``head`` and the hparams ``loss``, ``lr_annealing``,
    ``seed`` and ``files`` (the fold's, for the logs).
    After :meth:`evaluate`, ``outcome`` holds what the test gave and ``best``
    what the validation gave in the epoch that it selected.
    """

    @property
    def head(self):
        """The head itself, without the wrapper of distributed training."""
        return getattr(self.modules.head, "module", self.modules.head)

    @property
    def temperature(self):
        """What the outputs are divided by for posteriors; from validation, in
        the epoch that it selected. Older checkpoints have none, which is 1.
        """
        return self.best.get("temperature", 1.0)

    def compute_forward(self, batch, stage):
        """Rates (or logits) of a batch, [batch, classes]."""
        batch = batch.to(self.device)
        feats, lengths = batch.feats
        return self.modules.head(feats, lengths)

    def compute_objectives(self, outputs, batch, stage):
        """The loss, in training with the head's penalty; outside training the
        outputs are kept for the metrics.
        """
        if stage == sb.Stage.TRAIN:
            targets = repeated(batch.target, outputs)
            loss = self.hparams.loss(outputs, targets)
            return loss + self.head.take_penalty()
        loss = self.hparams.loss(outputs, batch.target)
        self.ids += batch.id
        self.targets += batch.target.tolist()
        self.outputs.append(outputs.float().cpu())
        return loss

    def init_optimizers(self):
        """The optimizer, and the schedule, which is a function of the epoch."""
        super().init_optimizers()
        self.schedule = self.hparams.lr_annealing(self.optimizer)

    def on_fit_start(self):
        """Recovers, then opens the logs where they were left."""
        super().on_fit_start()
        self.text_log = FileTrainLogger(self.hparams.files.train_log)
        if if_main_process():
            self.tensorboard = SummaryWriter(self.hparams.files.tensorboard)

    def on_stage_start(self, stage, epoch=None):
        """Sets what an epoch depends on from its number alone, so that a
        resumed run equals an uninterrupted one.
        """
        if stage == sb.Stage.TRAIN:
            self.schedule.step(epoch - 1)
            torch.manual_seed(self.hparams.seed * 100_003 + epoch)
            return
        self.ids, self.targets, self.outputs = [], [], []
        self.firing = FiringRates(self.head)
        self.stages = StageMonitor(self.head)
        for monitor in (self.firing, self.stages):
            monitor.__enter__()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Metrics, logs and checkpoint of a stage."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            return
        for monitor in (self.firing, self.stages):
            monitor.__exit__()
        outputs = torch.cat(self.outputs)
        # Not stage_loss, a mean of batch means that skips what is not finite.
        targets = torch.tensor(self.targets)
        loss = self.hparams.loss(outputs, targets).item()
        if not (math.isfinite(loss) and torch.isfinite(outputs).all()):
            raise InputError(
                f"training diverged by epoch {epoch}: the validation loss is "
                f"{loss}; lower --lr"
            )
        predictions = outputs.argmax(-1).tolist()
        self.outcome = {
            "loss": loss,
            "WA": weighted_accuracy(self.targets, predictions),
            "UA": unweighted_accuracy(self.targets, predictions),
        }
        rates = self.firing.summary()
        if stage == sb.Stage.TEST:
            self.outcome["firing_rates"] = rates
            posteriors = (outputs / self.temperature).softmax(-1)
            self.outcome["posteriors"] = dict(
                zip(self.ids, posteriors.tolist(), strict=True)
            )
            return
        self._log(epoch, rates, self._stage_values())
        temperature = fit_temperature(outputs, targets)
        self.checkpointer.save_and_keep_only(
            meta={"epoch": epoch, "temperature": temperature, **self.outcome},
            importance_keys=[best_validation],
            verbosity=10,
        )

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Loads the checkpoint that validation selected."""
        best = self.checkpointer.recover_if_possible(
            importance_key=best_validation
        )
        if best is None:
            raise InputError(
                f"{self.hparams.files.path}: there is no checkpoint to test; "
                "train for at least one epoch"
            )
        self.best = best.meta

    def _stage_values(self):
        """What :mod:`~speechbrain_ptssnn.lobes.spike_stages` saw of a spike
        encoder's stages: errors, and shares of variance between the classes.
        """
        values = {
            f"{stage}/error": error
            for stage, error in self.stages.errors().items()
        }
        for stage in self.stages.names:
            means = self.stages.means(stage)[:, 0].numpy()
            values[f"{stage}/between"] = share_between(means, self.targets)
        return values

    def _log(self, epoch, rates, stage_values):
        lr = self.optimizer.param_groups[0]["lr"]
        flat = {
            f"{layer}/{key}": value
            for layer, stats in rates.items()
            for key, value in stats.items()
        }
        self.text_log.log_stats(
            {"epoch": epoch, "lr": lr},
            train_stats={"loss": self.train_loss},
            valid_stats={**self.outcome, **flat, **stage_values},
            verbose=False,
        )
        logger.info(
            "epoch %d: train loss %.4f; valid loss %.4f, WA %.1f%%, UA %.1f%%",
            epoch,
            self.train_loss,
            self.outcome["loss"],
            100 * self.outcome["WA"],
            100 * self.outcome["UA"],
        )
        for layer, stats in rates.items():
            if has_collapsed(stats):
                logger.warning("%s: %s", layer, idle_in_words(stats))
        if not if_main_process():
            return
        scalars = {"lr": lr, "loss/train": self.train_loss}
        scalars |= {f"{k}/valid": v for k, v in self.outcome.items()}
        scalars |= {f"firing/{k}": v for k, v in flat.items()}
        scalars |= {f"stages/{k}": v for k, v in stage_values.items()}
        for tag, value in scalars.items():
            self.tensorboard.add_scalar(tag, value, epoch)
        self.tensorboard.flush()
