//! Problems as they come from outside: CSV text and lists of buffers.

use bayplan_plan::csv::{self, Instance};
use bayplan_plan::{Buffer, Effort, MAX_TOTAL_BYTES, Plan, Problem, solve};
use proptest::prelude::*;

#[track_caller]
fn check_error(text: &str, expect: &str) {
    assert_eq!(csv::read(text).unwrap_err().to_string(), expect, "{text:?}");
}

#[test]
fn reads_the_benchmark_format() {
    let instance = csv::read("id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\r\n\n b 3 ,0,9,4").unwrap();
    assert_eq!(instance.ids, ["b1", "b2", "b 3"]);
    assert_eq!(
        instance.problem.buffers(),
        [Buffer::new(4, 0, 3), Buffer::new(4, 3, 9), Buffer::new(4, 0, 9)]
    );
    assert_eq!(instance.offsets, None);
    assert!(csv::read("id,lower,upper,size").unwrap().problem.is_empty());
}

#[test]
fn reads_any_column_order_and_quotes() {
    let text = "\u{feff}size,upper,lower,id,offset,alignment\n\n4,3,0,\"a,\"\"b\"\"\nc\",64,64\n8,2,1,d,0,";
    let instance = csv::read(text).unwrap();
    assert_eq!(instance.ids, ["a,\"b\"\nc", "d"]);
    assert_eq!(instance.problem.buffers(), [Buffer::new(4, 0, 3).aligned(64), Buffer::new(8, 1, 2)]);
    assert_eq!(instance.offsets, Some(vec![64, 0]));
}

#[test]
fn errors_name_the_line_and_the_remedy() {
    let known = "known are id, lower, upper, size, alignment, fixed, offset";
    check_error("", "line 1: empty; expected a header such as id,lower,upper,size");
    check_error("\n \n", "line 1: empty; expected a header such as id,lower,upper,size");
    check_error("a,0,1,4\n", &format!("line 1: unknown column \"a\"; {known}"));
    check_error(
        "id,lower,upper\n",
        "line 1: the header has no column size; required are id, lower, upper and size",
    );
    check_error("id,id,lower,upper,size\n", "line 1: column id is named twice");
    let row = |row: &str| format!("id,lower,upper,size\nx,0,1,1\n\n{row}\n");
    check_error(&row("x,0,1"), "line 4: 3 fields, the header has 4");
    check_error(&row("x,0,1,1,2,3,4,5"), "line 4: more than 7 fields");
    check_error(&row("x,0,-1,1"), "line 4: upper is \"-1\", expected a whole number from 0 to 4294967295");
    check_error(
        &row("x,0,1,1.5"),
        "line 4: size is \"1.5\", expected a whole number from 0 to 18446744073709551615",
    );
    check_error(
        &row("x,0,1,"),
        "line 4: size is \"\", expected a whole number from 0 to 18446744073709551615",
    );
    check_error(
        &row("x,4294967296,1,1"),
        "line 4: lower is \"4294967296\", expected a whole number from 0 to 4294967295",
    );
    check_error(&row("x,5,5,1"), "line 4: lifespan [5, 5) is empty; the end must be greater than the start");
    check_error(
        &row("x,0,1,18446744073709551615"),
        "line 4: sizes, alignment paddings and fixed ends up to here exceed 4611686018427387904 bytes in total",
    );
    check_error(&row("\"x,0,1,1"), "line 4: a quoted field is not closed");
    check_error(
        &row("\"x\"y,0,1,1"),
        "line 4: text after a closing quote; a quote inside a quoted field is written twice",
    );
    check_error(
        &row(&format!("{},0,1,1", "x".repeat(4097))),
        "line 4: a field of 4097 bytes; at most 4096 are allowed",
    );
    check_error(
        "id,lower,upper,size,alignment\n\"a\nb\",0,1,1,3\n",
        "line 2: alignment 3 is not a power of two (1, 2, 4, ...)",
    );
    check_error(
        &row(&format!("x,0,{},1", "9".repeat(100))),
        &format!("line 4: upper is \"{}\"..., expected a whole number from 0 to 4294967295", "9".repeat(40)),
    );
}

