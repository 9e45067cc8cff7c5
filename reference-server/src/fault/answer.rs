//! What a device hears when a fault answers in the service's place.

use std::collections::BTreeMap;

use fleetstorm_protocol::service_error::ServiceError;
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use uuid::Uuid;

use crate::service::request::ServiceResponse;

/// One byte in so many is flipped, and one at least.
const SPARED: usize = 16;

/// The documented body of an error, with a rule's code.
pub(crate) fn refusal(code: u32, retry_after: Option<u32>, now: Timestamp) -> ServiceResponse {
    let error = ServiceError {
        error_code: code,
        tracking_id: Uuid::new_v4().to_string(),
        message: "A fault rule of the server refused this".into(),
        info: BTreeMap::new(),
        timestamp_utc: timestamp::format(now),
    };
    ServiceResponse {
        status: error.http_status(),
        retry_after,
        body: serde_json::to_vec(&error).expect("text and numbers are JSON"),
        detail: None,
    }
}

/// Flips bytes; the same for the same number. The length stays.
pub(crate) fn corrupt(body: &mut [u8], draw: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(draw);
    for part in body.chunks_mut(SPARED) {
        let at = rng.random_range(0..part.len());
        part[at] ^= rng.random_range(1..=u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corrupt_body_is_as_long_and_another_by_its_number_alone() {
        let sound = [7; 100];
        let corrupted = |draw| {
            let mut body = sound;
            corrupt(&mut body, draw);
            body
        };
        let flipped = corrupted(1).iter().filter(|byte| **byte != 7).count();
        assert_eq!(flipped, 7);
        assert_eq!(corrupted(1), corrupted(1));
        assert_ne!(corrupted(1), corrupted(2));
        corrupt(&mut [], 1);
    }
}
