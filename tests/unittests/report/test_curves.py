"""TensorBoard's curves, read back and averaged."""

from torch.utils.tensorboard import SummaryWriter

from speechbrain_ptssnn.report.curves import mean_curve, read_curves


def test_an_epoch_that_was_trained_again_has_its_last_value(tmp_path):
    for value in (0.25, 0.75):  # killed after epoch 2, resumed there
        with SummaryWriter(tmp_path) as writer:
            writer.add_scalar("UA/valid", value, 2)
    assert read_curves(tmp_path) == {"UA/valid": {2: 0.75}}


def test_a_removed_log_has_no_curves(tmp_path):
    assert read_curves(tmp_path / "tensorboard") == {}


def test_the_mean_is_over_the_folds_that_logged_an_epoch():
    folds = [{"loss": {1: 2.0, 2: 1.0}}, {"loss": {2: 3.0}}, {}]
    assert mean_curve(folds, "loss") == ([1, 2], [2.0, 2.0])
    assert mean_curve(folds, "UA") == ([], [])
