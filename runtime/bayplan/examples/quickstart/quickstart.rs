// Runs a model once and says what its memory plan takes.

use bayplan::{Bindings, Device, DeviceOptions, Model, SessionOptions, Tensor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open("assets/digits.onnx")?;
    let device = Device::open(&DeviceOptions::default())?;
    let dims: Bindings = [("batch", 2)].into_iter().collect();
    let mut session = model.session(&device, &dims, SessionOptions::default())?;

    let images = Tensor::from_f32(vec![2, 1, 8, 8], &[0.5; 128])?;
    let outputs = session.run(&[("images", &images)])?;
    for output in outputs.iter() {
        println!("{} {:?} {:?}", output.name(), output.shape(), output.to_tensor()?.to_f32()?);
    }

    let plan = &session.program().run.plan;
    println!("{} bytes, at least {} are needed", plan.peak, plan.lower_bound.bytes);
    Ok(())
}
