//! Binding by name: what fits, and everything that does not, in words.

mod common;

use std::path::{Path, PathBuf};

use bayplan_graph::{ConstData, DType, FileRef, Graph, ValueSource};
use bayplan_weights::{Named, Rules, Store, WeightsError, bind};

use common::{floats, gguf, graph, in_file, run, safetensors};

/// A folder with one file.
fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    (folder, path)
}

fn counting(count: u64) -> Vec<u8> {
    floats((0..count).map(|i| i as f32))
}

/// The outputs of a graph on a safetensors file, by both ways in which constants are held.
fn outputs(
    initializers: &[(&str, DType, &[u64])],
    tensors: &[(&str, &str, &[u64], &[u8])],
    rules: &str,
) -> Vec<Vec<f64>> {
    let (_folder, path) = written("w.safetensors", &safetensors(tensors));
    let (_, small) = run(graph(initializers), &path, rules).unwrap_or_else(|e| panic!("{e}"));
    let (_, large) = run(in_file(graph(initializers)), &path, rules).unwrap_or_else(|e| panic!("{e}"));
    assert!(small == large);
    large.iter().map(bayplan_graph::Tensor::to_f64).collect()
}

/// The message where a graph does not fit a file.
fn refused(graph: Graph, file: &[u8], rules: &str) -> String {
    let (_folder, path) = written("weights", file);
    let before = graph.clone();
    let (named, rules) = (Named::open(&path).expect("a file"), Rules::parse(rules).expect("rules"));
    let mut changed = graph;
    let refused = bind(&mut changed, &named, &rules).expect_err("it does not fit");
    assert!(matches!(refused, WeightsError::Unfit(_)));
    assert!(changed == before, "the graph is as it was");
    refused.to_string()
}

fn says(message: &str, words: &[&str]) {
    for words in words {
        assert!(message.contains(words), "nothing about {words:?}: {message}");
    }
}

#[test]
fn elements_come_from_the_tensor_of_the_name() {
    let data = counting(6);
    let made = outputs(
        &[("a", DType::F32, &[2, 3]), ("b", DType::F32, &[])],
        &[("b", "F32", &[], &floats([7.5])), ("a", "F32", &[2, 3], &data)],
        "",
    );
    assert_eq!(made, [vec![0., 1., 2., 3., 4., 5.], vec![7.5]]);
    // Dimensions of 1 do not matter.
    let made = outputs(&[("a", DType::F32, &[1, 6, 1])], &[("a", "F32", &[6], &data)], "");
    assert_eq!(made, [vec![0., 1., 2., 3., 4., 5.]]);
}

#[test]
fn elements_of_other_types_are_converted() {
    let halves: Vec<u8> = [0x3c00_u16, 0xc000].iter().flat_map(|v| v.to_le_bytes()).collect();
    let brains: Vec<u8> = [0x3f80_u16, 0xc040].iter().flat_map(|v| v.to_le_bytes()).collect();
    let made = outputs(
        &[("a", DType::F32, &[2]), ("b", DType::F32, &[2]), ("c", DType::F16, &[2]), ("d", DType::I64, &[2])],
        &[
            ("a", "F16", &[2], &halves),
            ("b", "BF16", &[2], &brains),
            ("c", "F32", &[2], &floats([1.0 + 1.0 / 4096.0, 3.0])),
            ("d", "U8", &[2], &[200, 3]),
        ],
        "",
    );
    assert_eq!(made, [vec![1., -2.], vec![1., -3.], vec![1., 3.], vec![200., 3.]]);
}

#[test]
fn rules_rename_turn_and_share() {
    let rules = "model\\.(.*) => $1\nhead => onnx::MatMul_7 transposed\n => embed\nextra\\..* => -\n";
    let made = outputs(
        &[("w", DType::F32, &[2]), ("onnx::MatMul_7", DType::F32, &[2, 3]), ("embed", DType::F32, &[3, 2])],
        &[
            ("model.w", "F32", &[2], &floats([8.0, 9.0])),
            ("head", "F32", &[3, 2], &counting(6)),
            ("extra.1", "F32", &[1], &floats([0.0])),
        ],
        rules,
    );
    assert_eq!(made, [vec![8., 9.], vec![0., 2., 4., 1., 3., 5.], vec![0., 1., 2., 3., 4., 5.]]);
}

