//! The tests of the readers and of the live transports, in one binary.

mod fuzzed;
mod hostile_api;
mod live_api;
mod live_shell;
mod look_deadline;
mod recorded;
mod shell_readings;
mod wire;
