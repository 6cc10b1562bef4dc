//! Every state that a small cluster can come to, with faults at every moment: do the rules alone keep harm away?
//!
//! The tool is assumed at its worst: at each moment it may begin *any* step whose status is ready and that the guard
//! allows, in any order, whatever a planner would choose. Faults happen at any moment, up to a limit. A step of ours
//! does harm if it leads to something bad that was not there before it. With all rules there is no such state; with a
//! rule switched off there is, and the shortest path to it shows what the rule is for.
//!
//! `docs/safety/explorer.md` shows these stories; a test compares. The search is bounded: three to five nodes,
//! two or three guests, at most two faults. There is no time here, so slowness and deadlines are left to the fuzz runs.

mod harm;
mod model;
mod search;
mod tests;
