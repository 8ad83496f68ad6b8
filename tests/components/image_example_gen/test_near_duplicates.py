import io

import numpy as np
from drawing import flat, stripes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.image_example_gen import near_duplicates
from components.image_example_gen.near_duplicates import PerceptualHash, find_clusters


def scene(seed: int, size: int = 64) -> np.ndarray:
    """A picture with some structure: coloured blobs, smoothly blended."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def hashes_of(*pictures: np.ndarray) -> list[PerceptualHash]:
    found = [near_duplicates.perceptual_hash(near_duplicates.shrink(picture)) for picture in pictures]
    assert all(found)
    return found


def compressed(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((size, size)))


def test_the_same_picture_saved_anew_resized_or_brightened_is_a_near_duplicate():
    one = scene(1, 300)
    brighter = np.clip(one.astype(int) + 10, 0, 255).astype(np.uint8)
    found = find_clusters(hashes_of(one, compressed(one, 40), resized(one, 200), brighter, scene(2, 300)), bits=4)
    assert found.tolist() == [0, 0, 0, 0, 4]


def test_different_pictures_are_no_near_duplicates():
    found = find_clusters(hashes_of(*(scene(seed) for seed in range(200))), bits=4)
    assert found.tolist() == list(range(200))


def test_the_same_structure_in_other_colours_is_another_picture():
    one = stripes(64)
    other = one[:, :, [2, 0, 1]]
    same_grey = np.repeat(one.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert find_clusters(hashes_of(one, same_grey, other), bits=16).tolist()[1] == 1


def test_a_plain_picture_has_no_hash():
    for colour in ("cyan", "yellow"):
        assert near_duplicates.perceptual_hash(near_duplicates.shrink(flat(colour, (64, 64)))) is None


def test_no_image_and_one_image_make_no_cluster():
    assert find_clusters([], bits=4).tolist() == []
    assert find_clusters(hashes_of(scene(1)), bits=4).tolist() == [0]


MOSAIC = bytes(48)


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=6)), max_size=30),
    st.integers(0, 8),
)
def test_clusters_are_those_that_comparing_all_pairs_finds(hashes, variants, bits):
    for source, flips in variants:
        hashes = [*hashes, hashes[source % len(hashes)] ^ sum(1 << bit for bit in flips)]
    found = find_clusters([PerceptualHash(one, MOSAIC) for one in hashes], bits)
    near = [[(one ^ other).bit_count() <= bits for other in hashes] for one in hashes]
    expected = list(range(len(hashes)))
    for _ in hashes:  # as often as a chain could be long
        expected = [min(expected[j] for j in range(len(hashes)) if near[i][j]) for i in range(len(hashes))]
    assert found.tolist() == expected


def test_thousands_of_frames_of_one_scene_are_one_cluster():
    rng = np.random.default_rng(0)
    hashes = [int(rng.integers(0, 2**4)) for _ in range(5000)]
    assert set(find_clusters([PerceptualHash(one, MOSAIC) for one in hashes], bits=4).tolist()) == {0}
