#!/usr/bin/env python3
"""Write the handwritten digits that the digit classifier is trained and tested on.

The images are the 1,797 of scikit-learn's `load_digits`, which is the test part of the UCI data set "Optical Recognition of
Handwritten Digits". Written are, in the NumPy .npy format:

    images.npy     u8  [1797, 8, 8]  pixel values 0..16
    labels.npy     u8  [1797]        the digit, 0..9
    test_rows.npy  u32 [360]         sorted rows of the test images; every other row is for training

The split follows from the images alone: distinct images are ordered by the SHA-256 of their 64 bytes, and the first fifth of
them is for testing. Equal images always fall on the same side, so no test image is ever a training image.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np

TEST_SHARE = 5
"""One distinct image in this many is for testing."""


def image_hashes(images):
    """The SHA-256 of each image's bytes."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def split_rows(hashes):
    """Rows of the test images, sorted: those whose hash is among the first fifth of the distinct hashes."""
    distinct = sorted(set(hashes))
    test = set(distinct[: -(-len(distinct) // TEST_SHARE)])
    return np.array([row for row, digest in enumerate(hashes) if digest in test], dtype=np.uint32)


def load_images():
    """Images and labels as u8, checked to be exactly the floats that scikit-learn hands out."""
    from sklearn.datasets import load_digits  # here, because check.py uses the rest of this file without it

    digits = load_digits()
    images = digits.images.astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    if images.shape != (1797, 8, 8) or images.max() != 16 or (images != digits.images).any():
        raise SystemExit("scikit-learn's digits are not the expected 1,797 images of 8x8 values from 0 to 16")
    return images, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parent.parent / "digits"
    parser.add_argument("--out", type=Path, default=default, metavar="DIR", help="folder to write into (default: assets/digits)")
    out = parser.parse_args().out

    images, labels = load_images()
    hashes = image_hashes(images)
    test_rows = split_rows(hashes)
    train_hashes = {digest for row, digest in enumerate(hashes) if row not in set(test_rows.tolist())}
    if train_hashes & {hashes[row] for row in test_rows}:
        raise SystemExit("a test image is also a training image")

    out.mkdir(parents=True, exist_ok=True)
    for name, array in (("images", images), ("labels", labels), ("test_rows", test_rows)):
        np.save(out / f"{name}.npy", array)
    print(f"{len(images)} images, {len(set(hashes))} distinct, {len(test_rows)} test rows")
    print("test images per digit:", np.bincount(labels[test_rows], minlength=10).tolist())


if __name__ == "__main__":
    main()
