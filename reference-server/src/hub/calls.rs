//! Direct method calls that wait for their answer (IoT Hub documentation,
//! "Understand and invoke direct methods").

use bytes::Bytes;
use tokio::sync::oneshot;

use super::HubRefusal;

/// Most calls that may wait for one device.
const MAX_CALLS: usize = 16;
/// Longest name of a method, in bytes: it has to fit into a topic.
const MAX_NAME: usize = 1024;

/// What a device answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodAnswer {
    /// The device's own status, no matter what HTTP makes of it.
    pub status: i32,
    /// JSON, by the device's word.
    pub payload: Bytes,
}

/// Whether a method may have this name: it goes into an MQTT topic as it is, in front of `/?`.
///
/// # Errors
/// In words, the rule that it breaks.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let breaks = |c: char| c.is_control() || "+#/?".contains(c);
    if name.is_empty() || name.len() > MAX_NAME {
        let length = name.len();
        return Err(format!(
            "methodName: has {length} bytes, from 1 to {MAX_NAME} may be"
        ));
    }
    match name.chars().find(|c| breaks(*c)) {
        Some(c) => Err(format!("methodName: {c:?} is not allowed")),
        None => Ok(()),
    }
}

/// One device's.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<(u64, oneshot::Sender<MethodAnswer>)>);

impl Calls {
    /// Begins to wait for the answer to `call`.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) fn begin(
        &mut self,
        call: u64,
    ) -> Result<oneshot::Receiver<MethodAnswer>, HubRefusal> {
        self.0.retain(|(_, caller)| !caller.is_closed());
        if self.0.len() >= MAX_CALLS {
            return Err(HubRefusal::Throttled);
        }
        let (caller, answer) = oneshot::channel();
        self.0.push((call, caller));
        Ok(answer)
    }

    /// Passes an answer on. Returns whether somebody waited for it.
    pub(super) fn answer(&mut self, call: u64, answer: MethodAnswer) -> bool {
        let place = self.0.iter().position(|(waiting, _)| *waiting == call);
        place.is_some_and(|place| self.0.swap_remove(place).1.send(answer).is_ok())
    }

    /// Nobody will answer any more: the callers are told by the end of their channels.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, caller)| caller.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: i32) -> MethodAnswer {
        MethodAnswer {
            status,
            payload: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn an_answer_finds_its_caller_once() {
        let mut calls = Calls::default();
        let mut first = calls.begin(1).expect("room");
        let mut second = calls.begin(2).expect("room");
        assert!(calls.answer(2, answer(200)));
        assert!(!calls.answer(2, answer(500)), "twice");
        assert!(!calls.answer(3, answer(200)), "never called");
        assert_eq!(second.try_recv(), Ok(answer(200)));
        drop(calls);
        assert!(first.try_recv().is_err());
    }

    #[test]
    fn a_name_fits_into_a_topic() {
        for name in ["reboot", "thermostat1*getMaxMinReport", "re boot", "größe"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "a/b", "a?", "a+", "#", "a\0", &"x".repeat(MAX_NAME + 1)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn callers_are_bounded_and_those_who_left_make_room() {
        let mut calls = Calls::default();
        let waiting: Vec<_> = (0..MAX_CALLS as u64)
            .map(|call| calls.begin(call).expect("room"))
            .collect();
        assert_eq!(calls.begin(99).err(), Some(HubRefusal::Throttled));
        drop(waiting);
        assert!(calls.is_empty());
        assert!(calls.begin(99).is_ok());
    }
}
