//! Sessions: the built programs as an operator uses them, against nothing, against a file, against a lab.

#![allow(clippy::disallowed_methods, reason = "files, processes and waiting are what a session is made of")]

mod a_run;
mod bad_input;
mod drain;
mod first_contact;
mod from_file;
mod hostile;
mod kills;
mod lab;
mod preflight;
mod recover;
mod secrets;
mod session;
mod terminal;
