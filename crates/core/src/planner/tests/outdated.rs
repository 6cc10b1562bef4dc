//! Nodes that have something to do although nothing is offered, and what their reboot brings with it.

use super::{planned, refused, step_ids};
use crate::fixture::Fixture;
use crate::ids::GuestId;
use crate::observed::Observed::Known;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// Nothing is offered: what was installed by hand and does not run yet is reason enough for a node step.
#[test]
fn a_node_that_runs_something_older_than_it_has_installed_has_a_turn_with_a_reboot() {
    let reboots = |change: &dyn Fn(&mut Snapshot)| {
        let fixture = Fixture::cluster(3).ceph().upgraded("pve1").upgraded("pve2").upgraded("pve3");
        let snapshot = fixture.vm(101, "pve1", 4).change(change).snapshot();
        let plan = planned(&snapshot, &Policy::default());
        let ids = step_ids(&plan);
        assert!(!ids.iter().any(|id| id.starts_with("pve3.")), "nothing waits there");
        ids.contains(&"pve1.reboot") && ids.iter().any(|id| id.starts_with("pve1.migrate"))
    };
    let node = |snapshot: &mut Snapshot, change: fn(&mut crate::snapshot::Node)| {
        change(snapshot.nodes.get_mut(&"pve1".into()).unwrap());
    };
    assert!(!reboots(&|_| ()));
    assert!(reboots(&|snapshot| {
        snapshot.ceph.known_mut().unwrap().as_mut().unwrap().installed.insert("pve1".into(), "19.2.4".into());
    }));
    assert!(reboots(&|snapshot| node(snapshot, |node| node.running_manager = Known("9.1.1".into()))));
    assert!(reboots(&|snapshot| node(snapshot, |node| node.reboot_required = Known(Some(Vec::new())))));
}

/// PVE starts it when its node has booted: the plan says so, and keeps its memory free.
#[test]
fn a_stopped_guest_that_starts_with_its_node_is_named_and_its_room_is_kept() {
    let old = GuestId::vm(150);
    let with = |onboot: bool, gib: u64| {
        let fixture =
            Fixture::cluster(3).vm(150, "pve2", gib).stopped(old).guest(old, |guest| guest.onboot = Known(onboot));
        fixture.vm(101, "pve1", 40).vm(102, "pve3", 40)
    };
    let plan = planned(&with(true, 4).snapshot(), &Policy::default());
    assert_eq!(plan.costs.starts.get(&old).map(|node| node.as_str()), Some("pve2"));
    assert!(planned(&with(false, 4).snapshot(), &Policy::default()).costs.starts.is_empty());
    let managed = with(true, 4).managed(old).ha(|ha| {
        let service = ha.services.get_mut(&old).unwrap();
        (service.request, service.state) =
            (crate::snapshot::HaRequest::Stopped, Some(crate::snapshot::HaServiceState::Stopped));
    });
    assert!(planned(&managed.snapshot(), &Policy::default()).costs.starts.is_empty(), "HA decides about it");
    // Only pve2 has room for the guest of another node, and not beside one that has started there.
    planned(&with(false, 40).snapshot(), &Policy::default());
    refused(&with(true, 40).snapshot(), &Policy::default());
}

#[test]
fn new_microcode_is_a_reason_to_reboot() {
    let comes = |name: &str| {
        let package = crate::snapshot::PendingPackage {
            name: name.to_owned(),
            from: Some("1".into()),
            to: "2".into(),
            origin: "Debian:stable".to_owned(),
        };
        let pending =
            move |node: &mut crate::snapshot::Node| node.packages.known_mut().unwrap().pending = vec![package];
        let snapshot = Fixture::cluster(3).upgraded("pve1").node("pve1", pending).snapshot();
        step_ids(&planned(&snapshot, &Policy::default())).contains(&"pve1.reboot")
    };
    assert!(comes("intel-microcode") && comes("amd64-microcode") && !comes("tar"));
}
