//! The list of very many tensors: how long it takes until it is there, and how long the viewer answers nothing meanwhile.

use std::error::Error;
use std::time::{Duration, Instant};

use bayplan_tui::rehearsal::Rehearsal;

use crate::Taken;
use crate::plans::{Shape, records};

/// The longest that a key may wait while a list is made, by the processor time of the thread that answers it.
const BAR: f64 = 33.0;
/// Time between two pictures.
const PAUSE: Duration = Duration::from_millis(33);

/// What is asked for, and the keys that do so.
const STEPS: &[(&str, &str)] = &[
    ("Lifetimes opened: ordered by birth", "3"),
    ("ordered by death", "s"),
    ("ordered by name", "ss"),
    ("searched, a key at a time: layer.7 life>3", "/layer.7 life>3"),
];

/// Tells of each.
pub(crate) fn tell(tensors: u64) -> Result<(), Box<dyn Error>> {
    let mut screen = Rehearsal::new(records(tensors, Shape::Small), (200, 50), 2).beside();
    screen.frame()?;
    for (what, keys) in STEPS {
        let begun = Instant::now();
        let mut longest = Taken::default();
        let mut answer = |screen: &mut Rehearsal, key: Option<char>| -> Result<(), Box<dyn Error>> {
            let taken = Taken::begin();
            key.into_iter().for_each(|key| screen.key(key));
            screen.hear(Duration::ZERO);
            screen.frame()?;
            let taken = taken.end();
            longest = Taken { clock: longest.clock.max(taken.clock), cpu: longest.cpu.max(taken.cpu) };
            Ok(())
        };
        for key in keys.chars() {
            answer(&mut screen, Some(key))?;
        }
        // Somebody looks at it until it is there.
        while screen.hear(PAUSE) {
            answer(&mut screen, None)?;
        }
        answer(&mut screen, None)?;
        let [clock, cpu] = [longest.clock, longest.cpu].map(|time| time.as_secs_f64() * 1e3);
        println!(
            "  {what:<42} there after {:>5.2} s; the longest wait for a picture: {clock:.2}, {cpu:.2} ms ({} {BAR} ms)",
            begun.elapsed().as_secs_f64(),
            if cpu <= BAR { "<=" } else { ">" },
        );
    }
    Ok(())
}
