//! The tests of the core from outside, in one binary.

mod deadlines;
mod decide;
mod hostile;
mod view;
