//! Damaged and hostile files: every one is read or refused in words; nothing panics, hangs or allocates by what they claim.

mod common;

use std::path::Path;

use bayplan_weights::{Named, WeightsError};
use proptest::prelude::*;

use common::{floats, gguf, safetensors, with_header};

/// Opens a file of these bytes.
fn open(name: &str, bytes: &[u8]) -> Result<Named, WeightsError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    Named::open(path)
}

fn says(name: &str, bytes: &[u8], words: &[&str]) {
    let message = open(name, bytes).expect_err("it is damaged").to_string();
    for words in words.iter().chain(&[name]) {
        assert!(message.contains(words), "nothing about {words:?}: {message}");
    }
    assert!(message.len() < 500 && !message.contains(char::is_control), "{message:?}");
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name))
        .expect("a golden file")
}

/// Of a file cut anywhere every cut is refused, and where its header is whole a tensor is named.
fn cut_anywhere(name: &str) {
    let whole = golden(name);
    let named = open(name, &whole).expect("it is whole");
    let data = named.entries().iter().map(|entry| entry.offset).min().expect("a tensor") as usize;
    let end = named.entries().iter().map(|entry| entry.offset + entry.len).max().expect("a tensor") as usize;
    for cut in 0..end {
        match open(name, &whole[..cut]) {
            Ok(_) => panic!("{name} of {cut} bytes was read"),
            Err(WeightsError::Truncated { len, end, .. }) => {
                assert!(len == cut as u64 && end > len, "{cut}");
            }
            Err(e) => assert!(cut < data, "{cut}: {e}"),
        }
    }
}

#[test]
fn files_cut_anywhere_are_refused() {
    cut_anywhere("named.safetensors");
    cut_anywhere("named.gguf");
}

/// One byte changed: it is read, or refused.
#[test]
fn files_changed_anywhere_are_read_or_refused() {
    for name in ["named.safetensors", "named.gguf"] {
        let whole = golden(name);
        for at in 0..whole.len().min(2048) {
            for byte in [0x00, 0xff, whole[at] ^ 1] {
                let mut bytes = whole.clone();
                bytes[at] = byte;
                if let Ok(named) = open(name, &bytes) {
                    let inside = |end: u64| end <= bytes.len() as u64;
                    assert!(named.entries().iter().all(|entry| inside(entry.offset + entry.len)));
                }
            }
        }
    }
}

