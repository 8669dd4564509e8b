"""The fused PLIF scan against its definition, the loop that autograd
differentiates in float64.
"""

import functools
import multiprocessing
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from speechbrain_ptssnn import PLIF
from speechbrain_ptssnn.nnet import plif_numba, plif_scan
from speechbrain_ptssnn.nnet.plif_scan import plif_scan as scan
from speechbrain_ptssnn.nnet.plif_scan import plif_scan_reference as loop

DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]
forms = pytest.mark.parametrize(
    ("detach_reset", "resets"),  # resets: decayed, hard
    [
        (detach, resets)
        for detach in (True, False)
        for resets in ((False, False), (True, False), (False, True))
    ],
)


def inputs(batch=3, time=40, neurons=70, counts=None, seed=0, device="cpu"):
    """Current, leak, initial membrane, counts, and the outputs' weights."""
    torch.manual_seed(seed)
    return [
        x.to(device)
        for x in (
            torch.randn(batch, time, neurons) * 1.2 + 0.3,
            torch.rand(neurons),
            torch.randn(batch, neurons) * 2,
            torch.tensor(counts or [time] * batch),
            torch.randn(batch, time, neurons),
            torch.randn(batch, neurons),
        )
    ]


def results(
    function, *tensors, dtype=None, options=(1.0, 5.0, True, False, False)
):
    """Spikes, final membrane and the three gradients."""
    *leaves, counts, w_spikes, w_membrane = tensors
    leaves = [x.detach().to(dtype or x.dtype) for x in leaves]
    leaves = [x.requires_grad_() for x in leaves]
    spikes, membrane = function(*leaves, counts, *options)
    loss = (spikes * w_spikes).sum() + (membrane * w_membrane).sum()
    gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
    return spikes, membrane, *gradients


def assert_close(actual, expected, tolerance=1e-5):
    """Relative to the largest."""
    for a, b in zip(actual, expected, strict=True):
        atol = tolerance * float(b.detach().abs().max())
        torch.testing.assert_close(a.to(b.dtype), b, rtol=0, atol=atol)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("v_threshold", "alpha"), [(1.0, 5.0), (0.7, 3.0)])
@forms
def test_spikes_equal_the_loops_and_gradients_those_in_float64(
    detach_reset, resets, v_threshold, alpha, device
):
    options = v_threshold, alpha, detach_reset, *resets
    tensors = inputs(counts=[40, 17, 0], device=device)
    actual = results(scan, *tensors, options=options)
    single = results(loop, *tensors, options=options)
    double = results(loop, *tensors, dtype=torch.float64, options=options)
    assert 0.05 < actual[0][0].mean() < 0.95
    assert torch.equal(actual[0], single[0])
    assert torch.equal(actual[1], single[1])
    assert torch.equal(actual[0].double(), double[0])
    assert_close(actual[2:], double[2:])


@forms
def test_a_sequence_may_be_cut_anywhere(detach_reset, resets):
    names = "detach_reset", "decay_reset", "hard_reset"
    options = dict(zip(names, (detach_reset, *resets), strict=True))
    current, leak, v_init, _, weights, _ = inputs()
    leaves = [x.requires_grad_() for x in (current, leak, v_init)]
    whole, final = scan(*leaves, **options)
    membrane, parts = v_init, []
    for part in current.split([1, 25, 14], dim=1):
        spikes, membrane = scan(part, leak, membrane, **options)
        parts.append(spikes)
    assert torch.equal(torch.cat(parts, 1), whole)
    assert torch.equal(membrane, final)
    gradients = [
        torch.autograd.grad((s * weights).sum() + m.sum(), leaves)
        for s, m in ((torch.cat(parts, 1), membrane), (whole, final))
    ]
    assert_close(*gradients)


