//! The way of a device's question from any listener to its instance, and what is counted there.

use std::time::Instant;

use jiff::Timestamp;

use super::Host;
use crate::service::{Answer, Question};

impl Host {
    /// Answers a device, and counts how long that took.
    pub(super) fn ask(&self, question: &Question<'_>) -> Answer {
        let began = Instant::now();
        let answer = self.instances.answer(question, Timestamp::now());
        let (protocol, took) = (question.origin.protocol, began.elapsed());
        self.tally
            .requests
            .add(&question.operation, protocol, took);
        answer
    }
}
