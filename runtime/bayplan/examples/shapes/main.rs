//! One session for every batch that fits a budget.

include!("shapes.rs");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", report("assets/digits.onnx")?);
    Ok(())
}
