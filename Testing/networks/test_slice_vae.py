"""The auto-encoder of slices: its bound against closed forms, and what it draws at the ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import norm
from torch.distributions import Normal

from MetaSegmentLib.methods.gradient.drawn_slices import VAE_PREFIX, drawn, first_vae, stored_vae
from MetaSegmentLib.networks.plan import SLICE_V1
from MetaSegmentLib.networks.slice_vae import LATENT, Neighbours, SliceVae, bound


def inputs_at(*positions: float) -> torch.Tensor:
    """Of slices between two squares, the second of which lies elsewhere."""
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, len(SLICE_V1.inputs), 32, 32, generator=random).repeat(len(positions), 1, 1, 1)
    for n, corner in ((1, 6), (2, 12)):
        shape = torch.full((32, 32), -0.35)
        shape[corner : corner + 10, corner : corner + 10] = 0.35
        inputs[:, SLICE_V1.place(f"painted shape {n}")] = shape
    for place, position in enumerate(positions):
        inputs[place, SLICE_V1.place("distance 1")] = position
        inputs[place, SLICE_V1.place("distance 2")] = position - 1
    return inputs


def test_the_terms_of_the_bound_are_those_of_the_closed_forms():
    random = np.random.default_rng(0)
    image, mean, logits = random.normal(size=(3, 2, 4, 4))
    mask = (random.random((2, 4, 4)) > 0.5).astype(float)
    m, s = random.normal(size=(2, LATENT)), random.uniform(0.2, 2, (2, LATENT))
    given = [torch.from_numpy(part).float() for part in (image, mask, mean, logits, m, s)]
    found = bound(*given[:4], Normal(*given[4:]), torch.tensor(np.log(0.3)).float())
    likelihood = norm.logpdf(image, mean, 0.3).sum() / 2
    coin = (mask * np.log(expit(logits)) + (1 - mask) * np.log(expit(-logits))).sum() / 2
    divergence = (0.5 * (m**2 + s**2 - 1) - np.log(s)).sum() / 2
    for term, expected in ((found.image, -likelihood), (found.mask, -coin), (found.divergence, divergence)):
        assert float(term) == pytest.approx(expected, rel=1e-5)
    assert float(found.total) == pytest.approx(divergence - likelihood - coin, rel=1e-5)


def test_a_painted_slice_is_drawn_as_it_was_painted():
    inputs = inputs_at(0.0, 1.0, 0.5)
    known = Neighbours.of(inputs, SLICE_V1)
    torch.testing.assert_close(known.position.flatten(), torch.tensor([0.0, 1.0, 0.5]))
    vae = SliceVae()
    torch.nn.init.normal_(vae.decoder.answer.weight, std=3)
    image, logits = vae.decoder(torch.randn(3, LATENT), known)
    for place in (0, 1):
        torch.testing.assert_close(image[place], known.images[place, place])
        assert torch.equal(logits[place] > 0, known.shapes[place, place] > 0)
    assert (image[2] - known.images[2].mean(0)).abs().max() > 0.1


def test_drawing_changes_the_image_only_and_is_that_of_the_seed():
    inputs, vae = inputs_at(0.3, 0.6), {name: value.detach() * 3 for name, value in stored_vae(first_vae()).items()}

    def draw(seed):
        return drawn(inputs, SLICE_V1, vae, torch.Generator().manual_seed(seed))

    (one, mask), (again, mask_again), (other, _) = draw(0), draw(0), draw(1)
    assert torch.equal(one, again) and torch.equal(mask, mask_again) and not torch.equal(one, other)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    differ = {place for place in range(inputs.shape[1]) if not torch.equal(one[:, place], inputs[:, place])}
    assert differ == {SLICE_V1.place("image")}


def test_learning_raises_the_bound_and_reaches_every_parameter():
    torch.manual_seed(0)
    vae, inputs = SliceVae(), inputs_at(0.25, 0.5, 0.75)
    known = Neighbours.of(inputs, SLICE_V1)
    image = known.images.mean(1) + torch.linspace(-1, 1, 32)
    mask = torch.zeros(3, 32, 32)
    mask[:, 9:19, 9:19] = 1
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = vae(image, mask, known).total
        loss.backward()
        assert all(parameter.grad is not None for parameter in vae.parameters())
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_it_is_stored_under_its_prefix_and_begins_the_same():
    one, two = first_vae(), first_vae()
    assert all(name.startswith(VAE_PREFIX) and torch.equal(value, two[name]) for name, value in one.items())
    assert set(stored_vae({**one, "head.bias": torch.zeros(1)})) == {name for name, _ in SliceVae().named_parameters()}