#[test]
fn fixed_offsets_are_read_written_and_checked() {
    let text = "id,lower,upper,size,alignment,fixed\na,0,2,8,4,16\nb,0,2,8,4,\nc,2,3,8,1,3\n";
    let instance = csv::read(text).unwrap();
    let free = Buffer::new(8, 0, 2).aligned(4);
    assert_eq!(instance.problem.buffers(), [free.at(16), free, Buffer::new(8, 2, 3).at(3)]);
    assert_eq!(csv::write(&instance, None), text);
    let plan = Plan::from_offsets(&instance.problem, vec![16, 0, 3], "hand").unwrap();
    let placed = csv::write(&instance, Some(&plan));
    assert!(
        placed.starts_with("id,lower,upper,size,alignment,fixed,offset\na,0,2,8,4,16,16\nb,"),
        "{placed}"
    );
    assert_eq!(csv::read(&placed).unwrap(), Instance { offsets: Some(plan.offsets), ..instance });

    let error = |rows: &str, expect: &str| {
        check_error(&format!("fixed,id,lower,upper,size,alignment\n{rows}"), expect);
    };
    error("x,a,0,2,8,4", "line 2: fixed is \"x\", expected a whole number from 0 to 18446744073709551615");
    error("16,a,0,2,8,4\n18,b,0,2,8,4", "line 3: the fixed offset 18 is no multiple of the alignment 4");
    error(
        "16,a,0,2,8,4\n20,b,1,2,8,4",
        "line 3: its fixed place shares bytes with that of line 2 while both are live",
    );
}

#[test]
fn writes_what_it_reads() {
    let problem =
        Problem::new(vec![Buffer::new(8, 0, 2).aligned(4), Buffer::new(3, 1, 3), Buffer::new(5, 2, 3)])
            .unwrap();
    let ids = ["plain", " spaced ", "a,\"b\"\r\nc"].map(String::from).to_vec();
    let instance = Instance { ids, problem, offsets: None };
    let plan = solve(&instance.problem, Effort::Normal);
    let text = csv::write(&instance, Some(&plan));
    assert!(text.starts_with("id,lower,upper,size,alignment,offset\nplain,0,2,8,4,"), "{text}");
    let back = csv::read(&text).unwrap();
    assert_eq!((&back.ids, &back.problem), (&instance.ids, &instance.problem));
    let offsets = back.offsets.unwrap();
    assert_eq!(Plan::from_offsets(&back.problem, offsets, plan.strategy).unwrap(), plan);
    assert_eq!(csv::read(&csv::write(&instance, None)).unwrap(), instance);
}

#[test]
fn problems_are_checked() {
    let check = |buffers: &[Buffer], expect: &str| {
        assert_eq!(Problem::new(buffers.to_vec()).unwrap_err().to_string(), expect);
    };
    let good = Buffer::new(1, 0, 1);
    check(
        &[good, Buffer::new(1, 7, 3)],
        "buffer 1: lifespan [7, 3) is empty; the end must be greater than the start",
    );
    check(&[good.aligned(0)], "buffer 0: alignment 0 is not a power of two (1, 2, 4, ...)");
    check(&[good, good.aligned(48)], "buffer 1: alignment 48 is not a power of two (1, 2, 4, ...)");
    let total =
        "sizes, alignment paddings and fixed ends up to here exceed 4611686018427387904 bytes in total";
    check(&[Buffer::new(MAX_TOTAL_BYTES, 0, 1), good], &format!("buffer 1: {total}"));
    check(&[good.aligned(1 << 63)], &format!("buffer 0: {total}"));
    check(&[Buffer::new(u64::MAX, 0, 1).aligned(2)], &format!("buffer 0: {total}"));
    assert!(Problem::new(vec![Buffer::new(MAX_TOTAL_BYTES, 0, 1)]).is_ok());
}

#[test]
fn live_sets_are_listed_on_demand() {
    let problem =
        Problem::new(vec![Buffer::new(8, 0, 2), Buffer::new(4, 1, 3), Buffer::new(0, 1, 2)]).unwrap();
    assert_eq!((problem.live_at(1), problem.bytes_at(1)), (vec![0, 1, 2], 12));
    assert_eq!((problem.live_at(2), problem.bytes_at(2)), (vec![1], 4));
    assert_eq!((problem.live_at(3), problem.bytes_at(3)), (vec![], 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "(id,lower,upper,size\n)?([a-z0-9,\"\n\r \u{e9}-]{0,20}\n?){0,8}") {
        if let Ok(instance) = csv::read(&text) {
            prop_assert_eq!(csv::read(&csv::write(&instance, None)).unwrap(), instance);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in any::<String>()) {
        let _ = csv::read(&text);
    }

    #[test]
    fn ids_survive(ids in prop::collection::vec("[ -~\n\r\u{e9}]{0,8}", 1..5)) {
        let buffers = vec![Buffer::new(1, 0, 1); ids.len()];
        let instance = Instance { ids, problem: Problem::new(buffers).unwrap(), offsets: None };
        prop_assert_eq!(csv::read(&csv::write(&instance, None)).unwrap(), instance);
    }
}
