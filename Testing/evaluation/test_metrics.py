"""Surface scores and curves against MONAI and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.evaluation.curves import pool
from MetaSegmentLib.evaluation.metrics import probability_scores, surface_scores

SPACING = (3.0, 1.0, 0.8)


@pytest.mark.parametrize("seed", range(5))
def test_without_painted_slices_the_surface_scores_are_monais(blobs, seed):
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    prediction, truth = blobs[seed], blobs[seed + 1]
    ours = surface_scores(prediction, truth, [], 1, SPACING)
    masks = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    hausdorff = compute_hausdorff_distance(*masks, include_background=True, percentile=95, spacing=SPACING)
    surface_dice = compute_surface_dice(*masks, class_thresholds=[2.0], include_background=True, spacing=SPACING)
    assert ours["hausdorff_95_mm"] == pytest.approx(float(hausdorff), rel=1e-5)
    assert ours["surface_dice_2mm"] == pytest.approx(float(surface_dice), rel=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_errors_on_painted_slices_do_not_count(axis):
    truth = np.zeros((20, 20, 20), bool)
    truth[4:16, 5:15, 5:15] = True
    painted = [6, 10, 13]
    prediction = truth.copy()
    np.moveaxis(prediction, axis, 0)[painted] = False
    assert surface_scores(prediction, truth, painted, axis, SPACING) == {
        "hausdorff_95_mm": 0.0,
        "surface_dice_2mm": 1.0,
    }


def test_nothing_predicted_has_a_finite_distance():
    truth = np.zeros((20, 20, 20), bool)
    truth[4:16, 5:15, 5:15] = True
    scores = surface_scores(np.zeros_like(truth), truth, [10], 0, (1.0, 1.0, 1.0))
    assert 4 <= scores["hausdorff_95_mm"] <= 6
    assert scores["surface_dice_2mm"] < 0.5


def histogram_of(*arguments):
    return probability_scores(*arguments)["histogram"]


@pytest.fixture
def a_soft_prediction(blobs):
    """Probabilities (K, J, I) that are right more often than not, and the truth."""
    truth = blobs[7]
    noise = gaussian_filter(np.random.default_rng(7).standard_normal(truth.shape), 1.0) * 6
    probability = 1 / (1 + np.exp(-(gaussian_filter(truth * 8.0, 1.0) - 4 + noise)))
    return probability.astype(np.float16), truth


def neighbourhood(probability, truth, painted):
    """Values and truth by the definition, voxel by voxel."""
    keep = np.ones(truth.shape, bool)
    for axis, found in enumerate(np.nonzero(truth)):
        low, high = found.min(), found.max() + 1
        more = np.ceil((high - low) / 4)
        index = np.arange(truth.shape[axis])
        shape = [1, 1, 1]
        shape[axis] = -1
        keep &= ((index >= low - more) & (index < high + more)).reshape(shape)
    keep[painted] = False
    return probability[keep].astype(float), truth[keep]


def test_areas_are_scikit_learns(a_soft_prediction):
    from sklearn.metrics import average_precision_score, roc_auc_score

    probability, truth = a_soft_prediction
    painted = [9, 13]
    curves = pool([histogram_of(probability, truth, painted, 0)])
    values, inside = neighbourhood(probability, truth, painted)
    assert 0.6 < curves["roc_area"] < 0.999
    assert curves["roc_area"] == pytest.approx(roc_auc_score(inside, values), abs=2e-3)
    assert curves["pr_area"] == pytest.approx(average_precision_score(inside, values), abs=5e-3)
    assert curves["true_positive_rate"][0] == 0 and curves["true_positive_rate"][-1] == 1
    assert np.all(np.diff(curves["false_positive_rate"]) >= 0)


def test_calibration_error_is_monais(a_soft_prediction):
    import torch
    from monai.metrics import CalibrationErrorMetric

    probability, truth = a_soft_prediction
    values, inside = neighbourhood(probability, truth, [11])
    metric = CalibrationErrorMetric(num_bins=10, include_background=True)
    metric(torch.from_numpy(values).float()[None, None], torch.from_numpy(inside).float()[None, None])
    curves = pool([histogram_of(probability, truth, [11], 0)])
    assert curves["calibration_error"] == pytest.approx(float(metric.aggregate()), abs=1e-4)
    assert sum(share for _, _, share in curves["reliability"]) == pytest.approx(1)


def test_a_perfect_mask_has_perfect_curves(blobs):
    truth = blobs[2]
    curves = pool([histogram_of(truth.astype(np.float16), truth, [3], 2)])
    assert curves["roc_area"] == curves["pr_area"] == 1
    assert curves["calibration_error"] == 0


def test_every_case_weighs_the_same(blobs):
    truth = blobs[2]
    good = histogram_of(truth.astype(np.float32), truth, [3], 0)
    bad = histogram_of((~truth).astype(np.float32), truth, [3], 0)
    small = {
        "positives": [n // 3 for n in bad["positives"]],
        "negatives": [n // 3 for n in bad["negatives"]],
        "reliability": [[n // 3, p / 3, t // 3] for n, p, t in bad["reliability"]],
    }
    assert pool([good, small])["calibration_error"] == pytest.approx(0.5, abs=0.02)


def test_the_brier_score_is_scikit_learns(a_soft_prediction):
    from sklearn.metrics import brier_score_loss

    probability, truth = a_soft_prediction
    values, inside = neighbourhood(probability, truth, [10])
    assert probability_scores(probability, truth, [10], 0)["brier"] == pytest.approx(brier_score_loss(inside, values))


def test_where_it_is_sure_does_not_count_among_the_unsure():
    truth = np.zeros((8, 8, 8), bool)
    truth[2:6, 2:6, 2:6] = True
    sure = pool([histogram_of(np.where(truth, 0.999, 0.001), truth, [3], 0)])
    assert sure["calibration_error_unsure"] is None and sure["calibration_error"] < 0.01
    doubt = np.where(truth, 0.7, 0.001)
    found = pool([histogram_of(doubt, truth, [3], 0)])["calibration_error_unsure"]
    assert found == pytest.approx(0.3, abs=0.02)