/// Blocks that become f16, turned, and of another rank than the model's.
#[test]
fn blocks_are_converted_in_steps() {
    // f16 scales 1 and 2; signed bytes.
    let block =
        |scale: u8, first: u8| [&[0, scale][..], &(0..32).map(|i| first + i).collect::<Vec<u8>>()].concat();
    let bytes = [block(0x3c, 0), block(0x40, 1)].concat();
    let (_folder, path) = written("w.gguf", &gguf(&[("w", &[32, 2], 8, &bytes), ("v", &[64], 8, &bytes)]));
    let initializers: [(&str, DType, &[u64]); 2] = [("w", DType::F16, &[32, 2]), ("v", DType::F32, &[64, 1])];
    let rules = "w => w transposed";
    let (_, small) = run(graph(&initializers), &path, rules).unwrap_or_else(|e| panic!("{e}"));
    let (_, large) = run(in_file(graph(&initializers)), &path, rules).unwrap_or_else(|e| panic!("{e}"));
    assert!(small == large);
    let turned: Vec<f64> = (0..32).flat_map(|i| [f64::from(i), f64::from(2 * (i + 1))]).collect();
    assert_eq!((large[0].dtype(), large[0].to_f64()), (DType::F16, turned));
    let flat: Vec<f64> = (0..32).map(f64::from).chain((1..33).map(|i| f64::from(2 * i))).collect();
    assert_eq!(large[1].to_f64(), flat);
}

#[test]
fn small_initializers_may_stay_and_files_that_nothing_needs_are_not_opened() {
    let data = counting(2000);
    let (_folder, path) = written("w.safetensors", &safetensors(&[("large", "F32", &[2000], &data)]));
    // 4096 bytes may stay.
    let initializers: [(&str, DType, &[u64]); 2] =
        [("large", DType::F32, &[2000]), ("small", DType::F32, &[1024])];
    let (bound, made) = run(graph(&initializers), &path, "").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((bound.bound, bound.kept), (1, 1));
    assert_eq!(made[1].to_f64(), [0.0; 1024]);
    // Of what stays, that which the file should perhaps have is told.
    let named: Vec<_> = bound.doubtful.iter().map(|(name, ty)| format!("{name} {ty}")).collect();
    assert_eq!(named, ["small f32[1024]"]);
    let exporters: [(&str, DType, &[u64]); 4] = [
        ("large", DType::F32, &[2000]),
        ("zero", DType::F32, &[]),
        ("one", DType::F16, &[1, 1]),
        ("axes", DType::I64, &[2]),
    ];
    let (bound, _) = run(graph(&exporters), &path, "").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((bound.kept, bound.doubtful), (3, vec![]));
    // In the model's file it needs that file.
    let missing = run(in_file(graph(&initializers)), &path, "").expect_err("a file is missing").to_string();
    says(&missing, &["gone.data", "small"]);
    let mut all = in_file(graph(&initializers[..1]));
    bind(&mut all, &Named::open(&path).unwrap(), &Rules::default()).unwrap();
    assert!(matches!(&all.files[..], [FileRef::Weights(own)] if **own == *path), "{:?}", all.files);
    let ValueSource::Constant(ConstData::Range(range)) = &all.values[0].source else { panic!("a range") };
    assert_eq!((range.file.0, range.len), (0, 8000));
    assert!(Store::open("none.onnx", &all).is_ok(), "also by the path alone");
}

#[test]
fn names_that_do_not_fit_are_all_told() {
    let data = counting(2048);
    let file = safetensors(&[("a.weight", "F32", &[2048], &data), ("other", "F32", &[1], &floats([0.0]))]);
    let large: &[u64] = &[2048];
    let message = refused(graph(&[("a_weight", DType::F32, large), ("b", DType::F32, &[1025])]), &file, "");
    says(
        &message,
        &[
            "weights` does not fit the model",
            "2 weights of the model are without a tensor of the same name",
            "a_weight f32[2048]; most like it: a.weight",
            "b f32[1025]",
            "2 tensors are left over",
            "\n  other",
            "--weight-names",
        ],
    );
    let many: Vec<String> = (0..50).map(|i| format!("w{i}")).collect();
    let initializers: Vec<_> = many.iter().map(|name| (&**name, DType::F32, large)).collect();
    let message = refused(graph(&initializers), &safetensors(&[]), "");
    says(&message, &["50 weights of the model", "w19", "and 30 more"]);
    assert!(!message.contains("w20"), "{message}");
    // Names are for people.
    let message = refused(graph(&[("w\u{1b}[2J", DType::F32, large)]), &safetensors(&[]), "");
    assert!(!message.contains('\u{1b}'), "{message}");
}

