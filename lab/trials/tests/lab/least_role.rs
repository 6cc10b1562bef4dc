//! The role of the README is enough for a whole run, and each of its privileges is missed by name.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use quorate_core::policy::Policy;
use quorate_core::run::RunOutcome;
use quorate_engine::{Ended, Lists, prepare};
use quorate_journal::{Journal, Mode};
use quorate_pve::observe::least_role;
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::SimulatedRun;
use quorate_wire::Credentials;
use quorate_world::access::{AclEntry, Token, User};

use crate::common::{JournalFile, block_on, demo, policy, tell};

const USER: &str = "quorate@pve";
const TOKEN: &str = "quorate@pve!run";

/// The demo cluster as a token sees it whose role has these privileges.
fn seen_with(role: &BTreeSet<&str>) -> SimPorts {
    let mut world = demo();
    let access = &mut world.access;
    access.roles.insert("Quorate".into(), role.iter().map(|privilege| (*privilege).to_owned()).collect());
    access.users.insert(USER.into(), User { password: "secret".into(), enabled: true });
    access.tokens.insert(TOKEN.into(), Token { user: USER.into(), secret: "secret".into(), privsep: false });
    access.acl.push(AclEntry { path: "/".into(), who: USER.into(), role: "Quorate".into(), propagate: true });
    SimPorts::with_credentials(Arc::new(Mutex::new(world)), Credentials::token(TOKEN, "secret"))
}

#[test]
fn a_whole_run_needs_no_more_than_the_least_role() {
    let sim = seen_with(&least_role());
    let file = JournalFile::new();
    let journal = Journal::open(&file.0, Mode::Drive).unwrap();
    let run = SimulatedRun { policy: policy(), ..SimulatedRun::default() };
    let outcome = block_on(run.begin(&sim, &journal)).unwrap();
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{:?}\n{}", outcome.refused, tell(&outcome));
    assert!(outcome.impact.clean, "{:?}", outcome.impact);
}

#[test]
fn each_privilege_that_is_taken_out_of_the_role_is_named_and_what_it_shows_is_unknown() {
    let whole = least_role();
    for privilege in &whole {
        let sim = seen_with(&whole.iter().copied().filter(|other| other != privilege).collect());
        let run = "least-role".into();
        let prepared = block_on(prepare(&sim.ports(), Vec::new(), &Policy::default(), &run, Lists::AsTheyAre));
        let named = |problem: &str| problem.starts_with("the token lacks ") && problem.ends_with(privilege);
        let found = prepared.findings.iter().any(|finding| named(&finding.problem));
        assert!(found, "{privilege}: {:?}", prepared.findings);
        let mut nodes = prepared.snapshot.nodes.values();
        match *privilege {
            "SDN.Audit" => assert!(nodes.all(|node| node.bridges.known().is_none())),
            "Datastore.Audit" => assert!(nodes.all(|node| node.storages.known().is_none())),
            "VM.Audit" => assert!(prepared.snapshot.sees_all_guests.is(&false)),
            _ => {}
        }
        let absent = prepared.findings.iter().find(|finding| finding.problem.contains("no node has"));
        assert_eq!(absent, None, "what cannot be seen is not absent");
    }
}