#[test]
fn headers_of_safetensors_that_lie() {
    let name = "x.safetensors";
    let header = |text: &str, words: &[&str]| says(name, &with_header(text, &[0; 8]), words);
    says(name, b"", &["too few"]);
    says(name, &[0; 7], &["too few"]);
    says(name, &[&u64::MAX.to_le_bytes()[..], b"{}"].concat(), &["18446744073709551615 bytes, more than"]);
    says(name, &[&100_000_001_u64.to_le_bytes()[..], b"{}"].concat(), &["more than the 100000000"]);
    says(name, &[&1000_u64.to_le_bytes()[..], b"{}"].concat(), &["ends at byte 1008, but it has 10 bytes"]);
    header("[]", &["no JSON"]);
    header("{\"a\":", &["no JSON"]);
    header("{} x", &["no JSON"]);
    header("{}", &["8 bytes behind the last tensor"]);
    header("{\"a\":{}}", &["missing field"]);
    let tensor = |dtype: &str, shape: &str, begin: u64, end: u64| {
        format!("\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}")
    };
    let one =
        |dtype: &str, shape: &str, begin: u64, end: u64| format!("{{{}}}", tensor(dtype, shape, begin, end));
    header(&one("F32", "[2]", 8, 0), &["`a`", "begin at 8 and end before"]);
    header(&one("F32", "[2]", 0, 4), &["f32 [2] takes 8 bytes, but the header gives it 4"]);
    header(&one("F32", "[1]", 4, 8), &["`a` begins at byte 4 of the data, but those before it end at 0"]);
    header(&one("F32", "[1]", 0, 4), &["4 bytes behind the last"]);
    header(&one("F32", "[4294967296, 4294967296]", 0, 8), &["more elements than any memory"]);
    header(&one("F32", "[18446744073709551615, 2]", 0, 8), &["more elements than any memory"]);
    header(&one("F32", "[1.5]", 0, 8), &["no JSON"]);
    header(&one("F32", "[-1]", 0, 8), &["no JSON"]);
    header(&one("F32", &format!("[{}1]", "1,".repeat(16)), 0, 8), &["more than 16 dimensions"]);
    let last = u64::MAX;
    header(&one("U8", "[1]", last - 1, last), &["beyond any file"]);
    header(&one("U8", "[281474976710656]", 0, 1 << 48), &["tensor `a` ends at byte"]);
    let twice = format!("{{{},{}}}", tensor("F32", "[1]", 0, 4), tensor("F32", "[1]", 4, 8));
    header(&twice, &["names tensor `a` twice"]);
    let both = format!(
        "{{{},{}}}",
        tensor("F32", "[2]", 0, 8),
        tensor("F32", "[2]", 0, 8).replace("\"a\"", "\"b\"")
    );
    header(&both, &["begins at byte 0 of the data, but those before it end at 8"]);
    header(&format!("{{\"{}\":1}}", "x".repeat(5000)), &["longer than 4096"]);
    header(&"[".repeat(100_000), &["no JSON"]);
    header(&format!("{{\"__metadata__\":{}", "[".repeat(100_000)), &["no JSON"]);
    // Unknown keys and a type that is not read are no damage.
    let named =
        open(name, &with_header(&one("F9", "[3]", 0, 8).replace("\"dtype\"", "\"x\":1,\"dtype\""), &[0; 8]));
    assert_eq!(named.expect("it is read").entries()[0].encoding.to_string(), "F9");
}

