//! A run as people see it: on the screen while it goes on, and in the folder that stays.

pub mod comparison;
pub mod conclusion;
mod lines;
pub mod outputs;
pub mod report_folder;
mod tui;
pub mod viewer;
