//! HA's shutdown policies, access rights, Ceph daemons by service.

use super::*;
use crate::access::TOKEN;
use crate::ha::{NodeStatus, RequestState, Resource};
use crate::node::AfterDown;
use crate::services::ServiceAction;
use crate::store::ShutdownPolicy;

#[test]
fn with_policy_migrate_a_reboot_drains_first_and_everything_comes_back() {
    let mut world = demo();
    world.options.shutdown_policy = ShutdownPolicy::Migrate;
    run_s(&mut world, 30);
    for id in world.nodes[&node("pve1")].processes.clone() {
        if !world.ha_managed(id) {
            world.impact.consent(id, 600);
        }
    }
    world.impact.consent(GuestId::ct(201), 120);
    world.node_power(&node("pve1"), AfterDown::Reboot).unwrap();
    until(&mut world, 200, "drained", |w| where_is(w, GuestId::vm(101)) == "pve3");
    until(&mut world, 500, "back", |w| w.nodes[&node("pve1")].boots == 2 && back(w, "pve1"));
    until(&mut world, 200, "home", |w| where_is(w, GuestId::vm(101)) == "pve1" && w.guests[&GuestId::vm(101)].serves());
    assert_eq!(world.ha.manager.node_status[&node("pve1")], NodeStatus::Online);
    run_s(&mut world, 120);
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn a_power_off_with_the_default_policy_recovers_the_services_elsewhere_without_a_reset() {
    let mut world = demo();
    run_s(&mut world, 30);
    world.node_power(&node("pve1"), AfterDown::Off).unwrap();
    until(&mut world, 300, "recovered", |w| {
        w.guests[&GuestId::vm(101)].serves() && where_is(w, GuestId::vm(101)) != "pve1"
    });
    assert_eq!(report(&world).fences, 0);
    assert!(!report(&world).clean);
}

#[test]
fn a_managed_guest_is_stopped_through_its_requested_state_and_an_ignored_one_directly() {
    let mut world = demo();
    run_s(&mut world, 30);
    let id = GuestId::vm(106);
    let upid = world.guest_shutdown(&node("pve3"), id, 60, false, ME).unwrap();
    assert!(upid.as_str().contains(":hastop:106:"));
    until(&mut world, 90, "stopped", |w| !w.guests[&id].is_running());
    run_s(&mut world, 120);
    assert!(!world.guests[&id].is_running(), "HA keeps it stopped");
    assert_eq!(world.ha.resources[&id].state, RequestState::Stopped);
    world.guest_start(&node("pve3"), id, ME).unwrap();
    until(&mut world, 90, "started", |w| w.guests[&id].serves());
    let change = crate::ha::ResourceChange { state: Some(RequestState::Ignored), ..Default::default() };
    world.ha_change(&node("pve1"), id, change).unwrap();
    run_s(&mut world, 15);
    let upid = world.guest_stop(&node("pve3"), id, ME).unwrap();
    assert!(upid.as_str().contains(":qmstop:106:"));
}

#[test]
fn resources_are_added_and_removed() {
    let mut world = demo();
    run_s(&mut world, 30);
    let id = GuestId::vm(110);
    let resource =
        || Resource { state: RequestState::Started, max_restart: 1, max_relocate: 1, failback: true, comment: None };
    world.ha_add(&node("pve1"), id, resource()).unwrap();
    let again = world.ha_add(&node("pve1"), id, resource()).unwrap_err().to_string();
    assert_eq!(again, "resource ID 'vm:110' already defined");
    until(&mut world, 30, "adopted", |w| w.ha.manager.services.contains_key(&id));
    assert!(world.guests[&id].serves());
    world.ha_remove(&node("pve1"), id).unwrap();
    until(&mut world, 30, "dropped", |w| !w.ha.manager.services.contains_key(&id));
    assert!(world.ha_remove(&node("pve1"), id).is_err());
}

#[test]
fn stopping_the_lrm_service_freezes_its_services_and_guests_keep_running() {
    let mut world = demo();
    run_s(&mut world, 30);
    world.service(&node("pve2"), "pve-ha-lrm", ServiceAction::Stop, ME).unwrap();
    run_s(&mut world, 300);
    assert!(world.guests[&GuestId::vm(102)].serves());
    assert_eq!(world.ha.manager.services[&GuestId::vm(102)].state.as_str(), "freeze");
    world.service(&node("pve2"), "pve-ha-lrm", ServiceAction::Start, ME).unwrap();
    until(&mut world, 60, "started", |w| w.ha.manager.services[&GuestId::vm(102)].state.as_str() == "started");
    assert!(world.service(&node("pve2"), "pveproxy", ServiceAction::Stop, ME).is_err());
    assert!(report(&world).clean);
}

#[test]
fn a_restarted_ceph_daemon_runs_what_is_installed() {
    let mut world = demo();
    assert_eq!(upgrade(&mut world, "pve1"), 0);
    let upid = world.ceph_service(&node("pve1"), "osd", ServiceAction::Restart, ME).unwrap();
    assert_eq!(task_ends(&mut world, &upid), "OK");
    until(&mut world, 120, "clean", clean);
    let ceph = world.ceph.as_ref().unwrap();
    let version = |id: u32| ceph.osds[&quorate_core::ids::OsdId(id)].version.as_str().to_owned();
    assert_eq!([version(0), version(1), version(2)], ["19.2.3-pve2", "19.2.3-pve2", "19.2.2-pve1"]);
    assert_eq!(ceph.mons["pve1"].version.as_str(), "19.2.2-pve1");
    assert!(report(&world).clean, "{}", story(&world));
}

#[test]
fn rights_come_from_roles_and_a_separated_token_has_no_more_than_its_owner() {
    let text = "[[token]]\nname = \"auditor@pve!look\"\nsecret = \"s\"\nrole = \"PVEAuditor\"\n";
    let mut world = world_from_toml(&format!("{DEMO}\n{text}"), 7).unwrap();
    let access = &mut world.access;
    assert!(access.allows(TOKEN, "/vms/101", "VM.Migrate"));
    assert!(access.allows("auditor@pve!look", "/vms/101", "VM.Audit"));
    assert!(!access.allows("auditor@pve!look", "/vms/101", "VM.Migrate"));
    for entry in access.acl.iter_mut().filter(|entry| entry.who == "auditor@pve") {
        entry.role = "NoAccess".to_owned();
    }
    assert!(!access.allows("auditor@pve!look", "/vms/101", "VM.Audit"), "the owner has nothing");
    for entry in access.acl.iter_mut().filter(|entry| entry.who == "auditor@pve") {
        entry.role = "Administrator".to_owned();
        entry.path = "/vms".to_owned();
        entry.propagate = false;
    }
    assert!(!access.allows("auditor@pve!look", "/vms/101", "VM.Audit"), "not propagated");
}
