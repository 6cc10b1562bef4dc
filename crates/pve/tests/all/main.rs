//! The tests of the readers and of the live transports, in one binary.

mod fuzzed;
mod live_api;
mod live_shell;
mod recorded;
mod shell_readings;
mod wire;
