"""What one change costs: each is made here as anybody would make it, and has to work the whole way, from paint to file.

A test that can only pass by touching other rooms of the library says that the house has closed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from cli.workplace import Workplace, a_ball, an_image_of, painted_on
from MetaSegmentLib import Settings, adapt, segment
from MetaSegmentLib.cli import main
from MetaSegmentLib.data.protocol import dice, query_dice
from MetaSegmentLib.files.images import read_image
from MetaSegmentLib.methods.gradient.unadapted import FittedNetwork
from MetaSegmentLib.networks import weights
from MetaSegmentLib.networks.architectures import ARCHITECTURES, SliceNetwork, make_network, slice_network
from MetaSegmentLib.networks.encode import encode, encode_left_out, encode_own, truth_of
from MetaSegmentLib.networks.plan import SLICE_V1, Calibration, Input, Plan
from MetaSegmentLib.networks.run import run_network
from MetaSegmentLib.predictors import ensemble
from MetaSegmentLib.predictors.context import Context
from MetaSegmentLib.predictors.ensemble import Ensemble
from MetaSegmentLib.predictors.registry import METHODS, Maker, MethodInfo
from MetaSegmentLib.task.frame import FrameSettings, Stack
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import Task, make_task
from MetaSegmentLib.task.volume import check_volume

SPACING = (2.5, 1.0, 1.0)
OWN = {1: (3, 8, 13), 2: (5, 11)}

Register = Callable[..., MethodInfo]


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of two bodies that touch, in noise."""
    k, j, i = np.indices((17, 56, 60)).astype(np.float32)
    labels = np.zeros(k.shape, np.uint8)
    labels[((k - 8) / 7) ** 2 + ((j - 28) / 13) ** 2 + ((i - 42) / 11) ** 2 < 1] = 2
    labels[((k - 8) / 7.5) ** 2 + ((j - 28) / 17) ** 2 + ((i - 20) / 13) ** 2 < 1] = 1
    noise = gaussian_filter(np.random.default_rng(0).standard_normal(k.shape), 1)
    return (80.0 * (labels == 1) + 50 * (labels == 2) + 60 * noise).astype(np.float32), labels