#[test]
fn headers_of_gguf_that_lie() {
    let name = "x.gguf";
    let start = |version: u32, tensors: u64, keys: u64| {
        [b"GGUF".as_slice(), &version.to_le_bytes(), &tensors.to_le_bytes(), &keys.to_le_bytes()].concat()
    };
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let key = |name: &str, ty: u32, value: &[u8]| {
        [&start(3, 0, 1), &text(name)[..], &ty.to_le_bytes(), value, &[0; 64]].concat()
    };
    says(name, b"GGUF", &["in the middle of its header"]);
    says(name, &start(1, 0, 0), &["version of GGUF is 1; 2 and 3"]);
    says(name, &start(4, 0, 0), &["version of GGUF is 4"]);
    says(name, &start(3_u32.swap_bytes(), 0, 0), &["big-endian"]);
    says(name, &start(3, u64::MAX, 0), &["18446744073709551615 tensors follow, more than it has room for"]);
    says(name, &start(3, 0, u64::MAX), &["more than it has room for"]);
    says(name, &key("a", 13, &[]), &["type 13, which GGUF does not have"]);
    says(name, &key("a", 8, &u64::MAX.to_le_bytes()), &["18446744073709551615 bytes follow"]);
    let array = |of: u32, count: u64| [of.to_le_bytes().as_slice(), &count.to_le_bytes()].concat();
    for of in [0, 4, 8, 9, 12, 77] {
        for count in [u64::MAX, u64::MAX / 8, 1 << 60] {
            says(name, &key("a", 9, &array(of, count)), &["elements, more than there is room for"]);
        }
    }
    let deep: Vec<u8> = (0..8).flat_map(|_| array(9, 1)).collect();
    says(name, &key("a", 9, &deep), &["too deep"]);
    says(name, &key("general.alignment", 4, &3_u32.to_le_bytes()), &["aligned to 3 bytes"]);
    says(name, &key("general.alignment", 4, &0_u32.to_le_bytes()), &["aligned to 0 bytes"]);
    says(name, &key("general.alignment", 10, &64_u64.to_le_bytes()), &["general.alignment is no u32"]);
    let alignment = [&text("general.alignment")[..], &4_u32.to_le_bytes(), &64_u32.to_le_bytes()].concat();
    let two = [&start(3, 0, 2), &alignment[..], &alignment, &[0; 64]].concat();
    says(name, &two, &["general.alignment twice"]);
    says(name, &key("split.count", 2, &3_u16.to_le_bytes()), &["one of 3 parts", "--merge"]);
    assert!(open(name, &key("split.count", 2, &1_u16.to_le_bytes())).is_ok());
    says(
        name,
        &[&start(3, 0, 1)[..], &(1_u64 << 40).to_le_bytes(), &[0; 64]].concat(),
        &["name of a key", "more than"],
    );
    says(name, &[&start(3, 0, 1)[..], &3_u64.to_le_bytes(), &[0xff; 64]].concat(), &["no text in UTF-8"]);

    let data = floats([1.0; 8]);
    let tensor = |dims: &[u64], ty: u32, words: &[&str]| says(name, &gguf(&[("a", dims, ty, &data)]), words);
    tensor(&[9], 0, &["tensor `a` ends at byte"]);
    tensor(&[1 << 40, 1 << 40], 0, &["more elements than any memory"]);
    tensor(&[u64::MAX], 0, &["more elements than any memory"]);
    tensor(&[33], 8, &["rows of 33 elements are no whole blocks of 32"]);
    tensor(&[128, 2], 12, &["rows of 128 elements are no whole blocks of 256, as Q4_K"]);
    tensor(&[], 8, &["rows of 1 elements"]);
    tensor(&[1; 17], 0, &["17 dimensions"]);
    says(name, &gguf(&[("a", &[8], 0, &data), ("a", &[8], 0, &data)]), &["names tensor `a` twice"]);
    let long = "n".repeat(4097);
    says(name, &gguf(&[(&long, &[8], 0, &data)]), &["name of a tensor", "4097 bytes"]);
    // The offset is the last field before the padding.
    let mut bytes = gguf(&[("a", &[8], 0, &data)]);
    let at = bytes.len() - 32 - 7 - 8;
    assert_eq!(bytes[at..at + 8], [0; 8]);
    for (offset, words) in [(1_u64, "no multiple of 32"), (!31, "beyond any file"), (1 << 40, "ends at byte")]
    {
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        says(name, &bytes, &[words]);
    }
    // Both the first bytes, or one within the other: that of the other tensor is never read by mistake.
    let mut bytes = gguf(&[("a", &[16], 0, &[data.clone(), data.clone()].concat()), ("b", &[8], 0, &data)]);
    for (offset, words) in [
        (0_u64, "`b` begins at byte 0 of the data, but `a` before it ends at 64"),
        (32, "`b` begins at byte 32 of the data, but `a` before it ends at 64"),
    ] {
        bytes[82..90].copy_from_slice(&offset.to_le_bytes());
        says(name, &bytes, &[words]);
    }
    bytes[82..90].copy_from_slice(&64_u64.to_le_bytes());
    assert!(open(name, &bytes).is_ok(), "side by side");
    let named =
        open(name, &gguf(&[("a", &[8], 99, &data), ("b", &[256], 13, &[0; 176])])).expect("it is read");
    let types: Vec<String> = named.entries().iter().map(|entry| entry.encoding.to_string()).collect();
    assert_eq!(types, ["type 99", "Q5_K"]);
}

