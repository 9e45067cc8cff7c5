//! From a device task to the aggregator: a bounded queue that counts its backlog.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::record::Record;

/// One core's end of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: SyncSender<Record>,
}

/// Makes the queue. At `capacity` records waiting, recording blocks: the
/// aggregator folds a thousand times faster than devices end, so that a full queue
/// means that the machine is lost anyway.
pub fn recorder(capacity: usize) -> (Recorder, Receiver<Record>) {
    let (queue, records) = sync_channel(capacity);
    (Recorder { queue }, records)
}

impl Recorder {
    /// Hands a record over if there is room for it now; says whether there was.
    pub fn offer(&self, record: Record) -> bool {
        !matches!(self.queue.try_send(record), Err(TrySendError::Full(_)))
    }

    /// Hands a record over. A record after the aggregator has gone is dropped.
    pub fn record(&self, record: Record) {
        let _ = self.queue.send(record);
    }
}
