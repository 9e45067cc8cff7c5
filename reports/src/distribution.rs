//! A latency's whole distribution, in the form that every HdrHistogram reads.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::{LONGEST_US, LatencyHistogram};

/// What the counts of one distribution may take, bytes: several times what they do.
const MOST_BYTES: u64 = 1 << 20;
/// What stands before the counts in both of HdrHistogram's forms.
const COMPRESSED_HEAD: usize = 8;
const HEAD: usize = 40;
const COMPRESSED_COOKIE: u32 = 0x1c84_9314;

/// Latencies in microseconds, counted: HdrHistogram's V2 encoding, compressed, in base64, as
/// [its implementations](https://hdrhistogram.github.io/HdrHistogram/) read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Distribution(String);

/// What is no distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no histogram of latencies in HdrHistogram's V2 encoding")]
pub struct Undecodable;

impl Distribution {
    /// All that a histogram has counted, as precisely; none of one without samples.
    pub(crate) fn of(counted: &LatencyHistogram) -> Option<Self> {
        let digits = counted.digits();
        let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST_US, digits).ok()?;
        for (value, count) in counted.values() {
            histogram.record_n(value, count.into()).ok()?;
        }
        if histogram.is_empty() {
            return None;
        }
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        serializer.serialize(&histogram, &mut bytes).ok()?;
        Some(Self(BASE64.encode(bytes)))
    }

    /// As it is encoded.
    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The counts.
    ///
    /// # Errors
    /// It comes from a file that holds something else.
    pub fn decode(&self) -> Result<Histogram<u64>, Undecodable> {
        let encoded = BASE64.decode(&self.0).map_err(|_| Undecodable)?;
        let (head, compressed) = encoded
            .split_at_checked(COMPRESSED_HEAD)
            .filter(|(head, _)| head.starts_with(&COMPRESSED_COOKIE.to_be_bytes()))
            .ok_or(Undecodable)?;
        let length = u32::from_be_bytes(head[4..].try_into().map_err(|_| Undecodable)?);
        if length as usize != compressed.len() {
            return Err(Undecodable);
        }
        let mut plain = Vec::new();
        let mut inflated = ZlibDecoder::new(compressed).take(MOST_BYTES);
        inflated.read_to_end(&mut plain).map_err(|_| Undecodable)?;
        if !is_within_bounds(&plain) {
            return Err(Undecodable);
        }
        let mut deserializer = Deserializer::new();
        let histogram = deserializer.deserialize(&mut plain.as_slice());
        histogram.map_err(|_| Undecodable)
    }
}

/// Whether what is to be counted with has the size that ours have: the library makes room for whatever it says.
fn is_within_bounds(plain: &[u8]) -> bool {
    let Some((head, counts)) = plain.split_at_checked(HEAD) else {
        return false;
    };
    let word = |at: usize| head[at..at + 4].try_into().map(u32::from_be_bytes);
    let long = |at: usize| head[at..at + 8].try_into().map(u64::from_be_bytes);
    let size_fits = word(4).is_ok_and(|size| size as usize == counts.len());
    let digits_fit = word(12).is_ok_and(|digits| digits <= 3);
    let values_fit =
        long(16).is_ok_and(|least| least == 1) && long(24).is_ok_and(|most| most == LONGEST_US);
    // A count that takes all nine bytes of a number is none that a run comes to, and overflows the library's.
    let mut numbers = counts.windows(8);
    let counts_fit = !numbers.any(|bytes| bytes.iter().all(|byte| *byte >= 0x80));
    size_fits && digits_fit && values_fit && counts_fit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Precision;
    use proptest::prelude::*;

    fn distribution(precision: Precision, samples: &[u64]) -> Distribution {
        let mut counted = LatencyHistogram::new(precision);
        samples.iter().for_each(|us| counted.record(*us));
        Distribution::of(&counted).expect("samples")
    }

    #[test]
    fn without_samples_there_is_none() {
        assert_eq!(
            Distribution::of(&LatencyHistogram::new(Precision::Fine)),
            None
        );
    }

    #[test]
    fn what_another_implementation_has_written_is_read() {
        // hdrhistogram 0.10.8 of Python: 1, 10, 100 and 1,000 ms, and five times 42 µs.
        let text = include_str!("distribution/python.txt");
        let histogram = Distribution(text.trim().into())
            .decode()
            .expect("a histogram");
        assert_eq!(histogram.len(), 9);
        assert_eq!(histogram.count_at(42), 5);
        assert_eq!(histogram.count_at(100_000), 1);
        let max = histogram.max();
        assert!(histogram.equivalent(max, 1_000_000), "{max}");
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_another_implementation_counts(
            samples in proptest::collection::vec(0_u64..LONGEST_US, 1..300),
        ) {
            for (precision, digits) in [(Precision::Fine, 3), (Precision::Coarse, 2)] {
                let mut theirs = Histogram::<u64>::new_with_bounds(1, LONGEST_US, digits).expect("bounds");
                samples.iter().for_each(|us| theirs.record(*us).expect("within"));
                let ours = distribution(precision, &samples).decode().expect("a histogram");
                prop_assert_eq!(&ours, &theirs);
            }
        }

        #[test]
        fn bytes_of_whatever_kind_end_well(at in 0_usize..200, byte: u8, text in ".{0,200}") {
            let _ = Distribution(text).decode();
            let Distribution(whole) = distribution(Precision::Fine, &[3, 70, 1_000_000, 1_000_000]);
            let mut bytes = BASE64.decode(whole).expect("base64");
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Distribution(BASE64.encode(&bytes)).decode();
            // Damaged below the compression.
            let mut plain = Vec::new();
            ZlibDecoder::new(&bytes[COMPRESSED_HEAD..]).take(MOST_BYTES).read_to_end(&mut plain).ok();
            if let Some(damaged) = plain.get_mut(at) {
                *damaged = byte;
                if is_within_bounds(&plain) {
                    let _ = Deserializer::new().deserialize::<u64, _>(&mut plain.as_slice());
                }
            }
        }
    }
}
