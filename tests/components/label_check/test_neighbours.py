import numpy as np
import pytest
import sklearn.neighbors

from components.label_check import neighbours


def directions(images: int, seed: int) -> neighbours.Directions:
    return wrapped(np.random.default_rng(seed).normal(size=(images, 7)).astype(np.float32))


def wrapped(vectors: np.ndarray) -> neighbours.Directions:
    return neighbours.Directions(vectors, np.arange(len(vectors)), np.zeros(7))


def test_neighbours_are_those_that_scikit_learn_finds(monkeypatch):
    monkeypatch.setattr(neighbours, "_PIECE", 6)  # several pieces, the last one smaller
    images, references = directions(17, 0), directions(50, 1)
    found = neighbours.nearest(images, references, 3)
    search = sklearn.neighbors.NearestNeighbors(n_neighbors=3, metric="cosine").fit(references[:])
    expected = search.kneighbors(images[:])
    assert (found.indices == expected[1]).all()
    assert found.distances == pytest.approx(expected[0], abs=1e-5)


@pytest.mark.parametrize("references", [0, 2])
def test_with_few_references_there_are_fewer_neighbours(references):
    assert neighbours.nearest(directions(4, 0), directions(references, 1), 3).indices.shape == (4, references)


def test_an_image_is_not_its_own_neighbour_and_a_far_one_is_an_outlier():
    random = np.random.default_rng(0)
    cloud = np.array([0, 1, 0, 0, 0, 0, 0]) + random.normal(scale=0.1, size=(80, 7))
    images = np.vstack([[1, 0, 0, 0, 0, 0, 0], cloud])
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    distances, unusual = neighbours.outliers(wrapped(images))
    assert unusual.tolist() == [True] + [False] * 80
    others = np.sort(1 - images[1] @ images[np.arange(81) != 1].T)[:10]
    assert distances[1] == pytest.approx(others.mean(), abs=1e-5)


def test_an_image_that_is_not_among_the_references_has_as_many_neighbours(monkeypatch):
    images = directions(60, 2)
    monkeypatch.setattr(neighbours, "_REFERENCES", 30)
    distances, _ = neighbours.outliers(images)
    chosen = np.sort(np.random.default_rng(2).permutation(60)[:30])
    row = next(row for row in range(60) if row not in chosen)
    assert distances[row] == pytest.approx(np.sort(1 - images[:][row] @ images[chosen].T)[:10].mean(), abs=1e-5)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_few_images_have_no_outliers(images):
    distances, unusual = neighbours.outliers(directions(images, 0))
    assert np.isfinite(distances).all() and len(distances) == images
    assert images > 2 or not unusual.any()


def test_the_mean_is_that_of_the_last_features_of_all_images(monkeypatch):
    monkeypatch.setattr(neighbours, "_PIECE", 4)
    features = np.random.default_rng(0).normal(size=(11, 5))
    assert neighbours.mean_of(features, 11, 2) == pytest.approx(features[:, -2:].mean(axis=0))
