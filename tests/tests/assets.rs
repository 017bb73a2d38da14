//! The data and models in `assets/`: the split is honest, the files are small, what the pages say of them holds.

use std::collections::HashSet;
use std::fs;

use bayplan_tests::{npy, root};

/// Bytes of one image.
const PIXELS: usize = 64;

/// Most bytes of both models together.
const MODELS: u64 = 8 << 20;

fn digits(name: &str) -> npy::Array {
    npy::read(&root().join("assets/digits").join(name))
}

/// The rows of the images that are for testing.
fn test_rows() -> Vec<usize> {
    let rows = digits("test_rows.npy");
    assert_eq!(rows.dtype, "<u4");
    rows.bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b) as usize).collect()
}

/// Rows whose image is also the image of a row of the other part.
fn leaked(images: &[u8], test: &[usize]) -> Vec<usize> {
    let test: HashSet<usize> = test.iter().copied().collect();
    let rows = || images.chunks_exact(PIXELS).enumerate();
    let training: HashSet<&[u8]> =
        rows().filter(|(row, _)| !test.contains(row)).map(|(_, image)| image).collect();
    rows().filter(|(row, image)| test.contains(row) && training.contains(image)).map(|(row, _)| row).collect()
}

#[test]
fn no_test_image_is_a_training_image() {
    let (images, labels, test) = (digits("images.npy"), digits("labels.npy"), test_rows());
    assert_eq!((images.dtype.as_str(), &images.shape[..]), ("|u1", &[1797, 8, 8][..]));
    assert_eq!((labels.dtype.as_str(), &labels.shape[..]), ("|u1", &[1797][..]));
    assert!(labels.bytes.iter().all(|label| *label < 10), "a label is no digit");
    assert!(test.windows(2).all(|pair| pair[0] < pair[1]), "test rows are sorted, each once");
    assert!(test.last().is_some_and(|last| *last < 1797) && test.len() >= 300, "{} test rows", test.len());
    assert_eq!(leaked(&images.bytes, &test), [0; 0]);
}

#[test]
fn a_leaked_image_is_found() {
    let mut images = vec![0; 3 * PIXELS];
    images[PIXELS] = 1;
    assert_eq!(leaked(&images, &[1]), [0; 0]);
    assert_eq!(leaked(&images, &[2]), [2], "row 2 is the same as row 0");
}

#[test]
fn the_models_are_small() {
    let bytes = |name: &str| fs::metadata(root().join("assets").join(name)).expect("a model").len();
    let (digits, chars) = (bytes("digits.onnx"), bytes("chars.onnx"));
    assert!(digits + chars < MODELS, "{digits} + {chars} bytes");
}
