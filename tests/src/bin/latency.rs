//! `latency MODEL CASE`: builds a session of the model on the inputs of a case (a folder of references), then answers
//! every line it reads with the nanoseconds of one run, until its input ends.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use bayplan::Model;
use bayplan_tests::backend::Backend;
use bayplan_tests::{read_case, session};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, case] = arguments.as_slice() else {
        eprintln!("usage: latency MODEL CASE");
        std::process::exit(2);
    };
    let case = read_case(Path::new(case));
    let model = Model::open(model).unwrap_or_else(|e| panic!("{model}: {e}"));
    let device = Backend::Named.device();
    let mut built = session::session(&device, &model, &case);
    let inputs = session::inputs(&case);
    for line in stdin().lock().lines() {
        line.expect("lines are text");
        let begun = Instant::now();
        session::run(&mut built, &inputs);
        let mut out = stdout().lock();
        writeln!(out, "{}", begun.elapsed().as_nanos()).expect("whoever asks reads the answer");
    }
}