def painted(labels: np.ndarray, own=OWN) -> np.ndarray:
    paint = np.zeros(labels.shape, np.uint8)
    for value, slices in own.items():
        for index in slices:
            paint[index][labels[index] == value] = value
    return paint


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Enter a method, with a module of the library that exists for the test only, as its one file would be."""

    def enter(name: str, maker: Callable[..., object], stored: str = "baselines", **more: object) -> MethodInfo:
        module = ModuleType(f"MetaSegmentLib.methods.of_the_test_{name}")
        module.make = maker  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        made = Maker(module.__name__.removeprefix("MetaSegmentLib."), "make")
        info = MethodInfo(name, name.title(), f"The {name} of a test.", (stored,), made, **more)  # type: ignore[arg-type]
        monkeypatch.setitem(METHODS, name, info)
        return info

    return enter


@pytest.fixture
def shelf(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, nn.Module, Plan], None]:
    """Put weights with their plan beside the shipped ones."""
    folder = tmp_path / "weights"
    shutil.copytree(weights.FOLDER, folder)
    monkeypatch.setattr(weights, "FOLDER", folder)
    for function in (weights.load, weights.load_plan, weights.checksum, weights.names):
        monkeypatch.setattr(function, "__defaults__", (folder,))

    def put(name: str, network: nn.Module, plan: Plan) -> None:
        weights.store(name, dict(network.named_parameters()), plan, folder)

    return put


class Nearest:
    """A predictor of one structure: the outline of the nearest painted slice."""

    def fit(self, task: Task, context: Context) -> Nearest:
        self.structure = task.structure
        return self

    def logits(self, slices: Sequence[int]) -> Stack:
        nearest = [min(self.structure.filled, key=lambda i, s=index: abs(i - s)) for index in slices]
        return np.stack([self.structure.shape_on(i) for i in nearest])[:, None] / 4


def test_a_predictor_is_one_file_and_one_line_in_the_registry(scan, register, tmp_path, capsys):
    image, labels = scan
    info = register("nearest", Nearest, network=False)
    adapted = adapt(image, painted(labels), SPACING, settings=Settings(method="nearest"))
    result = adapted.predict()
    for value, slices in OWN.items():
        assert query_dice(result.labels[3:14] == value, labels[3:14] == value, [i - 3 for i in slices]) > 0.8
        assert np.array_equal(result.labels[list(slices)] == value, labels[list(slices)] == value)
        assert 0 < result.estimated_dice[value] < 1
    assert result.suggested_slices and result.report["method"] == "nearest"
    other = adapted.predict(np.roll(image, 2, axis=1), SPACING)
    assert dice(other.labels == 1, np.roll(labels == 1, 2, axis=1)) > 0.7
    again = adapted.update(painted(labels, {1: (3, 8, 13)}))
    assert set(np.unique(again.predict().labels)) == {0, 1}

    place = Workplace(tmp_path, a_ball(), {"image": "i.nrrd", "support": "p.seg.nrrd", "output": "o.seg.nrrd"})
    place.image(an_image_of(place.truth), name="i.nrrd")
    place.paint(painted_on(place.truth), name="p.seg.nrrd")
    assert main(place.words(method="nearest")) == 0
    assert dice(read_image(place.path("o.seg.nrrd"))[0], place.truth) > 0.8
    assert main(["methods"]) == 0
    assert info.summary in capsys.readouterr().out


def test_a_predictor_is_an_input_of_networks_by_its_name(scan, monkeypatch):
    """One line in BASELINES; plans refer to it by that name, and those that do not are as they were."""
    monkeypatch.setitem(ensemble.BASELINES, "nearest", Nearest)
    image, labels = scan
    paint = read_paint(painted(labels, {1: OWN[1]}), labels.shape)
    task = make_task(check_volume(image, SPACING), paint, (1,))
    plan = replace(SLICE_V1, inputs=(*SLICE_V1.inputs, Input("nearest", "nearest", 0, 4.0)))
    one = Ensemble(task, Context())
    seen, usual = (encode(one, task.near, p).array() for p in (plan, SLICE_V1))
    assert np.array_equal(seen[:, :-1], usual)
    logits = Nearest().fit(task, Context()).logits(task.near)[:, 0]
    np.testing.assert_allclose(seen[:, -1], logits / 4, atol=5e-3)
    left_out = encode_left_out(one, plan)
    for place, index in enumerate(left_out.slices):
        without = Nearest().fit(task.without(index), Context()).logits((index,))[0, 0]
        np.testing.assert_allclose(left_out[place][-1], without / 4, atol=5e-3)
    network = slice_network(plan).eval()
    inputs = torch.from_numpy(seen).float()
    with torch.no_grad():
        assert np.array_equal(network.predictor_logits(inputs)[:, -1], inputs[:, -1] * 4)
        assert network(inputs).shape == (len(task.near), *task.frame.shape)


CROSS_SLICE = Plan(
    "cross-slice",
    FrameSettings(size=64),
    "cross-slice",
    {"cell": 4},
    (Input("image", "image"), Input("shape", "shape", 0, 5.0)),
    calibration={"cross": Calibration(1.2)},
)


class CrossSlice(nn.Module):
    """Every cell of a query attends to the cells of all painted slices, however many there are."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.cell = plan.arguments["cell"]
        self.scale = nn.Parameter(torch.tensor([6.0, 2.0]))
        self.prior = nn.Parameter(torch.tensor(4.0))
        self.register_buffer("painted", torch.zeros(0, len(plan.inputs)), persistent=False)
        self.register_buffer("truth", torch.zeros(0), persistent=False)

    def show(self, painted: Tensor, truth: Tensor) -> CrossSlice:
        """(S, channels, H, W) painted slices and (S, H, W) masks to attend to."""
        self.slices = len(painted)
        self.painted = nn.functional.avg_pool2d(painted, self.cell).movedim(1, -1).flatten(0, -2)
        self.truth = nn.functional.avg_pool2d(truth[:, None], self.cell).flatten()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        query = nn.functional.avg_pool2d(inputs, self.cell).movedim(1, -1)
        far = ((query[..., None, :] - self.painted) * self.scale).square().sum(-1)
        attended = (torch.softmax(-far, -1) @ self.truth).clamp(0.02, 0.98).logit()[:, None]
        attended = nn.functional.interpolate(attended, inputs.shape[2:], mode="bilinear")[:, 0]
        return attended + self.prior * inputs[:, 1]


class CrossSliceMethod:
    """Sees all painted slices at once, for queries and for each painted slice that is left out."""

    shown: list[int] = []  # noqa: RUF012

    def fit(self, task: Task, context: Context) -> CrossSliceMethod:
        self.plan, self.ensemble = weights.load_plan("cross"), Ensemble(task, context)
        self.ensemble.prepare(task.near)
        return self

    def logits(self, slices: Sequence[int]) -> Stack:
        return self.run(self.ensemble, encode(self.ensemble, slices, self.plan))

    def left_out(self) -> Stack | None:
        found = []
        for place, index in enumerate(self.ensemble.task.left_out):
            inputs = encode_left_out(self.ensemble, self.plan)[place : place + 1]
            found.append(self.run(self.ensemble.without(index), inputs))
        return np.concatenate(found) if found else None

    def run(self, seen: Ensemble, inputs) -> Stack:
        own = encode_own(seen, self.plan)
        network = make_network(self.plan)
        network.load_state_dict(weights.load("cross"))
        network.show(torch.from_numpy(own.array()).float(), torch.from_numpy(truth_of(seen.task, own.slices)))
        self.shown.append(network.slices)
        parameters = dict(network.named_parameters())
        return run_network(network.eval(), parameters, inputs, "predicting", seen.context)[:, None]


