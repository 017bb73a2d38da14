//! The outputs of a run: files, and what is said of them.

use std::collections::HashSet;

use bayplan_graph::Tensor;
use bayplan_text::ellipsis;

use crate::inputs::type_text;

/// Longest file name made of an output's name, in bytes: file systems allow 255.
const MAX_NAME: usize = 120;

/// File names for outputs: their own names, with what a path would read as a folder replaced; no two the same, whatever
/// the case.
pub(crate) fn file_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut unique = |name: &str| {
        let stem = stem(name);
        let numbered = (2..).map(|number| format!("{stem}.{number}"));
        let free =
            std::iter::once(stem.clone()).chain(numbered).find(|name| taken.insert(name.to_lowercase()));
        free.unwrap_or(stem) + ".npy"
    };
    names.into_iter().map(&mut unique).collect()
}

fn stem(name: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let mut stem: String = name.trim_start_matches('.').chars().map(safe).collect();
    let cut = (0..=MAX_NAME.min(stem.len())).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
    stem.truncate(cut);
    if stem.is_empty() { "output".into() } else { stem }
}

/// Name, type, and the mean and range of the elements, in one line.
pub(crate) fn describe(name: &str, tensor: &Tensor) -> String {
    let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
    let mut text = format!("{}  {}", ellipsis(name, 32), ellipsis(&type_text(tensor.dtype(), &shape), 32));
    let elements = tensor.to_f64();
    let finite: Vec<f64> = elements.iter().copied().filter(|x| x.is_finite()).collect();
    if !finite.is_empty() {
        let (low, high) =
            finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        text += &format!("  mean {mean:.4}  {low:.4} to {high:.4}");
    }
    if finite.len() < elements.len() {
        text += &format!("  {} not finite", elements.len() - finite.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_gets_a_file_of_its_own_inside_the_folder() {
        let long = "x".repeat(1000);
        let cases: [(&[&str], &[&str]); 6] = [
            (&["logits"], &["logits.npy"]),
            (&["a/b", "a:b", "A_B"], &["a_b.npy", "a_b.2.npy", "A_B.3.npy"]),
            (&["../../etc/passwd", "..", ""], &["_.._etc_passwd.npy", "output.npy", "output.2.npy"]),
            (&["x\n\u{1b}[2J"], &["x___2J.npy"]),
            (&["naïve"], &["naïve.npy"]),
            (&[&long], &[&format!("{}.npy", &long[..MAX_NAME])]),
        ];
        for (names, expected) in cases {
            assert_eq!(file_names(names.iter().copied()), expected, "{names:?}");
        }
    }

    #[test]
    fn outputs_are_described_in_one_line() {
        let cases: [(&[f32], &str); 4] = [
            (&[1.0, 3.0], "y  f32[2]  mean 2.0000  1.0000 to 3.0000"),
            (&[], "y  f32[0]"),
            (&[f32::NAN, 2.0, f32::INFINITY], "y  f32[3]  mean 2.0000  2.0000 to 2.0000  2 not finite"),
            (&[f32::NAN], "y  f32[1]  1 not finite"),
        ];
        for (elements, expected) in cases {
            let tensor = Tensor::from_f32(vec![elements.len()], elements).unwrap();
            assert_eq!(describe("y", &tensor), expected);
        }
    }
}
