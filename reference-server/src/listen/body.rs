//! The body of an HTTP request: whole, in bounded space and time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

/// Of a body that is too long, or that nobody wants, so much is read all the same: who is hung up on
/// while it sends does not hear why.
const DISCARDED: usize = 5 << 20;
/// As long as that may take.
const DISCARDING: Duration = Duration::from_secs(2);

/// A body that may still have to be read. Copies share it.
#[derive(Clone)]
pub(super) struct Body(Rc<RefCell<State>>);

enum State {
    Unread(Incoming),
    Read,
    /// What is left of it never comes, or is too much.
    Lost,
}

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

impl Body {
    /// Not read so far.
    pub(super) fn of(incoming: Incoming) -> Self {
        let state = if incoming.is_end_stream() {
            State::Read
        } else {
            State::Unread(incoming)
        };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Reads a body of `most` bytes within `limit`.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub(super) async fn read(&self, most: usize, limit: Duration) -> Result<Bytes, BodyError> {
        let State::Unread(mut incoming) = self.0.replace(State::Lost) else {
            self.0.replace(State::Read);
            return Ok(Bytes::new());
        };
        let reading = Limited::new(&mut incoming, most).collect();
        match tokio::time::timeout(limit, reading).await {
            Ok(Ok(body)) => {
                self.0.replace(State::Read);
                Ok(body.to_bytes())
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                self.0.replace(State::Unread(incoming));
                Err(BodyError::TooLong)
            }
            Ok(Err(_)) => Err(BodyError::CutShort),
            Err(_) => Err(BodyError::TooSlow),
        }
    }

    /// Reads what nobody has read. Whether another request can follow.
    pub(super) async fn finish(&self) -> bool {
        match self.0.replace(State::Lost) {
            State::Unread(mut incoming) => {
                let discarding = tokio::time::timeout(DISCARDING, discard(&mut incoming));
                discarding.await.unwrap_or(false)
            }
            State::Read => true,
            State::Lost => false,
        }
    }
}

/// Whether it ends before that is too much.
async fn discard(body: &mut Incoming) -> bool {
    let mut left = DISCARDED;
    while left > 0 {
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            }
        }
    }
    false
}
