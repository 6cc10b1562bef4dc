//! The world's machines against the measured timelines, and harm that must show in the impact report.

mod ceph;
mod consistency;
mod corosync;
mod faults;
mod ha;
mod ha_disarm;
mod ha_groups;
mod ha_timelines;
mod harm;
mod jobs;
mod moves;
mod nodes;
mod other_hands;
mod peers;
mod policies;
mod replication;
mod rolling;
mod scale;
mod supplies;

use quorate_core::ids::{GuestId, NodeName, UnitName, Upid};

use super::World;
use super::migration::MigrateRequest;
use super::node::UnitState;
use crate::cluster_file::{DEMO, world_from_toml};
use crate::impact::{Impact, ImpactReport};

const ME: &str = "root@pam!quorate";

fn demo() -> World {
    world_from_toml(DEMO, 7).expect("the demo cluster builds")
}

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn run_s(world: &mut World, seconds: u64) {
    let to = world.now_ms + seconds * 1000;
    world.advance_to(to);
}

/// Advances until this holds and returns the seconds it took. Panics after the limit.
fn until(world: &mut World, limit_s: u64, what: &str, holds: impl Fn(&World) -> bool) -> u64 {
    let from = world.now_ms;
    while !holds(world) {
        let waited_s = (world.now_ms - from) / 1000;
        assert!(waited_s < limit_s, "{what}: not within {limit_s} s\n{}", story(world));
        run_s(world, 1);
    }
    (world.now_ms - from) / 1000
}

/// What happened, for a failed test.
fn story(world: &World) -> String {
    let mut lines = report(world).events;
    lines.extend(world.ha.syslog.iter().rev().take(30).map(|(at, text)| format!("{at} {text}")));
    lines.join("\n")
}

fn report(world: &World) -> ImpactReport {
    Impact::report(world, 0, 0.0)
}

fn to(target: &str) -> MigrateRequest {
    MigrateRequest {
        target: target.to_owned(),
        online: true,
        restart: true,
        with_local_disks: false,
        with_conntrack_state: false,
        storages: None,
        user: ME.to_owned(),
    }
}

fn exit(world: &World, upid: &Upid) -> Option<String> {
    world.tasks.all.get(upid)?.end.as_ref().map(|end| end.exitstatus.clone())
}

fn task_ends(world: &mut World, upid: &Upid) -> String {
    until(world, 3_600, upid.as_str(), |w| exit(w, upid).is_some());
    exit(world, upid).unwrap_or_default()
}

fn log(world: &World, upid: &Upid) -> String {
    world.tasks.all.get(upid).map(|task| task.log.join("\n")).unwrap_or_default()
}

fn where_is(world: &World, id: GuestId) -> String {
    world.guests[&id].node.to_string()
}

/// Runs apt update and dist-upgrade on a node and returns the exit status.
fn upgrade(world: &mut World, name: &str) -> i32 {
    let upid = world.apt_update(&node(name), ME).expect("apt update starts");
    assert_eq!(task_ends(world, &upid), "OK");
    let unit = UnitName::new("quorate-upgrade-t");
    let argv = ["apt-get", "-y", "dist-upgrade"].map(str::to_owned);
    let path = Some("/var/log/quorate-upgrade-t.log".to_owned());
    world.systemd_run(&node(name), unit.clone(), path, &argv).expect("the unit starts");
    let ended = |w: &World| w.nodes[&node(name)].units[&unit].state != UnitState::Running;
    until(world, 1_000, "dist-upgrade", ended);
    match world.nodes[&node(name)].units[&unit].state {
        UnitState::Exited(status) => status,
        UnitState::Running => unreachable!("ended"),
    }
}

/// Is every placement group clean?
fn clean(world: &World) -> bool {
    let states = world.ceph.as_ref().map(|ceph| ceph.pg_states(world.now_ms)).unwrap_or_default();
    states.len() == 1 && states.contains_key("active+clean")
}

fn back(world: &World, name: &str) -> bool {
    let machine = &world.nodes[&node(name)];
    machine.api_answers(world.now_ms) && world.corosync.views.values().all(|view| view.members.len() == 3)
}
