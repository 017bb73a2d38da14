// Asks which shapes fit a budget, and serves all of them with one session.

use bayplan::{Bindings, Bounds, Device, Dims, Error, Model, Options, Scope, Session, SessionOptions, Tensor};

/// What the session needs, and what it runs, in words.
fn report(file: &str) -> Result<String, Box<dyn std::error::Error>> {
    const BUDGET: u64 = 1 << 20;
    let device = Device::host();
    let model = Model::open(file)?;
    let mut bounds = Scope::new();
    bounds.declare("batch", Bounds::between(1, 1000))?;
    let family = model.family(&Dims::from(bounds), device.target(), &Options::default())?;

    let fits = family.memory()?.solve(BUDGET, "batch", &Bindings::new())?;
    let mut text = format!("a batch of {} needs {} bytes of {BUDGET}\n", fits.value, fits.bytes);

    let options = SessionOptions { memory: Some(BUDGET), ..SessionOptions::default() };
    let mut session = Session::new(&device, family, model.weights(), options)?;
    let largest = fits.value as usize;
    for batch in [1, largest, 3, largest + 1, 1001] {
        let images = Tensor::from_f32(vec![batch, 1, 8, 8], &vec![0.5; batch * 64])?;
        match session.run(&[("images", &images)]) {
            Ok(outputs) => {
                let shapes: Vec<_> = outputs.iter().map(|output| output.shape().to_vec()).collect();
                text += &format!("a batch of {batch} gives {shapes:?}\n");
            }
            Err(refused @ (Error::Budget(_) | Error::Input(_))) => text += &format!("{refused}\n"),
            Err(failed) => return Err(failed.into()),
        }
    }
    Ok(text)
}
