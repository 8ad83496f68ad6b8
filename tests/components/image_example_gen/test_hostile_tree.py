"""A data folder with every unusual file that we could think of. Each file is recorded, the same way in every run."""

import io
import os
import socket
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from drawing import encode, flat, stripes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import Ingested, ingest
from PIL import Image

from components.image_example_gen import report

USED = "used"


def picture(seed: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    """Distinct noise, so that no two files are duplicates by accident."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def frames(kind: str, seed: int, **options: object) -> bytes:
    first, second = (Image.fromarray(picture(seed + offset)) for offset in (0, 1000))
    return saved(first, kind, save_all=True, append_images=[second], **options)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def header(width: int, height: int) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


def bomb() -> bytes:
    """100 megapixels of black in some kilobytes."""
    rows = zlib.compress(bytes((10_000 * 3 + 1) * 10_000), 9)
    return png(header(10_000, 10_000), (b"IDAT", rows), (b"IEND", b""))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def kinds() -> dict[str, tuple[bytes, str]]:
    """File name to its bytes and what happens to it."""
    jpeg, grey = encode(picture(1), "JPEG"), Image.fromarray(picture(2)).convert("L")
    alpha = Image.fromarray(np.dstack([picture(3), picture(4)[:, :, 0]]))
    sixteen = Image.fromarray(np.random.default_rng(5).integers(0, 65536, (24, 32)).astype(np.uint16))
    floating = Image.fromarray(np.random.default_rng(6).random((24, 32)).astype(np.float32))
    whole = {
        "plain.jpg": jpeg,
        "progressive.jpg": encode(picture(10), "JPEG", progressive=True),
        "grey.jpg": saved(grey, "JPEG"),
        "cmyk.jpg": encode(picture(11), "JPEG", "CMYK"),
        "quality 1.jpg": encode(picture(12), "JPEG", quality=1),
        "no subsampling.jpg": encode(picture(13), "JPEG", subsampling=0),
        "multi picture.jpg": frames("MPO", 14),
        "garbage behind.jpg": encode(picture(15), "JPEG") + b"\0" * 1000,
        "comment.jpg": encode(picture(16), "JPEG", comment=b"x" * 60_000),
        "profile.jpg": encode(picture(17), "JPEG", icc_profile=b"not a profile at all"),
        **{f"turned {value}.jpg": encode(picture(20 + value), "JPEG", exif=exif(value)) for value in range(1, 9)},
        "turned 77.jpg": encode(picture(29), "JPEG", exif=exif(77)),
        "broken exif.jpg": encode(picture(30), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "plain.png": encode(picture(31)),
        "grey.png": saved(Image.fromarray(picture(32)).convert("L"), "PNG"),
        "alpha.png": saved(alpha, "PNG"),
        "palette.png": encode(picture(33), "PNG", "P"),
        "bits.png": encode(picture(34), "PNG", "1"),
        "sixteen bits.png": saved(sixteen, "PNG"),
        "transparent colour.png": encode(picture(35), "PNG", transparency=(1, 2, 3)),
        "turned.png": encode(picture(36), "PNG", exif=exif(6)),
        "moving.png": frames("PNG", 37),
        "plain.gif": encode(picture(38), "GIF", "P"),
        "moving.gif": frames("GIF", 39),
        "plain.bmp": encode(picture(40), "BMP"),
        "palette.bmp": encode(picture(41), "BMP", "P"),
        "lab.tiff": encode(picture(88), "TIFF", "LAB"),
        "bits.bmp": encode(picture(42), "BMP", "1"),
        "alpha.bmp": saved(Image.fromarray(np.dstack([picture(43), picture(44)[:, :, 0]])), "BMP"),
        "plain.webp": encode(picture(45), "WEBP"),
        "lossless alpha.webp": saved(Image.fromarray(np.dstack([picture(46)] * 2)[:, :, :4]), "WEBP", lossless=True),
        "moving.webp": frames("WEBP", 47),
        "plain.tiff": encode(picture(48), "TIFF"),
        "packed.tiff": encode(picture(49), "TIFF", compression="tiff_lzw"),
        "cmyk.tiff": encode(picture(50), "TIFF", "CMYK"),
        "sixteen bits.tiff": saved(sixteen.rotate(90), "TIFF"),
        "pages.tiff": frames("TIFF", 51),
        "plain.avif": encode(picture(52), "AVIF"),
        "plain.heic": encode(picture(53), "HEIF"),
        "plain.jp2": encode(picture(54), "JPEG2000"),
        "plain.ppm": encode(picture(55), "PPM"),
        "plain.ico": encode(picture(56, (32, 32)), "ICO", sizes=[(32, 32)]),
        "plain.tga": encode(picture(57), "TGA"),
        "jpeg, called png.png": encode(picture(58), "JPEG"),
        "no extension": encode(picture(59)),
        "UPPER.JPG": encode(picture(60), "JPEG"),
        "upper.jpg": encode(picture(61), "JPEG"),
        "name with spaces .jpg": encode(picture(62), "JPEG"),
        "-dash.jpg": encode(picture(63), "JPEG"),
        "line\nbreak.jpg": encode(picture(64), "JPEG"),
        "emoji 👩\u200d🔬.jpg": encode(picture(65), "JPEG"),
        "שלום.jpg": encode(picture(66), "JPEG"),
        os.fsdecode(b"latin \xe9.jpg"): encode(picture(67), "JPEG"),
        f"{'long' * 60}.jpg": encode(picture(68), "JPEG"),
        "quote\"s 'n back\\slash.jpg": encode(picture(69), "JPEG"),
        "star*[x]?.jpg": encode(picture(70), "JPEG"),
        "#hash%20.jpg": encode(picture(71), "JPEG"),
        "thin.png": encode(picture(72, (8, 900))),
        "black.png": encode(flat((0, 0, 0))),
        "white.jpg": encode(flat((255, 255, 255)), "JPEG"),
    }
    rejected = {
        "not-an-image": {
            "empty.jpg": b"",
            "text.jpg": b"this is no photo",
            "html.png": b"<!doctype html><title>404</title>",
            "zip.jpg": b"PK\x03\x04" + bytes(100),
            "svg.png": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            "pdf.jpg": b"%PDF-1.7\n",
            "zeros.jpg": bytes(5000),
            "magic only.jpg": b"\xff\xd8",
        },
        "truncated": {
            "cut.jpg": encode(picture(80), "JPEG")[:-300],
            "cut in its header.png": encode(picture(81))[:20],
            "cut.png": encode(picture(82))[:-200],
            "cut.gif": encode(picture(83), "GIF", "P")[:-200],
            "cut.webp": encode(picture(84), "WEBP")[:-100],
            "cut.tiff": encode(picture(85), "TIFF")[:300],
            "no pixels.png": png(header(32, 24), (b"IEND", b"")),
            "bad checksum.png": encode(picture(86)).replace(b"IDAT", b"IDAT\x01", 1),
        },
        "unsupported-format": {
            "float.tiff": saved(floating, "TIFF"),
            "plain.eps": encode(picture(87), "EPS"),
        },
        "too-large": {
            "bomb.png": bomb(),
            "claims much.png": png(header(2**31 - 1, 2**31 - 1), (b"IDAT", b""), (b"IEND", b"")),
        },
        "too-small": {
            "one pixel.gif": encode(picture(89, (1, 1)), "GIF", "P"),
            "thin.png": encode(picture(90, (4, 900))),
        },
    }
    found = {f"good/{name}": (content, USED) for name, content in whole.items()}
    for reason, files in rejected.items():
        found |= {f"bad/{name}": (content, reason) for name, content in files.items()}
    return found


KINDS = kinds()
CLUTTER = {
    **{"good/.hidden.jpg": ".*", "good/Thumbs.db": "Thumbs.db", "bad/ehThumbs.db": "ehthumbs.db"},
    **{"bad/.a/b.jpg": ".*/", "__MACOSX/good/x.jpg": "__MACOSX/", ".git/x.jpg": ".git/"},
    **{"good/@eaDir/plain.jpg/SYNOPHOTO_THUMB_XL.jpg": "@eaDir/", "#recycle/good/old.jpg": "#recycle/"},
    **{"lost+found/x.jpg": "lost+found/", "System Volume Information/x.jpg": "System Volume Information/"},
    **{"good/Catalog Previews.lrdata/a.jpg": "*.lrdata/", "$Recycle.Bin/x.jpg": "$Recycle.Bin/"},
    **{"good/._plain.jpg": "._*", "bad/Desktop.INI": "desktop.ini", "meta.json": "*.json"},
    **{"good/plain.jpg.json": "*.json", "good/plain.XMP": "*.xmp", "good/turned 1.AAE": "*.aae"},
    **{"good/plain.png.txt": "*.txt", "good/plain.xml": "*.xml", "good/plain.jpg~": "*~"},
    **{"bad/x.jpg.part": "*.part", "good/plain.jpg_original": "*_original", "good/~$plain.jpg": "~$*"},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / "photos"
    for index in range(40):  # so that no split is empty, whatever the hashes are
        KINDS.setdefault(f"bad/deep/er/{index}.png", (encode(picture(1000 + index)), USED))
    for path, (content, _) in KINDS.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    for path in CLUTTER:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(encode(picture(5000)))
    (root / "stray.png").write_bytes(encode(picture(5001)))
    (root / "good/copy.jpg").write_bytes(KINDS["good/plain.jpg"][0])
    (root / "good/linked.jpg").symlink_to(root / "good/plain.png")
    os.link(root / "good/plain.gif", root / "good/hard link.gif")
    (root / "good/broken link.jpg").symlink_to(root / "good/gone.jpg")
    (root / "good/itself.jpg").symlink_to(root / "good/itself.jpg")
    (root / "good/outside.jpg").symlink_to("/etc/passwd")
    (root / "good/loop").symlink_to(root, target_is_directory=True)
    (root / "good/folder.jpg").mkdir()
    os.mkfifo(root / "bad/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(root / "bad/socket.jpg"))  # a socket's path must be short
    return root


UNREADABLE = {
    *("good/broken link.jpg", "good/itself.jpg", "good/outside.jpg", "good/loop"),
    *("bad/pipe.jpg", "bad/socket.jpg"),
}
DUPLICATES = {"good/plain.jpg", "good/plain.png", "good/plain.gif"} | {
    *("good/copy.jpg", "good/linked.jpg", "good/hard link.gif")
}


@pytest.fixture(scope="module")
def once(tree, tmp_path_factory) -> Ingested:
    return ingest(tree, tmp_path_factory.mktemp("once") / "run")


def test_there_are_many_kinds():
    assert len(KINDS) + len(CLUTTER) + len(UNREADABLE) + 4 - 40 >= 60


def test_every_file_is_recorded(once, tree):
    found = [path for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()]
    assert once.counts.found == len(found) - len(CLUTTER) == once.recorded()


def test_clutter_is_counted_by_kind_and_folders_at_the_top_by_name(once):
    assert once.counts.ignored == dict(Counter(CLUTTER.values()))


def test_each_file_has_the_expected_outcome(once):
    expected = {path: outcome for path, (_, outcome) in KINDS.items() if outcome != USED}
    expected |= dict.fromkeys(UNREADABLE, "unreadable") | {"stray.png": "no-label"}
    assert once.reasons() == expected
    assert once.counts.reasons["unreadable"] == len(UNREADABLE)
    used = {path for path, (_, outcome) in KINDS.items() if outcome == USED}
    assert set(once.examples) - DUPLICATES == used - DUPLICATES
    duplicates = once.rows[report.DUPLICATES]
    assert len(duplicates) == 3
    assert {row["path"] for row in duplicates} | {row["same_as"] for row in duplicates} == DUPLICATES


def test_files_that_tensorflow_can_not_decode_are_transcoded_and_counted(once):
    transcoded = {path for path, example in once.examples.items() if example["encoded"] != KINDS.get(path, [b""])[0]}
    ours = {path for path in transcoded - DUPLICATES if path in KINDS}
    endings = ("webp", "tiff", "avif", "heic", "jp2", "ppm", "ico", "tga", "bits.bmp")
    assert ours == {path for path in once.examples if path.endswith(endings)}
    assert once.counts.transcoded == len(ours)
    for path in ours:
        assert once.examples[path]["encoded"].startswith(b"\x89PNG")


def test_exif_rotation_is_applied(once):
    sizes = {n: once.examples[f"good/turned {n}.jpg"] for n in range(1, 9)}
    assert {n for n, example in sizes.items() if example["height"] > example["width"]} == {5, 6, 7, 8}


def test_images_that_can_be_shown_have_thumbnails(once):
    shown = {row["path"]: row["thumbnail"] for row in once.rows[report.QUARANTINE] if row["thumbnail"]}
    assert {"bad/thin.png", "bad/cut.jpg", "bad/one pixel.gif"} <= set(shown)
    assert not {"bad/bomb.png", "bad/text.jpg", "good/outside.jpg", "bad/pipe.jpg"} & set(shown)
    for name in shown.values():
        assert max(Image.open(once.folder / "report" / name).size) <= 160


def test_a_second_run_writes_the_same_bytes(once, tree, tmp_path):
    assert ingest(tree, tmp_path / "run").files == once.files


def test_nothing_temporary_is_left(once):
    folders = {path.parent.name for path in (once.folder / "examples").rglob("*") if path.is_file()}
    assert folders == {"Split-train", "Split-eval", "Split-test"}
    rows = {f"{name}.jsonl" for name in ("quarantine", "duplicates", "near_duplicates", "little_content")}
    assert {path.name for path in (once.folder / "report").iterdir()} == rows | {
        *("counts.json", "shortcuts.json"),
        *("facts", "thumbnails"),
    }


PNGS = [encode(picture(seed, (8, 8))) for seed in range(24)]
GROUPS = st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=24, max_size=24)


def lay_out(folder: Path, chosen: list[int], groups: list[str], name: str) -> Path:
    """Writes these pictures and their manifest; file names start with `name`."""
    folder.mkdir()
    rows = ["path,label,group"]
    for index in chosen:
        (folder / f"{name}{index}.png").write_bytes(PNGS[index])
        rows.append(f"{name}{index}.png,{'red' if index % 2 else 'blue'},{groups[index]}")
    (folder / "m.csv").write_text("\n".join(rows))
    return folder / "m.csv"


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(24)), st.integers(12, 23), GROUPS, st.booleans())
def test_adding_and_renaming_files_moves_none_and_groups_stay_together(tmp_path_factory, order, first, groups, copies):
    folder = tmp_path_factory.mktemp("property")
    # With shares of a tenth, a split of so few images would often be empty.
    shares = {"splits": {"train": 2, "eval": 1, "test": 1}, "source": "manifest", "stratified": False}
    some = [*order[:first], *([order[0]] if copies else [])]
    few = lay_out(folder / "few", some, groups, "x")
    many = lay_out(folder / "many", list(order), groups, "another name ")
    try:
        before, after = ingest(few, folder / "1", **shares), ingest(many, folder / "2", **shares)
    except ValueError as error:  # a split happens to be empty
        assert " is in the " in str(error)
        return
    now = after.splits()
    assert all(now[key] == split for key, split in before.splits().items())
    for run, rows in ((before, len(some)), (after, 24)):
        assert run.counts.found == rows == run.recorded()
        by_group: dict[str, set[str]] = {}
        for example in run.examples.values():
            if example["group"]:
                by_group.setdefault(example["group"], set()).add(example["split"])
        assert all(len(splits) == 1 for splits in by_group.values())


@pytest.fixture(scope="module")
def striped(tmp_path_factory) -> Path:
    """Near-duplicates: forty pictures, each saved at three qualities."""
    root = tmp_path_factory.mktemp("striped") / "photos"
    for index in range(40):
        coarse = Image.fromarray(picture(3000 + index, (6, 6))).resize((64, 64), Image.Resampling.BICUBIC)
        folder = root / ("a" if index % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        for quality in (85, 90, 95):
            (folder / f"{index}-{quality}.jpg").write_bytes(saved(coarse, "JPEG", quality=quality))
    (root / "a" / "stripes.png").write_bytes(encode(stripes(64)))
    return root


def splits_by_picture(run: Ingested) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path, example in run.examples.items():
        found.setdefault(Path(path).name.split("-")[0], set()).add(example["split"])
    return found


def test_near_duplicates_across_splits_are_reported(striped, tmp_path):
    run = ingest(striped, tmp_path / "run")
    across = {name for name, splits in splits_by_picture(run).items() if len(splits) > 1}
    rows = run.rows[report.NEAR_DUPLICATES]
    assert {Path(row["path"]).name.split("-")[0] for row in rows} == across and across
    for row in rows:
        assert sum(row["images"].values()) == 3
        assert {run.examples[path]["split"] for paths in row["paths"].values() for path in paths} == set(row["images"])
    assert sum(run.counts.near_duplicates.values()) == 3 * len(across)


def test_near_duplicates_are_kept_in_one_split_with_group(striped, tmp_path):
    run = ingest(striped, tmp_path / "run", near_duplicates="group")
    assert all(len(splits) == 1 for splits in splits_by_picture(run).values())
    assert run.rows[report.NEAR_DUPLICATES] == []
    assert run.recorded() == run.counts.found == 121


def test_near_duplicates_stay_in_the_splits_that_the_source_assigns_and_are_reported(striped, tmp_path):
    paths = sorted(path for path in striped.rglob("*.jpg"))
    split = {"85": "train", "90": "eval", "95": "test"}
    rows = [f"{path},{path.parent.name},{split[path.stem.split('-')[1]]}" for path in paths]
    (striped.parent / "m.csv").write_text("\n".join(["path,label,split", *rows]))
    run = ingest(striped.parent / "m.csv", tmp_path / "run", source="manifest", near_duplicates="group")
    assert {path: example["split"] for path, example in run.examples.items()} == {
        str(path): split[path.stem.split("-")[1]] for path in paths
    }
    assert len(run.rows[report.NEAR_DUPLICATES]) > 30


def test_near_duplicates_are_not_searched_with_ignore(striped, tmp_path):
    run = ingest(striped, tmp_path / "run", near_duplicates="ignore")
    assert run.rows[report.NEAR_DUPLICATES] == []
    assert any(len(splits) > 1 for splits in splits_by_picture(run).values())


def test_stratified_gives_each_class_its_share(striped, tmp_path):
    run = ingest(striped, tmp_path / "run", stratified=True, allow_untested_classes=False)
    for split, images in (("test", 6), ("eval", 6)):
        assert run.counts.splits[split] == {"a": images, "b": images}