def test_a_network_on_all_painted_slices_is_one_architecture_and_one_plan(scan, register, shelf, monkeypatch):
    image, labels = scan
    monkeypatch.setitem(ARCHITECTURES, "cross-slice", CrossSlice)
    shelf("cross", CrossSlice(CROSS_SLICE), CROSS_SLICE)
    register("cross", CrossSliceMethod, "cross")
    monkeypatch.setattr(CrossSliceMethod, "shown", [])
    own = {1: (2, 5, 8, 11, 14), 2: (4, 8, 12)}
    result = segment(image, painted(labels, own), SPACING, settings=Settings(method="cross"))
    for value, slices in own.items():
        assert query_dice(result.labels == value, labels == value, slices) > 0.85
        assert 0 < result.estimated_dice[value] < 1
    # Four: all but the one that is left out, to learn the detail of the first structure.
    assert set(CrossSliceMethod.shown) == {3, 4, 5}, "every painted slice of its structure, not the nearest two"
    assert set(result.report["weights_sha256"]) == {"cross"}
    network = make_network(weights.load_plan("cross"))
    assert isinstance(network, CrossSlice) and network.cell == 4


def test_a_network_on_another_frame_is_one_plan(scan, register, shelf):
    """Frames of 64 and of 96 pixels side by side, in one session and with one cache."""
    image, labels = scan
    small = replace(SLICE_V1, name="small", frame=FrameSettings(size=64), calibration={"small": Calibration()})
    torch.manual_seed(0)
    shelf("small", SliceNetwork(small), small)
    seen: list[tuple[int, int]] = []

    class Small:
        def fit(self, task: Task, context: Context) -> FittedNetwork:
            seen.append(task.frame.shape)
            plan, one = weights.load_plan("small"), Ensemble(task, context)
            return FittedNetwork(make_network(plan), weights.load("small"), one, plan)

    register("small", Small, "small")
    paint = painted(labels)
    afresh = segment(image, paint, SPACING, settings=Settings(method="small"))
    usual = adapt(image, paint, SPACING, settings=Settings(method="network"))
    first = usual.predict()
    there = usual.update(paint, method="small").predict()
    back = usual.update(paint, method="network").predict()
    assert set(seen) == {(64, 64)}
    assert np.array_equal(there.labels, afresh.labels) and np.array_equal(there.uncertainty, afresh.uncertainty)
    assert np.array_equal(back.labels, first.labels) and not np.array_equal(there.uncertainty, first.uncertainty)
    for value, slices in OWN.items():
        assert query_dice(there.labels == value, labels == value, slices) > 0.8


JOINT = Plan(
    "joint",
    architecture="joint",
    inputs=(Input("image", "image"), Input("shape", "shape"), Input("past", "painted shape", 1, 10.0)),
    structures=0,
    calibration={"joint": Calibration(1.1, 0.2)},
)


class Joint(nn.Module):
    """Structures that know of each other: each has its shape, less what the strongest other one has there."""

    shapes: list[tuple[int, ...]] = []  # noqa: RUF012

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.rivalry = nn.Parameter(torch.tensor(0.5))

    def forward(self, inputs: Tensor) -> Tensor:
        self.shapes.append(tuple(inputs.shape[1:]))
        structures = (inputs.shape[1] - 1) // 2
        shape = inputs[:, 1 : 1 + structures]
        others = [shape[:, [n for n in range(structures) if n != one]].amax(1) for one in range(structures)]
        return shape - self.rivalry * torch.stack(others, 1).clamp_min(0)


def test_structures_predicted_together_are_a_plan_for_several(scan, register, shelf, monkeypatch):
    image, labels = scan
    monkeypatch.setitem(ARCHITECTURES, "joint", Joint)
    monkeypatch.setattr(Joint, "shapes", [])
    shelf("joint", Joint(JOINT), JOINT)
    tasks: list[Task] = []

    class Together:
        def fit(self, task: Task, context: Context) -> FittedNetwork:
            tasks.append(task)
            plan, one = weights.load_plan("joint"), Ensemble(task, context)
            return FittedNetwork(make_network(plan), weights.load("joint"), one, plan)

    register("joint", Together, "joint", joint=True)
    paint = painted(labels)
    adapted = adapt(image, paint, SPACING, settings=Settings(method="joint"))
    result = adapted.predict()
    assert [task.values for task in tasks] == [(1, 2)] and tasks[0].known(5)[1].all() and not tasks[0].known(5)[0].all()
    size = JOINT.frame.size
    assert set(Joint.shapes) == {(5, size, size)}, "the image once, two planes of each structure"
    assert list(result.estimated_dice) == [1, 2]
    for value, slices in OWN.items():
        assert np.array_equal(result.labels[list(slices)] == value, labels[list(slices)] == value)
        assert query_dice(result.labels == value, labels == value, slices) > 0.8
    more = painted(labels, {1: OWN[1], 2: (5, 8, 11)})
    there = adapted.update(more).predict()
    afresh = segment(image, more, SPACING, settings=Settings(method="joint"))
    assert np.array_equal(there.labels, afresh.labels) and np.array_equal(there.uncertainty, afresh.uncertainty)
