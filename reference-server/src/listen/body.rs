//! The body of an HTTP request: whole, in bounded space and time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

/// Of a body that is too long, so many times its limit are read all the same.
const DISCARDED: usize = 10;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Longer than its limit.
    TooLong,
    /// It did not come in its time.
    TooSlow,
    /// It broke off.
    CutShort,
}

/// Reads a body of `most` bytes within `limit`.
///
/// # Errors
/// See [`BodyError`].
pub(super) async fn read(
    mut body: Incoming,
    most: usize,
    limit: Duration,
) -> Result<Bytes, BodyError> {
    let reading = Limited::new(&mut body, most).collect();
    match tokio::time::timeout(limit, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            // Whether all of it could be read changes nothing.
            let _ = tokio::time::timeout(limit, discard(&mut body, most)).await;
            Err(BodyError::TooLong)
        }
        Ok(Err(_)) => Err(BodyError::CutShort),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Reads some of what is too much: who is hung up on while it sends does not hear why.
async fn discard(body: &mut Incoming, most: usize) {
    let mut left = most * DISCARDED;
    while left > 0
        && let Some(Ok(frame)) = body.frame().await
    {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
    }
}