@pytest.mark.parametrize("device", DEVICES)
def test_padding_is_not_looked_at(device):
    current, *others = inputs(counts=[40, 17, 1], device=device)
    clean = results(scan, current, *others)
    for row, count in enumerate([40, 17, 1]):
        current[row, count:] = float("nan")
    dirty = results(scan, current, *others)
    for a, b in zip(clean, dirty, strict=True):
        assert torch.equal(a, b)
    assert dirty[0][1, 17:].count_nonzero() == 0
    assert dirty[2][1, 17:].count_nonzero() == 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
        lambda x: x.repeat(2, 2, 2)[1::2, 3:43, 5:75],
        lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
        lambda x: x[:, :1].expand(-1, 40, -1),
    ],
    ids=["time first", "cut out", "neurons first", "expanded"],
)
def test_any_strides_do(view, device):
    current, *others, w_spikes, w_membrane = inputs(device=device)
    current, w_spikes = view(current), view(w_spikes)
    assert not current.is_contiguous()
    expected = results(
        scan, current.contiguous(), *others, w_spikes.contiguous(), w_membrane
    )
    actual = results(scan, current, *others, w_spikes, w_membrane)
    for a, b in zip(actual, expected, strict=True):
        assert torch.equal(a, b)
    # The weights reach the kernel as they are, as a mean's gradient does.
    spikes, _ = scan(current.requires_grad_(), *others)
    torch.autograd.grad(spikes, current, w_spikes, retain_graph=True)
    (mean,) = torch.autograd.grad(spikes.mean(1).sum(), current)
    assert torch.isfinite(mean).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_integrates_in_float32(dtype, device):
    current, *others = inputs(device=device)
    current = current.to(dtype)
    actual = results(scan, current, *others)
    expected = results(loop, current, *others)
    assert actual[0].dtype == actual[2].dtype == dtype
    assert actual[1].dtype == actual[3].dtype == torch.float32
    assert torch.equal(actual[0], expected[0])
    assert torch.equal(actual[1], expected[1])
    assert_close(actual[2:3], expected[2:3], torch.finfo(dtype).eps)
    assert_close(actual[3:], expected[3:])


@pytest.mark.parametrize(
    "shape", [(0, 4, 3), (2, 0, 3), (2, 4, 0), (1, 1, 1), (2, 3, 1)]
)
def test_odd_shapes(shape):
    tensors = inputs(*shape, counts=[])
    tensors[3] = torch.full(shape[:1], shape[1])
    actual, expected = results(scan, *tensors), results(loop, *tensors)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_the_slope_holds_over_the_whole_range():
    distance = torch.tensor([0.0, 1e-6, 0.1, 1, 3, 10, 15, 1e3, 1e30])
    distance = torch.cat([-distance, distance, torch.linspace(-9, 9, 999)])
    current = (1 + distance)[None, None].requires_grad_()
    spikes, _ = scan(current, torch.rand(distance.shape))
    spikes.sum().backward()
    x = (current.detach() - 1).double()
    e = torch.exp(-5 * x.abs())
    torch.testing.assert_close(
        current.grad.double(), 5 * e / (1 + e) ** 2, rtol=1e-5, atol=1e-30
    )


def test_nan_reaches_the_gradient():
    current = torch.tensor([[[0.5, float("nan")]]], requires_grad=True)
    scan(current, torch.rand(2))[0].sum().backward()
    assert current.grad.isnan().flatten().tolist() == [False, True]


@forms
@pytest.mark.filterwarnings("ignore")
def test_the_operators_pass_opcheck(detach_reset, resets):
    tensors = inputs(2, 9, 5, counts=[9, 4])
    options = 1.0, 5.0, detach_reset, *resets
    leaves = [x.clone().requires_grad_() for x in tensors[:3]]
    arguments = *leaves, tensors[3], *options
    torch.library.opcheck(torch.ops.ptssnn.plif_scan, arguments)
    torch.library.opcheck(
        torch.ops.ptssnn.plif_scan_backward,
        (*tensors[4:], *tensors[:4], *options),
    )


def test_compiles_into_one_graph():
    neuron, (current, *_) = PLIF(70), inputs()
    lengths = torch.tensor([1.0, 0.5, 0.1])
    current.requires_grad_()
    compiled = torch.compile(neuron, fullgraph=True, backend="aot_eager")
    gradients = []
    for module in (neuron, compiled):
        spikes = module(current, lengths)
        gradients.append(
            torch.autograd.grad(spikes.mean(), [current, neuron.w])
        )
    assert torch.equal(spikes, neuron(current, lengths))
    assert all(map(torch.equal, *gradients))


def test_autocast_and_inference_mode():
    neuron, (current, *_) = PLIF(70), inputs()
    with torch.autocast("cpu", torch.bfloat16):
        spikes = neuron(torch.nn.Linear(70, 70)(current))
        spikes.float().mean().backward()
    assert spikes.dtype == torch.bfloat16
    assert neuron.w.grad.abs().max() > 0
    with torch.inference_mode():
        assert torch.equal(neuron(current), neuron(current.clone()))


@pytest.fixture
def two_threads(monkeypatch):
    """Every utterance is shared out, however short."""
    monkeypatch.setattr(plif_numba, "MIN_ELEMENTS", 1)
    torch.set_num_threads(2)


def test_the_number_of_threads_changes_nothing(two_threads):
    tensors = inputs(counts=[40, 17, 3])
    parallel = results(scan, *tensors)
    torch.set_num_threads(1)
    assert all(map(torch.equal, parallel, results(scan, *tensors)))


