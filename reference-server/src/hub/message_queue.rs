//! Cloud-to-device messages that wait for one device (IoT Hub documentation,
//! "Send cloud-to-device messages": life cycle, limits).

use std::collections::VecDeque;
use std::sync::Arc;

use fleetstorm_protocol::hub::Message;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::HubRefusal;

/// Most that may wait for one device.
const MAX_WAITING: usize = 50;
/// A message is given up after so many deliveries that nobody completed.
const MAX_DELIVERIES: u32 = 10;
/// How long a message without an expiry waits.
const TIME_TO_LIVE: SignedDuration = SignedDuration::from_hours(1);
/// How long a lock holds that no session keeps.
const LOCK: SignedDuration = SignedDuration::from_mins(1);

/// In the order in which they came.
#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    waiting: VecDeque<Waiting>,
    last_sequence: u64,
    /// Those that ended, whose senders asked to hear of that.
    ended: Vec<Ended>,
    /// The latest time that it was told.
    now: Timestamp,
}

/// A message that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) message_id: String,
    pub(super) at: Timestamp,
    pub(super) ending: Ending,
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its device completed it.
    Success,
    /// Its device rejected it.
    Rejected,
    /// It waited for too long.
    Expired,
    /// It was delivered too often, and never completed.
    DeliveryCountExceeded,
    /// The service took it back.
    Purged,
}

impl Ending {
    /// As feedback names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Rejected => "Rejected",
            Self::Expired => "Expired",
            Self::DeliveryCountExceeded => "DeliveryCountExceeded",
            Self::Purged => "Purged",
        }
    }

    /// Whether a sender asked to hear of it.
    fn is_asked_for(self, message: &Message) -> bool {
        let asked = message.system.acknowledgement.as_deref();
        let is = |word: &str| asked.is_some_and(|asked| asked.eq_ignore_ascii_case(word));
        is("full")
            || is(if self == Self::Success {
                "positive"
            } else {
                "negative"
            })
    }
}

#[derive(Debug)]
struct Waiting {
    message: Arc<Message>,
    sequence: u64,
    enqueued: Timestamp,
    expires: Timestamp,
    deliveries: u32,
    lock: Option<Lock>,
}

#[derive(Debug)]
struct Lock {
    token: Uuid,
    holder: Holder,
}

/// Who holds a lock, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A session, to its end.
    Session(u64),
    /// Somebody who may not come back: until then.
    Until(Timestamp),
}

/// A message in a device's hands, until it is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names this delivery; settles it.
    pub lock: Uuid,
    /// The message.
    pub message: Arc<Message>,
    /// Its place among all that the device was ever sent, from 1.
    pub sequence: u64,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// Times that it was delivered before.
    pub deliveries: u32,
}

/// What becomes of a delivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done: it is gone.
    Complete,
    /// It can't be used: it is gone.
    Reject,
    /// Not now: it waits again.
    Abandon,
}

