//! The order in which weights are loaded: that in which the first run wants them.

use std::collections::HashMap;

use bayplan_compile::{Arena, Program, Upload, Window};
use bayplan_shaders::Access;

use super::batch::gates;

/// The uploads of a program in the order in which a session reads them.
pub fn upload_order(program: &Program) -> Vec<Upload> {
    ordered(program).0
}

/// The uploads of a program, what its first dispatches read first, and for each how many dispatches of the load program come
/// before it may be written. Those that the load program reads stay in its order.
pub(crate) fn ordered(program: &Program) -> (Vec<Upload>, Vec<u32>) {
    let dispatches = &program.load.dispatches;
    let mut wanted: HashMap<u64, usize> = HashMap::new();
    for (op, dispatch) in program.run.dispatches.iter().enumerate() {
        for at in dispatch.windows.iter().filter_map(|window| weight(program, window)) {
            wanted.entry(at).or_insert(op);
        }
    }
    let first = |window: &Window| weight(program, window).and_then(|at| wanted.get(&at).copied());
    // When the run wants what a dispatch of the load program makes, or one after it.
    let mut made = vec![usize::MAX; dispatches.len()];
    let mut soonest = usize::MAX;
    for (op, dispatch) in made.iter_mut().zip(dispatches).rev() {
        let written = dispatch.windows.iter().filter(|window| window.access != Access::Read);
        soonest = written.filter_map(first).fold(soonest, usize::min);
        *op = soonest;
    }
    let gates = gates(program);
    let all = || program.uploads.iter().zip(&gates);
    let loads = |upload: &Upload| (upload.before as usize) < dispatches.len();
    let mut direct: Vec<_> = all().filter(|(upload, _)| !loads(upload)).collect();
    direct.sort_by_key(|(upload, _)| first(&upload.window).unwrap_or(usize::MAX));
    let mut direct = direct.into_iter().peekable();
    let mut order = Vec::with_capacity(program.uploads.len());
    for (upload, gate) in all().filter(|(upload, _)| loads(upload)) {
        let when = made[upload.before as usize];
        while let Some(next) = direct.next_if(|(own, _)| first(&own.window).is_some_and(|op| op < when)) {
            order.push(next);
        }
        order.push((upload, gate));
    }
    order.extend(direct);
    order.into_iter().map(|(upload, &gate)| (upload.clone(), gate)).unzip()
}

/// For each of `count` dispatches of the load program, how many uploads must have arrived before it.
pub(crate) fn due(uploads: &[Upload], count: usize) -> Vec<usize> {
    let mut due = vec![0; count];
    for (number, upload) in uploads.iter().enumerate() {
        if let Some(own) = due.get_mut(upload.before as usize) {
            *own = number + 1;
        }
    }
    due.iter_mut().fold(0, |most, own| {
        *own = most.max(*own);
        *own
    });
    due
}

/// Where the weight begins that a window lies in.
fn weight(program: &Program, window: &Window) -> Option<u64> {
    let buffer = program.buffers.get(window.buffer.0 as usize)?;
    (window.arena == Arena::Weights).then_some(buffer.offset)
}