/// Where a rule leads nowhere, the message says which and where to: the names of both sides may look right.
#[test]
fn names_that_rules_lead_nowhere_are_told_with_the_rule() {
    let data = counting(2048);
    let file = |names: &[&str]| {
        let listed: Vec<_> = names.iter().map(|name| (*name, "F32", &[2048_u64][..], &data[..])).collect();
        safetensors(&listed)
    };
    let own: &[(&str, DType, &[u64])] = &[("w", DType::F32, &[2048])];
    let message = refused(graph(own), &file(&["w"]), "# turned\nw => w # turned");
    says(&message, &["1 tensor is left over", "\n  w, by line 2 of the rules for `w # turned`"]);
    let message = refused(graph(own), &file(&["a", "b"]), "b => w TRANSPOSED\n");
    says(&message, &["\n  a\n  b, by line 1 of the rules for `w TRANSPOSED`"]);
    // What is most like a weight is looked for among the names that rules make.
    let own: &[(&str, DType, &[u64])] = &[("layer.zero.bias", DType::F32, &[2048])];
    let message = refused(graph(own), &file(&["layers.0.b", "q"]), "q => layer.zero.bais\n");
    says(
        &message,
        &["layer.zero.bias f32[2048]; most like it: q\n", "q, by line 1 of the rules for `layer.zero.bais`"],
    );
    let message = refused(graph(own), &file(&["q"]), "q => a\u{1b}[2J");
    assert!(!message.contains('\u{1b}'), "{message}");
}

#[test]
fn a_common_beginning_is_suggested_as_a_rule() {
    let data = counting(2048);
    let check = |names: [&str; 2], tensors: [&str; 2], rule: Option<&str>| {
        let own = names.map(|name| (name, DType::F32, &[2048][..]));
        let listed = tensors.map(|name| (name, "F32", &[2048][..], &data[..]));
        let message = refused(graph(&own), &safetensors(&listed), "");
        match rule {
            None => assert!(!message.contains("every name fits"), "{message}"),
            Some(rule) => {
                says(&message, &["every name fits", rule]);
                let (_folder, path) = written("w.safetensors", &safetensors(&listed));
                run(graph(&own), &path, rule).unwrap_or_else(|e| panic!("{e}"));
            }
        }
    };
    check(["a", "b.c"], ["model.a", "model.b.c"], Some("model\\.(.*) => $1"));
    check(["m$.a", "m$.b"], ["a", "b"], Some("(.*) => m$$.${1}"));
    check(["a", "b"], ["x.a", "y.b"], None);
    check(["a", "b"], ["x.a", "x.c"], None);
}

#[test]
fn tensors_that_do_not_go_where_their_names_say() {
    let check = |initializers: &[(&str, DType, &[u64])], file: &[u8], rules: &str, words: &[&str]| {
        for graph in [graph(initializers), in_file(graph(initializers))] {
            says(&refused(graph, file, rules), words);
        }
    };
    let w: [(&str, DType, &[u64]); 1] = [("w", DType::F32, &[2, 3])];
    let file =
        |dtype: &str, shape: &[u64], bytes: usize| safetensors(&[("w", dtype, shape, &vec![0; bytes])]);
    check(
        &w,
        &file("F32", &[2, 4], 32),
        "",
        &["1 tensor does not go", "`w` is for `w` f32[2, 3], but it is [2, 4]"],
    );
    check(&w, &file("F32", &[3, 2], 24), "", &["it is [3, 2]; a rule that ends in ` transposed` turns it"]);
    check(&w, &file("F32", &[2, 3], 24), "w => w transposed", &["it is [2, 3], to be transposed"]);
    check(&w, &file("I64", &[2, 3], 48), "", &["elements of i64, which do not become f32"]);
    check(
        &[("w", DType::I32, &[1])],
        &file("U32", &[1], 4),
        "",
        &["elements of u32, which do not become i32"],
    );
    check(
        &w,
        &file("F4", &[2, 3], 3),
        "",
        &["elements of F4, which are not read; convert it", "Q8_0 or Q4_K"],
    );
    check(&[("w", DType::F32, &[6])], &file("F32", &[6], 24), "w => w transposed", &["only matrices"]);
    let blocks = gguf(&[("w", &[256], 13, &[0; 176])]);
    check(&[("w", DType::F32, &[256])], &blocks, "", &["elements of Q5_K"]);
    let two = safetensors(&[("a", "F32", &[1], &[0; 4]), ("b", "F32", &[1], &[0; 4])]);
    check(&[("w", DType::F32, &[1])], &two, ".* => w", &["`b` and `a` are both for `w`"]);
    let one = safetensors(&[("a", "F32", &[1], &[0; 4])]);
    check(
        &[("w", DType::F32, &[1])],
        &one,
        "a => w\n=> v",
        &["`a` is also for `v`, which the model does not have"],
    );
}

