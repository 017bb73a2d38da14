use super::*;
use crate::theme::{Colours, Theme};

type Rgb = (u8, u8, u8);

fn rgb(ink: Ink) -> Rgb {
    (ink.0, ink.1, ink.2)
}

fn linear(value: u8) -> f64 {
    let value = f64::from(value) / 255.0;
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn luminance((r, g, b): Rgb) -> f64 {
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

/// The contrast ratio of WCAG 2, from 1 to 21.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// How people see: all cones; no red ones; no green ones (Machado, Oliveira and Fernandes 2009, severity 1).
const EYES: [[[f64; 3]; 3]; 3] = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    [
        [0.152_286, 1.052_583, -0.204_868],
        [0.114_503, 0.786_281, 0.099_216],
        [-0.003_882, -0.048_116, 1.051_998],
    ],
    [
        [0.367_322, 0.860_646, -0.227_968],
        [0.280_085, 0.672_501, 0.047_413],
        [-0.011_820, 0.042_940, 0.968_881],
    ],
];

/// The colour in CIE L*a*b* under D65, as those eyes see it.
fn lab((r, g, b): Rgb, eyes: &[[f64; 3]; 3]) -> [f64; 3] {
    let full = [linear(r), linear(g), linear(b)];
    let [r, g, b] = eyes.map(|row| row.iter().zip(full).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0));
    let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
    let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
    let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn difference(a: Rgb, b: Rgb, eyes: &[[f64; 3]; 3]) -> f64 {
    let (a, b) = (lab(a, eyes), lab(b, eyes));
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn what_is_read_can_be_read_on_its_ground() {
    // The grounds that terminals have beside the one that is taken for theirs.
    for (name, palette, grounds) in
        [("dark", DARK, [(0, 0, 0), (24, 24, 24)]), ("light", *LIGHT, [(255, 255, 255), (246, 246, 244)])]
    {
        for ground in grounds.into_iter().chain([rgb(palette.ground)]) {
            for (what, ink) in [
                ("faint", palette.faint),
                ("good", palette.good),
                ("accent", palette.accent),
                ("warning", palette.warning),
                ("cursor", palette.cursor),
                ("alarm", palette.alarm),
                ("bright", palette.bright),
            ] {
                let ratio = contrast(rgb(ink), ground);
                assert!(ratio >= 4.5, "{name}: {what} on {ground:?} has {ratio:.2}");
            }
        }
        for (what, ink) in [("bright", palette.bright), ("good", palette.good), ("warning", palette.warning)]
        {
            let ratio = contrast(rgb(ink), rgb(palette.bar));
            assert!(ratio >= 4.5, "{name}: {what} in the header has {ratio:.2}");
        }
        // Alarms that are filled, and labels over tensors.
        let theme = Theme { palette: Box::leak(Box::new(palette)), ..Theme::new(Colours::True, false) };
        let of = |color| match color {
            Color::Rgb(r, g, b) => (r, g, b),
            Color::Black => (0, 0, 0),
            Color::White => (255, 255, 255),
            other => panic!("{other:?}"),
        };
        let alarm = theme.alarm();
        assert!(contrast(of(alarm.fg.unwrap()), of(alarm.bg.unwrap())) >= 4.5, "{name}: alarms");
        for hue in 0..HUE_COUNT as u8 {
            for shade in [Shade::Dim, Shade::Medium, Shade::Bright] {
                let ratio = contrast(of(theme.label(hue, shade)), of(theme.shade(hue, shade)));
                assert!(ratio >= 3.0, "{name}: labels on hue {hue} {shade:?} have {ratio:.2}");
            }
        }
    }
}

#[test]
fn neighbours_differ_for_everybody() {
    for (name, palette) in [("dark", DARK), ("light", *LIGHT)] {
        for (shade, least) in [(Shade::Bright, 15.0), (Shade::Medium, 8.0)] {
            for (at, a) in palette.hues.iter().enumerate() {
                for b in &palette.hues[at + 1..] {
                    let seen = |ink: &Ink| ink.towards(palette.ground, shade.strength());
                    for eyes in &EYES {
                        let difference = difference(seen(a), seen(b), eyes);
                        assert!(difference >= least, "{name}: {a} and {b} {shade:?}: {difference:.1}");
                    }
                }
            }
        }
        // What is fine is never taken for an alarm.
        for eyes in &EYES {
            let difference = difference(rgb(palette.good), rgb(palette.alarm), eyes);
            assert!(difference >= 20.0, "{name}: good and alarm: {difference:.1}");
        }
    }
}

#[test]
fn colours_are_read_as_they_are_written() {
    for text in ["#d55e00 light-red", "#000000 black", "#ffffff white"] {
        assert_eq!(Ink::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Ink::parse("#d00000").unwrap().to_string(), "#d00000 red");
    for text in
        ["", "#", "#12345", "#1234567", "123456", "#12345g", "#123456 pink", "#+12345", "#é1234", "red"]
    {
        assert!(Ink::parse(text).is_none(), "{text}");
    }
    let mut palette = DARK;
    for (.., ink) in INKS {
        *ink(&mut palette) = Ink(1, 2, 3, Color::Red);
    }
    assert_eq!(palette.hues, [Ink(1, 2, 3, Color::Red); HUE_COUNT], "every hue has a name");
}

#[test]
fn shades_stay_apart_among_256() {
    for palette in [DARK, *LIGHT] {
        let mut all = palette.indexed_shades.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 3 * HUE_COUNT);
    }
}
