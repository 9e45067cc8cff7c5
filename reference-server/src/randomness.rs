//! Where keys come from.

/// Fills `bytes` from the system's source of randomness.
pub(crate) fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system has randomness");
}
