//! Every state that a small cluster can come to, with faults at every moment: do the rules alone keep harm away?
//!
//! The tool is taken at its worst: at each moment it may begin *any* step whose status is ready and that the guard lets
//! pass, in any order, whatever a planner would think of it. Faults strike at any moment, up to a bound. A step of ours
//! does harm if it leads to something bad that was not there before it. With all rules there is no such state; with a
//! rule taken out there is, and the shortest way to it is the story of what the rule is for.
//!
//! `docs/safety/explorer.md` shows these stories; a test compares. What is looked at is bounded: three to five nodes,
//! two or three guests, at most two faults. Time does not exist here, so slowness and deadlines are the swarm's.

mod harm;
mod model;
mod search;
mod tests;