impl MessageQueue {
    /// Puts a message at the end.
    ///
    /// # Errors
    /// Fifty wait already.
    pub(super) fn push(&mut self, message: Message, now: Timestamp) -> Result<u64, HubRefusal> {
        self.drop_expired(now);
        if self.waiting.len() >= MAX_WAITING {
            return Err(HubRefusal::QueueFull);
        }
        let expiry = message.system.expiry.as_deref();
        let expires = expiry
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| now.saturating_add(TIME_TO_LIVE).unwrap_or(Timestamp::MAX));
        self.last_sequence += 1;
        self.waiting.push_back(Waiting {
            message: Arc::new(message),
            sequence: self.last_sequence,
            enqueued: now,
            expires,
            deliveries: 0,
            lock: None,
        });
        Ok(self.last_sequence)
    }

    /// Hands out the first message that nobody holds, and locks it: to the end of a session,
    /// or for a minute.
    pub(super) fn take(&mut self, session: Option<u64>, now: Timestamp) -> Option<Delivery> {
        self.drop_expired(now);
        let next = self
            .waiting
            .iter_mut()
            .find(|waiting| waiting.lock.is_none())?;
        let holder = session.map_or_else(
            || Holder::Until(now.saturating_add(LOCK).unwrap_or(Timestamp::MAX)),
            Holder::Session,
        );
        let token = Uuid::new_v4();
        next.lock = Some(Lock { token, holder });
        next.deliveries += 1;
        Some(Delivery {
            lock: token,
            message: Arc::clone(&next.message),
            sequence: next.sequence,
            enqueued: next.enqueued,
            deliveries: next.deliveries - 1,
        })
    }

    /// Settles a delivery. Returns whether a message waits again.
    ///
    /// # Errors
    /// The lock is no longer held.
    pub(super) fn settle(
        &mut self,
        token: Uuid,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<bool, HubRefusal> {
        self.drop_expired(now);
        let held = |waiting: &Waiting| {
            waiting
                .lock
                .as_ref()
                .is_some_and(|lock| lock.token == token)
        };
        let place = self.waiting.iter().position(held);
        let place = place.ok_or(HubRefusal::LockLost)?;
        let again =
            settlement == Settlement::Abandon && self.waiting[place].deliveries < MAX_DELIVERIES;
        if again {
            self.waiting[place].lock = None;
        } else if let Some(gone) = self.waiting.remove(place) {
            self.end(
                &gone.message,
                match settlement {
                    Settlement::Complete => Ending::Success,
                    Settlement::Reject => Ending::Rejected,
                    Settlement::Abandon => Ending::DeliveryCountExceeded,
                },
            );
        }
        Ok(again)
    }

    /// A session is over: what it held waits again.
    pub(super) fn release(&mut self, session: u64) {
        self.unlock(|holder| holder == Holder::Session(session));
    }

    /// Whether a message waits that nobody holds.
    pub(super) fn has_ready(&mut self, now: Timestamp) -> bool {
        self.drop_expired(now);
        self.waiting.iter().any(|waiting| waiting.lock.is_none())
    }

    /// Messages that are not settled.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets all of them; returns how many there were.
    pub(super) fn purge(&mut self) -> usize {
        let purged = std::mem::take(&mut self.waiting);
        for gone in &purged {
            self.end(&gone.message, Ending::Purged);
        }
        purged.len()
    }

    /// Takes out what there is to tell of messages that ended.
    pub(super) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    fn end(&mut self, message: &Message, ending: Ending) {
        if ending.is_asked_for(message) {
            self.ended.push(Ended {
                message_id: message.system.message_id.clone().unwrap_or_default(),
                at: self.now,
                ending,
            });
        }
    }

    fn end_unless(&mut self, goes_on: impl Fn(&Waiting) -> bool, ending: Ending) {
        let (waiting, gone) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| waiting.lock.is_some() || goes_on(waiting));
        self.waiting = waiting;
        for gone in VecDeque::<Waiting>::into_iter(gone) {
            self.end(&gone.message, ending);
        }
    }

    fn drop_expired(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.unlock(|holder| matches!(holder, Holder::Until(end) if end <= now));
        if self.waiting.iter().any(|waiting| waiting.expires <= now) {
            self.end_unless(|waiting| waiting.expires > now, Ending::Expired);
        }
    }

    fn unlock(&mut self, ended: impl Fn(Holder) -> bool) {
        for waiting in &mut self.waiting {
            if waiting.lock.as_ref().is_some_and(|lock| ended(lock.holder)) {
                waiting.lock = None;
            }
        }
        let is_over = |waiting: &Waiting| waiting.deliveries >= MAX_DELIVERIES;
        if self.waiting.iter().any(is_over) {
            let ending = Ending::DeliveryCountExceeded;
            self.end_unless(|waiting| !is_over(waiting), ending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn queue(messages: usize) -> MessageQueue {
        let mut queue = MessageQueue::default();
        for _ in 0..messages {
            queue
                .push(Message::default(), at(0))
                .expect("there is room");
        }
        queue
    }

    #[test]
    fn messages_leave_in_order_and_once() {
        let mut queue = queue(2);
        let first = queue.take(Some(1), at(1)).expect("one waits");
        let second = queue.take(None, at(1)).expect("another waits");
        assert_eq!((first.sequence, second.sequence), (1, 2));
        assert_eq!(queue.take(Some(1), at(1)), None);
        assert_eq!(
            queue.settle(first.lock, Settlement::Complete, at(2)),
            Ok(false)
        );
        assert_eq!(
            queue.settle(second.lock, Settlement::Reject, at(2)),
            Ok(false)
        );
        assert_eq!(
            queue.settle(first.lock, Settlement::Complete, at(2)),
            Err(HubRefusal::LockLost)
        );
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn an_abandoned_message_waits_again_ten_times_in_all() {
        let mut queue = queue(1);
        for delivery in 0..MAX_DELIVERIES {
            let taken = queue.take(Some(1), at(1)).expect("it waits");
            assert_eq!(taken.deliveries, delivery);
            let again = queue.settle(taken.lock, Settlement::Abandon, at(1));
            assert_eq!(again, Ok(delivery + 1 < MAX_DELIVERIES));
        }
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn a_lock_ends_with_its_session_or_its_minute() {
        let mut queue = queue(2);
        let held = queue.take(Some(1), at(0)).expect("one waits");
        let visiting = queue.take(None, at(0)).expect("another waits");
        assert!(!queue.has_ready(at(59)));
        assert!(queue.has_ready(at(60)));
        assert_eq!(
            queue.settle(visiting.lock, Settlement::Complete, at(60)),
            Err(HubRefusal::LockLost)
        );
        queue.release(2);
        assert_eq!(
            queue.take(Some(3), at(61)).map(|taken| taken.sequence),
            Some(2)
        );
        queue.release(1);
        assert_eq!(
            queue.settle(held.lock, Settlement::Complete, at(61)),
            Err(HubRefusal::LockLost)
        );
        assert_eq!(
            queue.take(Some(3), at(61)).map(|taken| taken.sequence),
            Some(1)
        );
    }

    #[test]
    fn messages_expire_and_the_queue_is_bounded() {
        let mut queue = queue(MAX_WAITING);
        assert_eq!(
            queue.push(Message::default(), at(0)),
            Err(HubRefusal::QueueFull)
        );
        assert!(queue.has_ready(at(3599)));
        let mut soon = Message::default();
        soon.system.expiry = Some("1970-01-01T02:00:00Z".into());
        assert_eq!(
            queue.push(soon, at(3600)),
            Ok(51),
            "the others have expired"
        );
        assert!(queue.has_ready(at(7199)));
        assert!(!queue.has_ready(at(7200)));
        assert_eq!(queue.purge(), 0);
    }

    #[test]
    fn senders_hear_of_the_ends_that_they_asked_for() {
        let ends = |asked: &str| {
            let mut queue = MessageQueue::default();
            let mut push = |expiry: Option<&str>| {
                let mut message = Message::default();
                message.system.acknowledgement = Some(asked.into());
                message.system.message_id = Some("m".into());
                message.system.expiry = expiry.map(str::to_owned);
                queue.push(message, at(0)).expect("there is room");
            };
            push(Some("1970-01-01T00:00:05Z"));
            (0..4).for_each(|_| push(None));
            assert!(queue.has_ready(at(10)));
            for settlement in [Settlement::Complete, Settlement::Reject] {
                let taken = queue.take(Some(1), at(11)).expect("it waits");
                assert!(queue.settle(taken.lock, settlement, at(12)).is_ok());
            }
            for _ in 0..MAX_DELIVERIES {
                queue.take(Some(1), at(13)).expect("it waits");
                queue.release(1);
            }
            queue.purge();
            let ended = queue.take_ended().into_iter();
            let ended: Vec<_> = ended.map(|ended| ended.ending).collect();
            assert!(queue.take_ended().is_empty(), "once");
            ended
        };
        use Ending::{DeliveryCountExceeded, Expired, Purged, Rejected, Success};
        let negative = [Expired, Rejected, DeliveryCountExceeded, Purged];
        assert_eq!(ends("positive"), [Success]);
        assert_eq!(ends("negative"), negative);
        assert_eq!(
            ends("Full"),
            [&[Expired, Success][..], &negative[1..]].concat()
        );
        assert_eq!(ends("none"), []);
    }
}
