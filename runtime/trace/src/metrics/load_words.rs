//! How a load of weights went, in words: reports and the viewer say the same.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bayplan_text::{Bytes, Nanos, Percent, Rate};

use crate::schema::loading::{Loading, rate};
use crate::schema::loads::Load;

impl Load {
    /// How far it is, or came: `412 MiB of 1.00 GiB (40.2 %)`, `1.00 GiB in 840 ms`.
    pub fn amount(&self, now: crate::Nanos) -> String {
        let (arrived, total) = (self.loading.arrived(), self.loading.total);
        let share = (total > 0).then(|| format!(" ({})", Percent(arrived as f64 / total as f64)));
        let of = format!("{} of {}{}", Bytes(arrived), Bytes(total), share.unwrap_or_default());
        match self.end {
            Some(_) if self.ok => format!("{} in {}", Bytes(arrived), Nanos(self.took(now))),
            Some(_) => format!("FAILED at {of}, after {}", Nanos(self.took(now))),
            None => of,
        }
    }

    /// Bytes per second over the whole load: `1.20 GB/s`; `None` where no time passed.
    pub fn rate(&self, now: crate::Nanos) -> Option<Rate> {
        rate(self.loading.arrived(), self.took(now)).map(|rate| Rate(rate as u64, "B"))
    }

    /// All of it in one line.
    pub fn text(&self, now: crate::Nanos) -> String {
        let mut parts = Vec::from([self.amount(now)]);
        parts.extend(self.rate(now).map(|rate| rate.to_string()));
        parts.extend(self.loading.way());
        if self.overlap() > 0 {
            parts.push(format!("first run submitted {} before the end", Nanos(self.overlap())));
        }
        parts.join(" · ")
    }
}

impl Loading {
    /// By which paths weights came, how they were read, and what staging takes, each in words: `mapped`, `direct 3.00 GiB +
    /// buffered 12.0 KiB`, `staging 16.0 MiB`.
    pub fn way(&self) -> Vec<String> {
        let paths = several(&self.paths().map(|(path, bytes)| (path.name(), bytes)).collect::<Vec<_>>());
        let modes = several(&self.modes().map(|(mode, bytes)| (mode.name(), bytes)).collect::<Vec<_>>());
        let staging = (self.staging > 0).then(|| format!("staging {}", Bytes(self.staging)));
        [paths, modes, staging].into_iter().flatten().collect()
    }
}

/// One by its name; several with their sizes.
fn several(of: &[(&str, u64)]) -> Option<String> {
    match of {
        [] => None,
        [(name, _)] => Some(name.to_string()),
        _ => {
            let each = of.iter().map(|(name, bytes)| format!("{name} {}", Bytes(*bytes)));
            Some(each.collect::<Vec<_>>().join(" + "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadMode, WeightsPath};

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_load_is_told_in_words() {
        let mut load = Load { start: 1_000_000_000, loading: Loading::of(400 * MIB), ..Load::default() };
        assert_eq!(load.text(1_000_000_000), "0 B of 400 MiB (0.0 %)");
        load.loading.add(100 * MIB, WeightsPath::Staged, ReadMode::Direct);
        load.loading.staging = 16 * MIB;
        let half = 1_500_000_000;
        assert_eq!(
            load.text(half),
            "100 MiB of 400 MiB (25.0 %) · 210 MB/s · staged · direct · staging 16.0 MiB"
        );
        load.loading.add(300 * MIB, WeightsPath::Imported, ReadMode::Buffered);
        load.first_run = Some(1_900_000_000);
        (load.end, load.ok) = (Some(2_000_000_000), true);
        assert_eq!(
            load.text(9_000_000_000),
            "400 MiB in 1.00 s · 419 MB/s · imported 300 MiB + staged 100 MiB · direct 100 MiB + buffered 300 MiB · \
             staging 16.0 MiB · first run submitted 100 ms before the end"
        );
        load.ok = false;
        assert_eq!(load.amount(9), "FAILED at 400 MiB of 400 MiB (100.0 %), after 1.00 s");
    }

    #[test]
    fn a_model_without_weights_has_no_share() {
        assert_eq!(Load::default().amount(7), "0 B of 0 B");
    }
}