def test_callers_in_several_threads_do_not_disturb_each_other(two_threads):
    batches = [inputs(seed=seed) for seed in range(16)]
    run = functools.partial(results, scan)
    expected = [run(*tensors) for tensors in batches]
    with ThreadPoolExecutor(4) as pool:
        actual = pool.map(lambda tensors: run(*tensors), batches)
        for a, b in zip(actual, expected, strict=True):
            assert all(map(torch.equal, a, b))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forked_processes_have_threads_of_their_own(two_threads):
    tensors = inputs()
    expected = results(scan, *tensors)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def work():
        equal = map(torch.equal, results(scan, *tensors), expected)
        queue.put(all(equal))

    process = context.Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert queue.get()


def test_float64_and_missing_kernels_take_the_loop(monkeypatch):
    tensors = inputs()
    expected = results(scan, *tensors)
    monkeypatch.setattr(plif_scan, "plif_numba", None)
    plif_scan._warn_once.cache_clear()
    with pytest.warns(UserWarning, match=r"plain loop on cpu.*numba"):
        actual = results(scan, *tensors)
    assert torch.equal(actual[0], expected[0])
    assert_close(actual, expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results(scan, *tensors)
        spikes, membrane = scan(tensors[0].double(), tensors[1])
    assert spikes.dtype == membrane.dtype == torch.float64


@pytest.mark.parametrize("name", ["leak", "v_init", "counts"])
def test_wrong_shapes_are_named(name):
    current, leak, v_init, counts, *_ = inputs()
    arguments = {"leak": leak, "v_init": v_init, "counts": counts}
    arguments[name] = arguments[name][:-1]
    with pytest.raises(ValueError, match=f"{name} must have shape .*, got"):
        scan(current, **arguments)


def run_python(code, **environment):
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        check=True,
    )


def test_an_unwritable_folder_only_costs_the_compilation():
    code = """
import torch
from speechbrain_ptssnn.nnet.plif_scan import plif_scan
assert plif_scan(torch.ones(1, 1, 3), torch.rand(3))[0].all()
"""
    # A locator that finds no folder, as where none is writable.
    run_python(code, NUMBA_CACHE_LOCATOR_CLASSES="ZipCacheLocator")


def test_triton_kernels_agree_in_tritons_interpreter():
    pytest.importorskip("triton")
    code = """
import torch
from speechbrain_ptssnn.nnet import plif_numba, plif_triton
torch.manual_seed(0)
for seed in range(6):
    detach, resets = bool(seed & 1), (seed // 2 == 1, seed // 2 == 2)
    current = torch.randn(19, 2, 66).transpose(0, 1) * 1.2 + 0.3
    leak, v_init = torch.rand(66), torch.randn(2, 66) * 2
    counts = torch.tensor([19, 3])
    state = current, leak, v_init, counts, 0.7
    upstream = torch.randn(2, 19, 66), torch.randn(2, 66)
    numba, triton = (
        (*module.forward(*state, *resets),
         *module.backward(*upstream, *state, 3.0, detach, *resets))
        for module in (plif_numba, plif_triton)
    )
    assert torch.equal(triton[0], numba[0]), seed
    assert torch.equal(triton[1], numba[1]), seed
    for a, b in zip(triton, numba, strict=True):
        assert (a - b).abs().max() < 1e-5 * b.abs().max(), seed
"""
    run_python(code, TRITON_INTERPRET="1")


@pytest.mark.skipif(sys.platform != "linux", reason="Triton's ptxas")
@pytest.mark.parametrize("kernel", ["_forward", "_backward"])
def test_triton_kernels_compile_for_cuda_without_contraction(kernel):
    triton = pytest.importorskip("triton")
    from speechbrain_ptssnn.nnet import plif_triton

    kernel = getattr(plif_triton, kernel)
    constants = {
        "detach_reset": False,
        "decay_reset": False,
        "hard_reset": False,
        "BLOCK": plif_triton.BLOCK,
        "FRAMES": plif_triton.FRAMES,
    }
    types = dict.fromkeys(kernel.arg_names, "*fp32")
    types |= {n: "i32" for n in types if "stride" in n}
    types |= {"time": "i32", "neurons": "i32", "counts": "*i64"}
    types |= {"v_threshold": "fp32", "alpha": "fp32"}
    types |= dict.fromkeys(constants, "constexpr")
    source = triton.compiler.ASTSource(
        fn=kernel,
        signature={n: types[n] for n in kernel.arg_names},
        constexprs={
            n: constants[n] for n in kernel.arg_names if n in constants
        },
    )
    target = triton.backends.compiler.GPUTarget("cuda", 80, 32)
    compiled = triton.compile(source, target, plif_triton.OPTIONS)
    assert "mul.rn.f32" in compiled.asm["ptx"]
    assert "fma" not in compiled.asm["ptx"]
