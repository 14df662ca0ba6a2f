import numpy as np
import pytest

from keras_selfaux.datasets.rooms import _textures
from keras_selfaux.datasets.rooms._textures import PATTERNS, Texture

BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def places(number=4_000):
    return np.random.default_rng(0).uniform(-5.0, 5.0, (2, number))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_mix_two_colours(pattern):
    first, second = (0.1, 0.2, 0.3), (0.7, 0.6, 0.3)
    texture = Texture(pattern, first, second, scale=0.3, angle=0.4, seed=5)
    colours = _textures.reflectance(texture, places())
    assert colours.shape == (3, 4_000)
    np.testing.assert_allclose(colours[2], 0.3)
    share = (colours[0] - 0.1) / 0.6
    assert share.min() >= -1e-12
    assert share.max() <= 1.0 + 1e-12
    np.testing.assert_allclose((colours[1] - 0.2) / 0.4, share, atol=1e-12)
    assert (share.std() > 0.05) == (pattern != "plain")


def test_checker_by_hand():
    texture = Texture("checker", BLACK, WHITE, scale=0.5)
    at = np.array([[0.2, 0.7, 0.7, -0.2], [0.2, 0.2, 0.7, 0.2]])
    red, _, _ = _textures.reflectance(texture, at)
    assert red.tolist() == [0.0, 1.0, 0.0, 1.0]


def test_turned_stripes_run_along_the_other_axis():
    upright = Texture("stripes", BLACK, WHITE, scale=0.3)
    across = upright._replace(angle=np.pi / 2.0)
    u, v = places()
    np.testing.assert_array_equal(
        _textures.reflectance(across, np.stack([u, v])),
        _textures.reflectance(upright, np.stack([-v, u])),
    )


def test_chance_is_spread_evenly_and_depends_on_its_seed():
    i, j = np.meshgrid(np.arange(-60.0, 60.0), np.arange(-60.0, 60.0))
    first, second = (_textures.chance(i, j, seed) for seed in (1, 2))
    counts, _ = np.histogram(first, bins=10, range=(0.0, 1.0))
    np.testing.assert_allclose(counts / first.size, 0.1, atol=0.02)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(first[1:].ravel(), first[:-1].ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(first, _textures.chance(i, j, 1))


def test_smooth_noise_has_no_steps():
    u = np.linspace(-3.0, 3.0, 6_001)
    noise = _textures.smooth_noise(u, np.full_like(u, 0.3), 0)
    # The steepest slope between lattice points is 1.5 per unit.
    assert np.abs(np.diff(noise)).max() <= 1.5 * 0.001 + 1e-9
    assert noise.std() > 0.1
