import numpy as np
import pytest

from modules import heads

OPTIONS = {"filters": [8, 4], "dropout": 0.3}


def test_a_conv_head_gives_probabilities_of_each_class():
    head = heads.build("conv", (5, 5, 16), 7, seed=0, **OPTIONS)
    answer = head(np.random.default_rng(0).normal(size=(3, 5, 5, 16)).astype("f4")).numpy()
    assert answer.shape == (3, 7)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-6)
    assert [layer.filters for layer in head.layers if hasattr(layer, "filters")] == [8, 4]


def test_a_conv_head_sees_where_a_feature_stands():
    """Pooling before the convolutions would answer the same for both."""
    head = heads.build("conv", (6, 6, 2), 2, seed=0, **OPTIONS)
    apart, together = np.zeros((1, 6, 6, 2), "f4"), np.zeros((1, 6, 6, 2), "f4")
    apart[0, 1, 1, 0] = apart[0, 4, 4, 1] = together[0, 2, 2, 0] = together[0, 2, 3, 1] = 10
    assert not np.allclose(head(apart), head(together), atol=1e-4)


def test_the_seed_decides_the_initial_weights():
    weights = [
        np.concatenate([w.ravel() for w in heads.build("conv", (3, 3, 4), 2, seed=seed, **OPTIONS).get_weights()])
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_feature_map_smaller_than_the_kernel_is_refused_with_the_reason():
    with pytest.raises(heads.HeadError, match=r"3x3 or more.*yields 2x5.*image_size"):
        heads.build("conv", (2, 5, 16), 3, seed=0, **OPTIONS)
    with pytest.raises(heads.HeadError, match=r"heads are conv. Received: 'cnov'"):
        heads.build("cnov", (5, 5, 16), 3, seed=0)
