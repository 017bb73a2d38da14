//! A session whose weights are loaded: what the overview, the events and the text tell of it.

use bayplan_trace::{Event, Record, WeightsPath};

use crate::model::{Life, Model};
use crate::narrate::Narrator;
use crate::picture_tests::{differs, draw, dump, model};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::Watch;

const MIB: u64 = 1 << 20;
const MILLI: u64 = 1_000_000;
/// Bytes to load.
const TOTAL: u64 = 1536 * MIB;

fn events(model: &mut Model, events: Vec<Event>) {
    events.into_iter().for_each(|event| model.apply(Record::Event(event)));
    model.settle();
}

/// A load that was begun after 200 ms and has come so far: a piece of 24 MiB every 20 ms, of late half as fast.
fn begun(pieces: u64) -> Model {
    let plan = support::by_hand();
    let mut model = model(vec![Record::Session(support::session()), Record::Plan { plan: 0, record: plan }]);
    let mut told = vec![
        Event::HeapSample {
            t: 190 * MILLI,
            heap: 0,
            size: 8192 * MIB,
            usage: TOTAL,
            budget: Some(6144 * MIB),
        },
        Event::LoadStart { t: 200 * MILLI, total: TOTAL },
    ];
    let mut t = 200 * MILLI;
    for piece in 1..=pieces {
        t += if piece > 20 { 40 * MILLI } else { 20 * MILLI };
        let arrived = piece * 24 * MIB;
        let (path, staging) = (WeightsPath::Staged, 16 * MIB);
        told.push(Event::LoadProgress { t, path, arrived, direct: arrived, staging });
    }
    events(&mut model, told);
    model
}

fn ended(ok: bool) -> Model {
    let mut model = begun(if ok { 64 } else { 40 });
    let mut told = vec![Event::LoadEnd { t: 2600 * MILLI, ok }];
    if ok {
        told.push(Event::SessionReady { t: 2610 * MILLI });
    }
    events(&mut model, told);
    model
}

/// Makes the session that is drawn.
type Make = fn() -> Model;

#[test]
fn golden_pictures_of_loading() {
    let mut wrong = Vec::new();
    let killed = || {
        let mut model = begun(40);
        model.life = Life::Killed;
        model
    };
    let cases: [(&str, Make); 3] =
        [("loading", || begun(40)), ("loaded", || ended(true)), ("unloaded", || ended(false))];
    for (name, make) in cases {
        for (size, colours) in [
            ((40, 12), Colours::True),
            ((80, 24), Colours::True),
            ((120, 40), Colours::Indexed),
            ((80, 24), Colours::None),
        ] {
            let picture = dump(&draw(&mut Watch::of(make(), 0), size, &Theme::new(colours, false)));
            let file = format!("overview-{name}-{}x{}-{colours:?}.txt", size.0, size.1).to_lowercase();
            wrong.extend(differs(&file, &picture));
        }
    }
    let picture = dump(&draw(&mut Watch::of(killed(), 0), (80, 24), &Theme::new(Colours::None, true)));
    wrong.extend(differs("overview-load-killed-80x24-none-ascii.txt", &picture));
    assert!(wrong.is_empty(), "BAYPLAN_BLESS=1 takes these over once they are right:\n{}", wrong.join("\n"));
}

/// On every size of a terminal it is the first thing that is seen while it goes on.
#[test]
fn loading_is_seen_at_every_size() {
    for cols in [40u16, 60, 76, 80, 100, 200] {
        for rows in [12u16, 16, 24, 40] {
            let buffer = draw(&mut Watch::of(begun(40), 0), (cols, rows), &Theme::new(Colours::None, false));
            let text = dump(&buffer);
            for words in ["loading weights", "62.5 %", "755 MB/s"] {
                assert!(text.contains(words), "{cols}x{rows}: no {words}\n{text}");
            }
        }
    }
}

#[test]
fn the_text_tells_how_loading_goes() {
    let mut model = begun(10);
    let first = crate::summary::text(&model);
    let way = "staged · direct · staging 16.0 MiB";
    let going = |amount: &str, rate: &str| format!("loading weights: {amount} · {rate} · {way}\n");
    assert!(first.contains(&going("240 MiB of 1.50 GiB (15.6 %)", "1.26 GB/s")), "{first}");
    let mut told = Narrator::of(&model);
    assert_eq!(told.tell(&model, true), "", "nothing new came");
    let (path, staging) = (WeightsPath::Staged, 16 * MIB);
    let progress = |t, arrived| Event::LoadProgress { t, path, arrived, direct: arrived, staging };
    events(&mut model, vec![progress(600 * MILLI, 480 * MIB)]);
    assert_eq!(told.tell(&model, false), "", "not so soon again");
    assert_eq!(told.tell(&model, true), going("480 MiB of 1.50 GiB (31.2 %)", "1.26 GB/s"));
    events(&mut model, vec![progress(1200 * MILLI, TOTAL), Event::LoadEnd { t: 1200 * MILLI, ok: true }]);
    let loaded = format!("weights loaded: 1.50 GiB in 1.00 s · 1.61 GB/s · {way}\n");
    assert_eq!(told.tell(&model, false), loaded, "its end is told at once");
    assert_eq!(told.tell(&model, true), "");
    assert!(crate::summary::text(&model).contains(&loaded));
}

#[test]
fn the_events_tell_how_it_ended() {
    for ok in [true, false] {
        let model = ended(ok);
        let found = model.log.entries().find(|entry| entry.kind() == "weights").expect("an entry");
        let words = found.words(&model.timeline);
        let expected =
            if ok { "weights loaded: 1.50 GiB in 2.40 s" } else { "loading weights FAILED at 960 MiB" };
        assert!(words.starts_with(expected), "{words}");
    }
}
