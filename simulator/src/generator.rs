//! What the generator itself adds to what it measures.
//!
//! A device that is ready to go on waits until its core gets to it: behind other devices, while the
//! process is stopped, while a neighbour has the core. Neither the service nor the device has anything to do
//! with that time, yet it is part of every latency. So it is measured, device by device:
//!
//! ```text
//! event happens ──(the core looks late: event_loop)──▶ woken ──(others come first: delay)──▶ polled
//! ```
//!
//! A device's own work on its core (TLS, the TPM's arithmetic) is not counted: a real device has it, too.
//! [`health`] watches what concerns all of them: clocks, cores, the machine.

pub mod delay;
pub mod event_loop;
pub mod health;
pub mod pressure;
mod stamp;
