//! Devices that are not served at once: each does as its retry profile says.
