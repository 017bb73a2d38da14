//! Outputs that are kept: what a loop that holds them all takes, and one that drops each before the next.
//!
//! `BAYPLAN_DEVICE` names the device, as everywhere.

include!("outputs.rs");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = bayplan::DeviceOptions::default();
    if let Ok(name) = std::env::var("BAYPLAN_DEVICE") {
        options.selector = name.parse()?;
    }
    print!("{}", report(&Device::open(&options)?)?);
    Ok(())
}
