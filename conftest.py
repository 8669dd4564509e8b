"""Names that doctests use."""

import pytest
import torch

import speechbrain_ptssnn
from speechbrain_ptssnn.errors import InputError
from speechbrain_ptssnn.nnet import masking


@pytest.fixture(autouse=True)
def _names(doctest_namespace):
    doctest_namespace["torch"] = torch
