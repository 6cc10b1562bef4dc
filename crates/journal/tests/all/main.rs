//! The tests of the journal over real files, in one binary.

mod files;
mod journal;
mod power_loss;
mod progress;