/// What shapes follow from is right for its own elements alone.
#[test]
fn initializers_that_decide_have_to_be_the_same() {
    let axes = |value: i64| {
        safetensors(&[("axes", "I64", &[2], &[value.to_le_bytes(), 0_i64.to_le_bytes()].concat())])
    };
    let mut own = graph(&[("axes", DType::I64, &[2])]);
    own.initializers[0].decides = true;
    let (_folder, path) = written("w.safetensors", &axes(0));
    let (bound, made) = run(own.clone(), &path, "").unwrap();
    assert_eq!((bound.bound, made[0].to_f64()), (1, vec![0.0, 0.0]));
    says(
        &refused(own, &axes(1), ""),
        &["`axes` has other elements than `axes` in the model", "leave it out by a rule"],
    );
}

#[test]
fn shards_are_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file");
    std::fs::create_dir(folder.path().join("below")).expect("a folder");
    write(
        "one.safetensors",
        &safetensors(&[("a", "F32", &[1], &floats([1.0])), ("b", "F32", &[1], &floats([2.0]))]),
    );
    write("below/two.safetensors", &safetensors(&[("c", "F32", &[1], &floats([3.0]))]));
    let index = |entries: &str| {
        write("w.json", format!("{{\"metadata\": {{}}, \"weight_map\": {{{entries}}}}}\n").as_bytes());
    };
    let all = "\"a\": \"one.safetensors\", \"c\": \"below/two.safetensors\", \"b\": \"one.safetensors\"";
    index(all);
    let path = folder.path().join("w.json");
    let own = ["a", "b", "c"].map(|name| (name, DType::F32, &[1][..]));
    let (_, made) = run(in_file(graph(&own)), &path, "").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(made.iter().map(|t| t.to_f64()[0]).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);

    let wrong = |entries: &str, words: &[&str]| {
        index(entries);
        says(&Named::open(&path).expect_err("it is wrong").to_string(), &[words, &["w.json"]].concat());
    };
    wrong("\"a\": \"one.safetensors\"", &["tensor `b` lies in `one.safetensors`, but it does"]);
    let more = format!("{all}, \"d\": \"one.safetensors\"");
    wrong(&more, &["tensor `d` is not in `one.safetensors`"]);
    wrong(&format!("{all}, \"a\": \"one.safetensors\""), &["names tensor `a` twice"]);
    wrong(&format!("{all}, \"a\": \"below/two.safetensors\""), &["names tensor `a` twice"]);
    for outside in
        ["../one.safetensors", "/etc/passwd", "below/../../x", "", ".", "a\\\\b", "C:x", "x\\u0000y"]
    {
        wrong(&format!("\"a\": \"{outside}\""), &["must not lead elsewhere"]);
    }
    write("text", b"hello, this is no file of tensors");
    index("\"a\": \"text\"");
    says(&Named::open(&path).unwrap_err().to_string(), &["text", "neither safetensors"]);
    index("\"a\": \"w.json\"");
    says(&Named::open(&path).unwrap_err().to_string(), &["its shard `w.json` is no safetensors file"]);
    index("\"a\": \"none.safetensors\"");
    says(
        &Named::open(&path).unwrap_err().to_string(),
        &["none.safetensors", "cannot be opened", "w.json` names it"],
    );
    index("\"a\": \"below\"");
    says(&Named::open(&path).unwrap_err().to_string(), &["below", "folder"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    says(
        &Named::open("/nowhere/w.safetensors").unwrap_err().to_string(),
        &["/nowhere/w.safetensors", "cannot be opened"],
    );
    says(&Named::open(Path::new("/")).unwrap_err().to_string(), &["folder"]);
}
