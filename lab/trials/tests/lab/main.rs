//! The tests of whole runs, of the lab and of the shipped programs, in one binary: what they share is linked once.

#[path = "fixtures/accepted_differences.rs"]
mod accepted_differences;
mod before_each_node;
mod calls_of_other_clients;
mod ceph_layouts;
mod common;
mod crash;
mod disks;
mod drain;
mod every_check;
mod export_again;
#[path = "fixtures/export_differences.rs"]
mod export_differences;
mod fence;
mod forced_command;
mod fuzz;
mod guards;
mod half_upgraded;
mod hibernate;
mod interlocks;
mod lab_for_other_clients;
mod lab_from_snapshot;
mod lab_serves_over_https_and_ssh;
mod least_role;
mod moves_that_pve_promises;
mod one_driver;
mod overlap;
mod policies;
mod ports_over_the_world;
mod rebalance;
mod remedies;
mod return_of_a_node;
mod scenarios;
mod seen;
mod sessions;
mod simulated_run;
mod stopped_guests;
mod storage_map;
mod time;
mod wire_answers_as_recorded;
mod wire_contract;
mod wire_outputs_as_recorded;
mod wire_shell;
