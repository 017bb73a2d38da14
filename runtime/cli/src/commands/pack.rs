//! `bayplan pack`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use bayplan::{Device, Effort, Error, Packed, PackedFiles, Packer, Target};
use bayplan_text::{Bytes, escape};

use super::run::{compile_options, device_options, named, stop_on_signals};
use crate::args::PackOptions;
use crate::exit::{Failure, Outcome};
use crate::out::{Progress, counted};
use crate::output_file::Wanted;
use crate::{dims, out, shapes, weights};

pub(crate) fn pack(options: &PackOptions) -> Outcome {
    let path = &options.model.model;
    if options.output.as_os_str() == "-" {
        return Err(Failure::usage(
            "a packed model is two files, which do not go to standard output: name one",
        ));
    }
    let model = Wanted {
        path: &options.output,
        what: "the packed model",
        text: false,
        force: options.force,
        source: path,
    };
    let data_name = beside(&options.output);
    let data = Wanted { path: &data_name, what: "the packed weights", ..model };
    let mut progress = Progress::new(options.quiet);
    progress.stage("opening the model");
    let stop = stop_on_signals()?;
    let weights = weights::open(&options.model.weights)?;
    let mut packer = Packer::open(path, weights.as_ref()).map_err(|e| named(path, e))?;
    for file in packer.files() {
        model.not_made_of(file)?;
        data.not_made_of(file)?;
    }
    progress.stage("planning");
    let planned = plan(&mut packer, options)?;
    enough_room(&options.output, packer.bytes())?;
    // Made last: a signal that ends the process before leaves nothing behind.
    let (data_file, model_file) = (data.fresh()?, model.fresh()?);
    let all = packer.bytes();
    let to = PackedFiles {
        name: &options.output,
        data_name: &data_name,
        model: model_file.path(),
        data: data_file.path(),
    };
    let bar = progress.bar("packing");
    let packed = packer.write(to, &mut |done| {
        bar.tell(done, all);
        !stop.load(Ordering::Relaxed)
    })?;
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Pack(bayplan::PackError::Stopped).into());
    }
    progress.clear();
    data.appear(data_file)?;
    if let Err(e) = model.appear(model_file) {
        if !options.force {
            // It came into being a moment ago.
            let _ = std::fs::remove_file(&data_name);
        }
        return Err(e);
    }
    if !options.quiet {
        out::print(&text(options, &data_name, &packed, planned.as_deref()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses to begin what does not fit the disk.
fn enough_room(output: &Path, needed: u64) -> Result<(), Failure> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Some file systems do not tell.
    let Some(disk) = rustix::fs::statvfs(folder).ok().filter(|disk| disk.f_blocks > 0) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let folder = escape(&folder.to_string_lossy()).to_string();
    Err(Failure::new(format!(
        "the packed weights take {}, and {} are free in {folder}: free some, or name a file on another disk",
        Bytes(needed),
        Bytes(free)
    )))
}

/// The file of weights beside a model.
fn beside(model: &Path) -> PathBuf {
    let mut name = OsString::from(model);
    name.push(".data");
    name.into()
}

/// Plans the model where its dimensions are known; answers why not otherwise.
fn plan(packer: &mut Packer, options: &PackOptions) -> Result<Option<String>, Failure> {
    let given = [&options.model.dims, &options.model.dim_max, &options.model.dim_min];
    let Some(graph) = packer.graph() else {
        if given.iter().any(|words| !words.is_empty()) {
            return Err(Failure::usage(
                "elements of inputs decide the model's shapes, so it is packed without a plan, and no dimension applies",
            ));
        }
        return Ok(Some("elements of inputs decide its shapes".to_owned()));
    };
    let known = dims::known(graph, &options.model)?;
    let open = dims::open(graph, &known);
    if !open.is_empty() {
        let names: Vec<&str> = open.iter().map(String::as_str).collect();
        let names = crate::inputs::list(&names);
        return Ok(Some(format!(
            "nothing bounds {names}: --dim-max gives a dimension a bound, --dim a value"
        )));
    }
    let known = match shapes::sized(graph, known, None) {
        Ok(known) => known,
        Err(failure) => return Ok(Some(failure.message().to_owned())),
    };
    // Without a device the same model gives the same file everywhere.
    let device = match &options.model.device.name {
        Some(name) if !name.is_empty() => Some(Device::open(&device_options(&options.model.device)?)?),
        _ => None,
    };
    let generic = Target::generic();
    let target = device.as_ref().map_or(&generic, Device::target);
    match packer.plan(&known, target, &compile_options(&options.model, Effort::Normal)) {
        // Some device may have what none has in general: it is planned where it runs.
        Err(e) if device.is_none() && e.is_unsupported() => Ok(Some(e.to_string())),
        planned => planned.map(|()| None).map_err(Failure::from),
    }
}

fn text(options: &PackOptions, data: &Path, packed: &Packed, unplanned: Option<&str>) -> String {
    let shown = |path: &Path| escape(&path.to_string_lossy()).to_string();
    let mut text = format!(
        "packed   {}  {}\nweights  {}  {}, {}",
        shown(&options.output),
        Bytes(packed.model_bytes),
        shown(data),
        counted(packed.weights, "tensor", "tensors"),
        Bytes(packed.data_bytes)
    );
    if packed.shared > 0 {
        text += &format!(", {} of them in the bytes of others", packed.shared);
    }
    text += &match unplanned {
        None => "\nplan     part of the model\n".to_owned(),
        Some(why) => format!("\nplan     none: {why}\n"),
    };
    text
}
