//! The tests of the core from outside, in one binary.

mod deadlines;
mod decide;
mod decide_between_nodes;
mod decide_goes_on;
mod decide_inputs;
mod decide_orders;
mod hostile;
mod outside_changes;
mod view;
