//! Times as DPS writes them: RFC 3339 in UTC with seven fractional digits, the
//! resolution of .NET's clock.

use jiff::Timestamp;

/// Like `2022-08-31T22:02:50.5163352Z`. What is finer than 100 ns is cut off.
pub fn format(time: Timestamp) -> String {
    format!("{time:.7}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_seven_digits_and_a_z() {
        let cases = [
            (1_661_983_370_516_335_200, "2022-08-31T22:02:50.5163352Z"),
            (1_661_983_370_516_335_299, "2022-08-31T22:02:50.5163352Z"),
            (1_661_983_370_000_000_000, "2022-08-31T22:02:50.0000000Z"),
            (0, "1970-01-01T00:00:00.0000000Z"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(
                format(Timestamp::from_nanosecond(nanoseconds).expect("in range")),
                text
            );
        }
    }
}
