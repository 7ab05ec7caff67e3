"""From logits to labels and probabilities: what decides the labels are the probabilities, worked out when asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from MetaSegmentLib import Settings, SettingsError, segment
from MetaSegmentLib.answer.assemble import Assembler, Known
from MetaSegmentLib.answer.patch import Patch
from MetaSegmentLib.cli import main
from MetaSegmentLib.progress import Progress
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import make_task
from MetaSegmentLib.task.volume import check_volume

SHAPE = (12, 40, 36)
OWN = {1: (3, 7), 4: (5, 9)}
TEMPERATURE = 2.0


def bodies() -> np.ndarray:
    k, j, i = np.indices(SHAPE)
    labels = np.zeros(SHAPE, np.uint8)
    labels[((k - 6) / 6) ** 2 + ((j - 20) / 12) ** 2 + ((i - 24) / 9) ** 2 < 1] = 4
    labels[((k - 6) / 6) ** 2 + ((j - 18) / 13) ** 2 + ((i - 11) / 8) ** 2 < 1] = 1
    return labels


def painted() -> np.ndarray:
    labels, paint = bodies(), np.zeros(SHAPE, np.uint8)
    for value, slices in OWN.items():
        for index in slices:
            paint[index][labels[index] == value] = value
    return paint


@pytest.fixture(scope="module")
def patches() -> dict[int, Patch]:
    """Random logits of two structures, each on a frame of its own, on slices 2 to 9."""
    volume, paint = check_volume(np.random.default_rng(0).normal(size=SHAPE)), read_paint(painted(), SHAPE, axis=0)
    found = {}
    for value in OWN:
        frame = make_task(volume, paint, (value,)).frame
        random = np.random.default_rng(value)
        logits = {index: 3 * random.standard_normal(frame.shape).astype(np.float32) for index in range(2, 10)}
        found[value] = Patch(frame, logits, temperature=TEMPERATURE)
    return found


def expected(patches, index, paint=None) -> np.ndarray:
    """(3, rows, columns) probabilities of a slice, by the definition."""
    logits = np.full((3, *SHAPE[1:]), -12.0)
    logits[0] = 0
    for place, patch in enumerate(patches.values(), start=1):
        in_image, in_window = patch.frame.window.inside(*SHAPE[1:])
        on_voxels = patch.frame.to_window(patch.logits[index][None])[0] / TEMPERATURE
        logits[place][in_image] = on_voxels[in_window]
    if paint is not None:
        for place, value in enumerate(OWN, start=1):
            settled = np.ones(SHAPE[1:], bool) if index in OWN[value] else paint > 0
            logits[place][settled & (paint != value)] = -np.inf
            logits[:, paint == value] = -np.inf
            logits[place][paint == value] = 0
    return softmax(logits, axis=0)


@pytest.mark.parametrize("with_paint", [False, True])
def test_probabilities_are_the_softmax_of_the_logits_and_of_what_is_known(patches, with_paint):
    paint = painted()
    known = Known.of(read_paint(paint, SHAPE, axis=0)) if with_paint else Known()
    assembler = Assembler(SHAPE, 0, tuple(OWN), patches, known)
    probabilities = assembler.probabilities()
    for index in range(2, 10):
        here = expected(patches, index, paint[index] if with_paint else None)
        np.testing.assert_allclose(probabilities[:, index], here, atol=1e-3)
    for index in (0, 1, 10, 11):
        assert (probabilities[0, index] == 1).all() and not probabilities[1:, index].any()
    assembly = assembler.run(Progress())
    classes = np.array([0, *OWN])
    chosen = np.stack([classes[assembler.chances(index).argmax(0)] for index in range(2, 10)])
    assert np.array_equal(assembly.labels[2:10], chosen) and set(np.unique(chosen)) == {0, *OWN}


def test_half_precision_tells_the_likeliest_class_where_it_is_only_just_so(patches):
    hardly = {
        value: replace(patch, logits={index: np.sign(plane) * 1e-5 for index, plane in patch.logits.items()})
        for value, patch in patches.items()
    }
    assembler = Assembler(SHAPE, 0, tuple(OWN), hardly, Known())
    labels = assembler.run(Progress()).labels
    assert np.array_equal(np.array([0, *OWN])[assembler.probabilities().argmax(0)], labels)
    assert set(np.unique(labels)) == {0, *OWN}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_are_the_likeliest_and_painted_voxels_are_certain(axis):
    labels, paint = (np.moveaxis(array, 0, axis) for array in (bodies(), painted()))
    image = labels * 30.0 + np.random.default_rng(2).normal(0, 5, labels.shape)
    result = segment(image, paint, axis=axis, settings=Settings(method="shape"))
    probabilities, classes = result.probabilities, np.array([0, *OWN])
    assert probabilities.shape == (3, *labels.shape) and probabilities.dtype == np.float16
    assert np.allclose(probabilities.sum(0, dtype=np.float32), 1, atol=2e-3)
    assert np.array_equal(classes[probabilities.argmax(0)], result.labels)
    for place, value in enumerate(classes[1:], start=1):
        assert (probabilities[place][paint == value] == 1).all()
        assert not probabilities[place][(paint > 0) & (paint != value)].any()
        own = np.moveaxis(probabilities[place], axis, 0)[list(OWN[value])]
        assert np.isin(own, (0, 1)).all(), "a slice is complete for the structure painted on it"


@pytest.fixture(scope="module")
def result():
    image = bodies() * 30.0 + np.random.default_rng(2).normal(0, 5, SHAPE)
    return segment(image, painted(), axis=0, settings=Settings(method="shape"))


def test_probabilities_are_worked_out_when_asked_for_and_once(result):
    assert "probabilities" not in vars(result)
    asked = []

    def compute():
        asked.append(1)
        return result.compute_probabilities()

    spied = replace(result, compute_probabilities=compute)
    assert spied.labels is result.labels and repr(spied) and not asked
    assert spied.probabilities is spied.probabilities and len(asked) == 1
    assert "probabilities" not in vars(result)


def test_asking_later_gives_the_same(result):
    first = result.compute_probabilities()
    assert np.array_equal(first, result.compute_probabilities()) and np.array_equal(first, result.probabilities)


def test_a_result_that_came_without_says_so(result):
    with pytest.raises(SettingsError, match="without probabilities"):
        _ = replace(result, compute_probabilities=None).probabilities


def test_a_command_that_does_not_write_them_does_not_compute_them(tmp_path, monkeypatch):
    from cli.workplace import Workplace, a_ball, an_image_of, painted_on

    truth = a_ball()
    files = {"image": "i.nrrd", "support": "p.seg.nrrd", "output": "o.seg.nrrd", "uncertainty": "u.nrrd"}
    place = Workplace(tmp_path, truth, {**files, "method": "shape"})
    place.image(an_image_of(truth), name="i.nrrd")
    place.paint(painted_on(truth), name="p.seg.nrrd")
    monkeypatch.setattr(Assembler, "probabilities", lambda self: pytest.fail("nobody asked for probabilities"))
    assert main(place.words()) == 0
