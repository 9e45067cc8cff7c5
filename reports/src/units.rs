//! Durations, rates, bytes, counts and shares for people.

use crate::exact::{Ratio, Rounding};

/// A figure, or a dash where there is none.
pub fn or_dash<T>(figure: Option<T>, show: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| "–".into(), show)
}

/// Like `870 µs`, `1.23 ms`, `45.0 s`, `2m 05s`: three significant digits.
pub fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..999_500 => format!("{} ms", three_digits(us, 1_000)),
        999_500..59_950_000 => format!("{} s", three_digits(us, 1_000_000)),
        _ => {
            let seconds = us.saturating_add(500_000) / 1_000_000;
            match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
                (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
                (hours, minutes, seconds) => format!("{hours}h {minutes:02}m {seconds:02}s"),
            }
        }
    }
}

/// Like `512 B`, `12.3 MiB`.
pub fn bytes(bytes: u64) -> String {
    let unit = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        .into_iter()
        .find(|(_, size)| bytes >= *size);
    match unit {
        Some((name, size)) => format!("{} {name}", three_digits(bytes, size)),
        None => format!("{bytes} B"),
    }
}

/// Like `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Like `1 device`, `1,234 devices`.
pub fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", count(number)),
    }
}

/// Like `1,234/s`, `42.1/s`, `0.52/s`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0/s".into(),
        fine if fine < 10.0 => format!("{fine:.2}/s"),
        middling if middling < 100.0 => format!("{middling:.1}/s"),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        coarse => format!("{}/s", count(coarse.round() as u64)),
    }
}

/// Digits after the point of a percentage.
const PLACES: u32 = 4;

/// A part of a whole that is good, like `99.9 %`: never more than it is, so that 100 % is all.
pub fn good_share(part: u64, whole: u64) -> String {
    percentage(part, whole, PLACES, Rounding::Down)
}

/// A part of a whole that is bad, like `0.1 %`: never less than it is, so that 0 % is none.
pub fn bad_share(part: u64, whole: u64) -> String {
    percentage(part, whole, PLACES, Rounding::Up)
}

/// A part of a whole with so many digits after the point; of nothing it is none.
pub fn percentage(part: u64, whole: u64, places: u32, rounding: Rounding) -> String {
    let share = Ratio::new(part, whole).times(100_u8);
    format!("{} %", share.round(places, rounding))
}

/// The same of a share that was reckoned; it may be below zero.
pub fn percentage_of(share: f64, places: u32, rounding: Rounding) -> String {
    let (sign, rounding) = match (share < 0.0, rounding) {
        (false, rounding) => ("", rounding),
        (true, Rounding::Down) => ("-", Rounding::Up),
        (true, Rounding::Up) => ("-", Rounding::Down),
    };
    let size = Ratio::shortest(share.abs()).times(100_u8);
    let size = size.round(places, rounding).to_string();
    let sign = if size == "0" { "" } else { sign };
    format!("{sign}{size} %")
}

/// How many times something is as much, with at least so many digits after the point: with as many as it takes
/// to see on which side of `limit` it lies.
pub fn factor(times: f64, limit: f64, places: u32) -> String {
    let limit = Ratio::shortest(limit).round(places, Rounding::Up);
    let times = Ratio::shortest(times.max(0.0));
    times.beside(limit, places, Rounding::Up).to_fixed(places)
}

/// `amount` in `unit`s with three significant digits.
fn three_digits(amount: u64, unit: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are kept")]
    let value = amount as f64 / unit as f64;
    match value {
        fine if fine < 9.995 => format!("{fine:.2}"),
        middling if middling < 99.95 => format!("{middling:.1}"),
        coarse => format!("{coarse:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_never_round_into_the_next_unit() {
        for (us, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (99_960, "100 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (45_000_000, "45.0 s"),
            (59_950_000, "1m 00s"),
            (125_000_000, "2m 05s"),
            (3_725_000_000, "1h 02m 05s"),
        ] {
            assert_eq!(duration(us), text);
        }
    }

    #[test]
    fn bytes_counts_and_rates() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(12_900_000), "12.3 MiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(rate(0.0), "0/s");
        assert_eq!(rate(0.519), "0.52/s");
        assert_eq!(rate(42.06), "42.1/s");
        assert_eq!(rate(1234.4), "1,234/s");
    }

    #[test]
    fn a_share_never_looks_better_than_it_is() {
        for (part, whole, good, bad) in [
            (57, 100, "57 %", "57 %"),
            (999, 1_000, "99.9 %", "99.9 %"),
            (2, 3, "66.6666 %", "66.6667 %"),
            (0, 7, "0 %", "0 %"),
            (7, 7, "100 %", "100 %"),
            (0, 0, "0 %", "0 %"),
            (1, 1_000_000_000, "0 %", "0.0001 %"),
            (999_999_999, 1_000_000_000, "99.9999 %", "100 %"),
        ] {
            assert_eq!(good_share(part, whole), good, "{part} of {whole}");
            assert_eq!(bad_share(part, whole), bad, "{part} of {whole}");
        }
        for (share, places, down, up) in [
            (0.57, 4, "57 %", "57 %"),
            (0.570_000_1, 4, "57 %", "57.0001 %"),
            (-249.0, 4, "-24900 %", "-24900 %"),
            (-0.001, 0, "-1 %", "0 %"),
            (0.999, 0, "99 %", "100 %"),
            (1e-20, 4, "0 %", "0.0001 %"),
        ] {
            assert_eq!(percentage_of(share, places, Rounding::Down), down);
            assert_eq!(percentage_of(share, places, Rounding::Up), up);
        }
        assert_eq!(factor(14.399_999, 14.4, 1), "14.399999");
        assert_eq!(factor(14.4, 14.4, 1), "14.4");
        assert_eq!(factor(14.51, 14.4, 1), "14.6");
        assert_eq!(factor(0.0, 6.0, 1), "0.0");
    }
}
