//! The real binary, end to end, over real connections.

mod binary;
mod counters;
mod cut_off;
mod doubles;
mod durable;
mod events;
mod failures;
mod foretold;
mod kills;
mod life;
mod lines;
mod listeners;
mod moves;
mod oracle;
mod registry;
mod resets;
mod restarts;
mod retries;
mod rogue;
mod runs;
mod sales;
mod same_seed;
mod service;
mod signals;
mod tenants;
mod thresholds;
