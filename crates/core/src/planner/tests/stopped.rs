//! Guests that do not run, and that can be used while their node is out.

use super::*;

#[test]
fn templates_and_stopped_guests_on_shared_storages_are_never_on_a_node_that_is_out() {
    let (stopped, template, local, locked) = (GuestId::vm(101), GuestId::vm(102), GuestId::vm(103), GuestId::vm(104));
    let snapshot = Fixture::cluster(3)
        .vm(101, "pve1", 200)
        .vm(102, "pve1", 4)
        .vm(103, "pve1", 4)
        .vm(104, "pve1", 4)
        .stopped(stopped)
        .stopped(template)
        .stopped(local)
        .stopped(locked)
        .guest(template, |guest| guest.template = true)
        .guest(locked, |guest| guest.lock = Known(Some(crate::snapshot::Lock("suspended".into()))))
        .facts(local, |facts| {
            facts.local_disks.push(crate::snapshot::LocalDisk {
                volid: "shared:vm-103-disk-0".into(),
                drive: "scsi0".into(),
                size_bytes: 1 << 30,
                usage: crate::snapshot::DiskUse::Attached,
                replicated: false,
            });
        })
        .snapshot();
    assert!(moves(&planned(&snapshot, &Policy::default())).is_empty());
    let usable = Policy { stopped_guests: StoppedGuests::Usable, ..Policy::default() };
    let plan = planned(&snapshot, &usable);
    crate::forecast::verify(&plan, &snapshot, &usable).unwrap();
    for guest in [stopped, template] {
        let ways = moves_of(&plan, guest);
        assert_eq!((ways.len(), ways[0].2), (2, MoveMode::Offline), "{guest}: {ways:?}");
        assert_eq!((&ways[0].0, &ways[0].1), (&ways[1].1, &ways[1].0), "and home again");
    }
    assert!(moves_of(&plan, local).is_empty() && moves_of(&plan, locked).is_empty());
    assert!(plan.consents.is_empty(), "{:?}", plan.consents);
    // Taken up where it is away, it still comes home.
    let away = |guest: &mut crate::snapshot::Guest| guest.node = "pve2".into();
    let homes = [(template, "pve1".into())].into();
    let rest = snapshot_of(&snapshot, |rest| away(rest.guests.get_mut(&template).unwrap()));
    let upgraded = Fixture::cluster(3).upgraded("pve1").upgraded("pve2").upgraded("pve3").snapshot();
    let rest = Snapshot { nodes: upgraded.nodes, ..rest };
    let plan = plan_from(&rest, &usable, &Ongoing { homes, current_node: Some("pve1".into()), ..ongoing() });
    assert_eq!(moves_of(&plan, template), [("pve2".to_owned(), "pve1".to_owned(), MoveMode::Offline)]);
}

fn snapshot_of(snapshot: &Snapshot, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    let mut changed = snapshot.clone();
    change(&mut changed);
    changed
}