/// A file of holes, as long as it says: it ends by a limit and not by its length.
#[test]
fn files_of_holes_end_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.gguf");
    let count: u64 = 1 << 36;
    let bytes = [
        b"GGUF".as_slice(),
        &3_u32.to_le_bytes(),
        &0_u64.to_le_bytes(),
        &1_u64.to_le_bytes(),
        &1_u64.to_le_bytes(),
        b"a",
        &9_u32.to_le_bytes(),
        &8_u32.to_le_bytes(),
        &count.to_le_bytes(),
    ];
    std::fs::write(&path, bytes.concat()).expect("a file");
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    if file.set_len(1 << 40).is_ok() {
        let refused = Named::open(&path).expect_err("its header has no end").to_string();
        assert!(refused.contains("longer than 67108864 bytes"), "{refused}");
    }
}

#[test]
fn what_is_no_file_of_tensors_is_told_what_to_do() {
    says("x.bin", b"PK\x03\x04.....................", &["checkpoint of PyTorch", "safetensors"]);
    says("x.onnx", b"\x08\x08\x12\x07pytorch:.............", &["neither safetensors", ".gguf"]);
    says("x.json", b"{\"weights\": 1}                ", &["no index of shards", "weight_map"]);
    says("x.gguf", b"something else than it is named", &["does not begin as a GGUF"]);
    says("x", b"", &["neither"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Pieces of headers in any order, with any lengths.
    #[test]
    fn no_header_breaks_the_readers(
        pieces in prop::collection::vec(piece(), 0..40),
        magic in prop::sample::select(vec![&b"GGUF\x03\0\0\0"[..], b"", b"{", b"GGUF\x02\0\0\0"]),
    ) {
        let bytes = [magic, &pieces.concat()].concat();
        if let Ok(named) = open("x", &bytes) {
            for entry in named.entries() {
                prop_assert!(entry.offset + entry.len <= bytes.len() as u64);
            }
        }
    }

    /// Files that are written are read: names, shapes and bytes.
    #[test]
    fn what_is_written_is_read(shapes in prop::collection::vec(prop::collection::vec(0_u64..5, 0..4), 0..12)) {
        let names: Vec<String> = (0..shapes.len()).map(|i| format!("t{i}")).collect();
        let data: Vec<Vec<u8>> = shapes.iter().map(|shape| vec![7; 4 * shape.iter().product::<u64>() as usize]).collect();
        let tensors: Vec<_> = names.iter().zip(&shapes).zip(&data).map(|((n, s), d)| (&**n, "F32", &s[..], &d[..])).collect();
        let turned: Vec<Vec<u64>> = shapes.iter().map(|shape| shape.iter().rev().copied().collect()).collect();
        let blocks: Vec<_> = names.iter().zip(&turned).zip(&data).map(|((n, s), d)| (&**n, &s[..], 0, &d[..])).collect();
        for bytes in [safetensors(&tensors), gguf(&blocks)] {
            let named = open("x", &bytes).expect("it is read");
            prop_assert_eq!(named.entries().len(), names.len());
            for ((entry, name), (shape, data)) in named.entries().iter().zip(&names).zip(shapes.iter().zip(&data)) {
                prop_assert_eq!((&*entry.name, &entry.shape), (&**name, shape));
                prop_assert_eq!(&bytes[entry.offset as usize..(entry.offset + entry.len) as usize], &data[..]);
            }
        }
    }
}

/// What headers are made of.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"dtype\"",
        "\"F32\"",
        "\"shape\"",
        "\"data_offsets\"",
        "\"weight_map\"",
        "0",
        "1e9",
        "general.alignment",
    ];
    prop_oneof![
        prop::sample::select(words.map(|word| word.as_bytes().to_vec()).to_vec()),
        prop_oneof![0_u64..40, any::<u64>(), Just(u64::MAX), Just(1 << 63)]
            .prop_map(|v| v.to_le_bytes().to_vec()),
        (0_u32..20).prop_map(|v| v.to_le_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
        prop::sample::select(vec![
            b"\x01\0\0\0\0\0\0\0a".to_vec(),
            b"\x11\0\0\0\0\0\0\0general.alignment".to_vec()
        ]),
    ]
}
