//! Votes, links and members from a snapshot.

use std::collections::BTreeSet;

use quorate_core::ids::NodeName;
use quorate_core::observed::Observed;
use quorate_core::snapshot::{EtcPve, QuorumView, Snapshot};

use crate::World;

/// How long a cluster file system stays away that was not there.
const AWAY_MS: u64 = 600_000;

/// Sets who is off, which links carry, and forms the membership from that.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot) {
    for node in snapshot.nodes.values().filter(|node| node.online.is(&false)) {
        world.impact.excused_nodes.insert(node.name.clone());
        world.power_off(&node.name);
    }
    let views: Vec<(&NodeName, &QuorumView)> =
        snapshot.quorum.iter().filter_map(|(name, view)| Some((name, view.known()?))).collect();
    for (name, number) in links_down(&views) {
        let link = world.nodes.get_mut(&name).and_then(|node| node.links.get_mut(number));
        if let Some(link) = link {
            link.up = false;
        }
    }
    let casts = views.iter().any(|(_, view)| view.qdevice.is_some_and(|device| device.casting));
    if let Some(device) = &mut world.corosync.qdevice {
        device.alive = casts;
    }
    let configured = world.corosync.configured_votes();
    for (name, view) in views.iter().filter(|(_, view)| view.expected_votes < configured) {
        world.corosync.lowered.insert((*name).clone(), view.expected_votes);
    }
    world.form_membership();
    let now_ms = world.now_ms;
    for (name, seen) in &snapshot.etc_pve {
        let Some(node) = world.nodes.get_mut(name) else { continue };
        let quorate = views.iter().any(|(viewer, view)| *viewer == name && view.quorate);
        match seen.known() {
            Some(EtcPve::ReadOnly) => node.pmxcfs_alone = quorate,
            Some(EtcPve::NotMounted) => node.pmxcfs_away_until_ms = now_ms + AWAY_MS,
            Some(EtcPve::Writable) | None => {}
        }
    }
}

/// Links that carry nothing to any other node, as both ends say.
fn links_down(views: &[(&NodeName, &QuorumView)]) -> BTreeSet<(NodeName, usize)> {
    let mut down = BTreeSet::new();
    for (name, view) in views {
        for number in 0..view.configured_links {
            let carries = |view: &QuorumView, peer: &NodeName| {
                let link = view.links.get(peer).into_iter().flatten().find(|link| link.number == number);
                link.is_none_or(|link| link.connected)
            };
            let own = view.links.keys().any(|peer| carries(view, peer));
            let others = views.iter().filter(|(other, _)| other != name);
            let theirs =
                others.filter(|(_, other)| other.links.contains_key(*name)).any(|(_, other)| carries(other, name));
            if !own && !theirs && !view.links.is_empty() {
                down.insert(((*name).clone(), number as usize));
            }
        }
    }
    down
}

/// Does any node say so?
pub(super) fn qdevice_votes(snapshot: &Snapshot) -> Option<u32> {
    snapshot.quorum.values().filter_map(Observed::known).find_map(|view| view.qdevice).map(|device| device.votes)
}
