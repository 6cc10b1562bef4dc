//! Whose harm is it? What a fault can do to a cluster without any upgrade is the fault's; everything else is ours (see
//! `docs/safety/fuzz.md`).
//!
//! An excuse holds for the guest, the node and the minutes of its fault: from the fault until half an hour after it is
//! over by itself or by a repair. Harm that begins at another guest or node, or at another time, is a failure. No fault
//! doubles a guest, and none makes the tool forget what it has to undo.

use quorate_core::ids::{GuestId, NodeName};
use quorate_world::World;
use quorate_world::faults::FaultKind;
use quorate_world::ha::{Rule, RuleKind};
use quorate_world::impact::{Impact, ImpactReport, Outage};

/// Nodes boot, HA recovers, Ceph recovers, guests start: after this long a fault that is over does nothing any more.
const AFTER_MS: u64 = 1_800_000;

/// Kinds of harm that the impact report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// No partition had quorum.
    Quorum,
    /// A guest does not run any more.
    Lost,
    /// A guest ran twice.
    Doubled,
    /// Downtime without consent.
    Down,
    /// A node was reset by its watchdog.
    Fence,
    /// Ceph moved data.
    Rebalance,
    /// A rule was broken.
    Rules,
    /// A guest moved to an older release.
    Backward,
    /// Something is left behind.
    ToUndo,
}

/// A reason for harm of some kinds, at a place and in a time.
struct Excuse {
    harms: &'static [Harm],
    /// Only what is on this node; none means anywhere.
    node: Option<NodeName>,
    /// Only this guest.
    guest: Option<GuestId>,
    from_ms: u64,
    until_ms: u64,
}

impl Excuse {
    fn covers(&self, harm: Harm, at_ms: u64) -> bool {
        self.harms.contains(&harm) && (self.from_ms..=self.until_ms).contains(&at_ms)
    }

    fn covers_at(&self, harm: Harm, at_ms: u64, node: &NodeName) -> bool {
        self.covers(harm, at_ms) && self.node.as_ref().is_none_or(|of| of == node)
    }

    fn covers_guest(&self, harm: Harm, outage: &Outage) -> bool {
        // Storage that does not answer is one for the whole cluster.
        let place = outage.stalled || self.node.as_ref().is_none_or(|node| *node == outage.node);
        self.covers(harm, outage.from_ms) && place && self.guest.is_none_or(|guest| guest == outage.guest)
    }
}

/// Harm that no fault explains, in words.
pub(super) fn unexplained(world: &World, impact: &ImpactReport, repairs_ms: &[u64]) -> Vec<String> {
    let mut excuses = of_faults(world, repairs_ms);
    let mut found = Vec::new();
    let moments = &world.impact.moments;
    for (from_ms, until_ms) in &moments.no_quorum {
        if !excuses.iter().any(|excuse| excuse.covers(Harm::Quorum, *from_ms)) {
            found.push("quorum was lost".to_owned());
            continue;
        }
        let until_ms = until_ms.map_or(u64::MAX, |until_ms| until_ms + AFTER_MS);
        let harms = &[Harm::Fence, Harm::Down, Harm::Lost, Harm::Rules];
        excuses.push(Excuse { harms, node: None, guest: None, from_ms: *from_ms, until_ms });
    }
    for (at_ms, node) in &moments.fences {
        if !excuses.iter().any(|excuse| excuse.covers_at(Harm::Fence, *at_ms, node)) {
            found.push(format!("{node} was fenced"));
            continue;
        }
        let until_ms = after(*at_ms, repairs_ms);
        let node = Some(node.clone());
        excuses.push(Excuse { harms: LOSS_OF_A_NODE, node, guest: None, from_ms: *at_ms, until_ms });
    }
    let any = |harm: Harm, at_ms: u64| excuses.iter().any(|excuse| excuse.covers(harm, at_ms));
    let broken = world.impact.rules_broken.iter().filter(|(at_ms, ..)| !any(Harm::Rules, *at_ms));
    found.extend(broken.map(|(_, rule, what)| format!("{rule} was broken ({what})")));
    let prefers = world.ha.rules.values().any(|rule: &Rule| matches!(rule.kind, RuleKind::NodeAffinity { .. }));
    // HA moves a guest back to the node that it prefers as soon as that is up again, even if it is older.
    let lost_before =
        |at_ms: u64| excuses.iter().any(|excuse| excuse.harms.contains(&Harm::Lost) && excuse.from_ms <= at_ms);
    let backward = moments.backward.iter().filter(|(at_ms, guest)| {
        let by_guest = |excuse: &Excuse| excuse.guest.is_none_or(|of| of == *guest);
        let excused = excuses.iter().any(|excuse| by_guest(excuse) && excuse.covers(Harm::Backward, *at_ms));
        !(excused || prefers && lost_before(*at_ms))
    });
    found.extend(backward.map(|(_, guest)| format!("{guest} moved to an older release")));
    found.extend(down(world, &excuses));
    let rebalances = excuses.iter().any(|excuse| excuse.harms.contains(&Harm::Rebalance));
    for (count, explained, what) in [
        (u64::from(impact.guests_doubled), false, "guests running twice"),
        (impact.ceph_bytes_rebalanced, rebalances, "bytes rebalanced"),
        (u64::from(impact.still_to_undo), false, "changes not undone"),
    ] {
        if count > 0 && !explained {
            found.push(format!("{count} {what}"));
        }
    }
    found.into_iter().map(|what| format!("{what}, and no fault explains it")).collect()
}

/// Guests that were down for longer than was agreed to, not counting what faults explain; and those that are lost.
fn down(world: &World, excuses: &[Excuse]) -> Vec<String> {
    let mut found = Vec::new();
    for (guest, seconds) in Impact::downtime_by_guest(world) {
        let outages: Vec<&Outage> =
            world.impact.moments.outages.iter().filter(|outage| outage.guest == guest).collect();
        let explained = |harm: Harm, outage: &Outage| excuses.iter().any(|excuse| excuse.covers_guest(harm, outage));
        let length_ms = |outage: &&&Outage| outage.until_ms.unwrap_or(world.now_ms).saturating_sub(outage.from_ms);
        let excused_ms: u64 =
            outages.iter().filter(|outage| explained(Harm::Down, outage)).map(|o| length_ms(&o)).sum();
        let agreed_s = world.impact.consents.get(&guest).copied().unwrap_or(0);
        let over_s = seconds.saturating_sub(excused_ms.div_ceil(1000)).saturating_sub(agreed_s);
        if over_s > 0 && !world.impact.excused.contains(&guest) {
            found.push(format!("{guest} was down for {over_s} s without consent"));
        }
        let runs = world.guests.get(&guest).is_some_and(quorate_world::guest::Guest::is_running);
        let is_lost = !runs && !world.impact.excused.contains(&guest);
        if is_lost && !outages.last().is_some_and(|outage| explained(Harm::Lost, outage)) {
            found.push(format!("{guest} is lost"));
        }
    }
    found
}

/// When a fault of that moment does nothing any more.
fn after(at_ms: u64, repairs_ms: &[u64]) -> u64 {
    let repair = repairs_ms.iter().find(|repair_ms| **repair_ms >= at_ms);
    repair.map_or(u64::MAX, |repair_ms| repair_ms + AFTER_MS)
}

fn of_faults(world: &World, repairs_ms: &[u64]) -> Vec<Excuse> {
    let faults = &world.impact.moments.faults;
    let is_cut = |kind: &FaultKind| matches!(kind, FaultKind::LinkDown { .. });
    let cuts = faults.iter().filter(|(_, kind)| is_cut(kind)).map(|(_, kind)| format!("{kind:?}"));
    let one_link = world.nodes.values().any(|node| node.links.len() < 2);
    let cut_off = one_link || cuts.collect::<std::collections::BTreeSet<_>>().len() > 1;
    let excuse = |(from_ms, kind): &(u64, FaultKind)| {
        let harms = if is_cut(kind) && cut_off { LOSS_OF_A_NODE } else { may_do(kind) };
        let (node, guest) = place(world, kind);
        // Of two nodes the quorum device chooses which one stays, whichever of them was cut off.
        let node = node.filter(|_| !(is_cut(kind) && world.nodes.len() == 2));
        let ends_ms = lasts_s(kind).map(|seconds| from_ms + seconds * 1000 + AFTER_MS);
        let until_ms = after(*from_ms, repairs_ms).min(ends_ms.unwrap_or(u64::MAX));
        Excuse { harms, node, guest, from_ms: *from_ms, until_ms }
    };
    faults.iter().map(excuse).filter(|excuse| !excuse.harms.is_empty()).collect()
}

/// How long a fault lasts that is over by itself.
fn lasts_s(kind: &FaultKind) -> Option<u64> {
    match kind {
        FaultKind::AdminReboots { .. } | FaultKind::AdminMoves { .. } => Some(600),
        FaultKind::AdminUpgrades { .. } => Some(1_800),
        _ => None,
    }
}

/// The node or the guest of a fault; neither if it is about the cluster.
fn place(world: &World, kind: &FaultKind) -> (Option<NodeName>, Option<GuestId>) {
    match kind {
        FaultKind::PowerOff { node }
        | FaultKind::BootNever { node }
        | FaultKind::BootRenamesNics { node }
        | FaultKind::EtcPveReadOnly { node }
        | FaultKind::LinkDown { node, .. }
        | FaultKind::BootSlow { node, .. }
        | FaultKind::ShutdownHangs { node, .. }
        | FaultKind::StorageGone { node, .. }
        | FaultKind::AdminReboots { node } => (Some(node.clone()), None),
        FaultKind::OsdStaysDown { osd } | FaultKind::OsdFails { osd } => {
            let host = world.ceph.as_ref().and_then(|ceph| ceph.osds.get(osd)).map(|osd| osd.host.clone());
            (host, None)
        }
        FaultKind::AdminMoves { guest, .. } => (None, Some(*guest)),
        _ => (None, None),
    }
}

const LOSS_OF_A_NODE: &[Harm] = &[Harm::Quorum, Harm::Lost, Harm::Down, Harm::Fence, Harm::Rebalance, Harm::Rules];

/// What a fault may do to a cluster by itself.
fn may_do(kind: &FaultKind) -> &'static [Harm] {
    match kind {
        // A node is gone: with its guests, its votes, its copies of data; HA chooses where it recovers them.
        FaultKind::PowerOff { .. } | FaultKind::BootNever { .. } | FaultKind::BootRenamesNics { .. } => LOSS_OF_A_NODE,
        // HA active on the node cannot renew its lock: the watchdog resets the node about a minute later.
        FaultKind::EtcPveReadOnly { .. } => LOSS_OF_A_NODE,
        // A guest that waits for its node is down for longer than planned; Ceph lacks a copy for as long.
        FaultKind::BootSlow { .. } => &[Harm::Down],
        FaultKind::Qdevice { .. } => &[Harm::Quorum, Harm::Down, Harm::Fence, Harm::Lost],
        FaultKind::OsdStaysDown { .. } | FaultKind::OsdFails { .. } => &[Harm::Down, Harm::Rebalance, Harm::Rules],
        // The administrator's own doing. When that maintenance ends, HA moves guests back, even if the node is older.
        FaultKind::AdminMaintenance { .. } => &[Harm::Rules, Harm::Backward],
        FaultKind::AdminStarts { .. } | FaultKind::NewGuest { .. } => &[Harm::Rules],
        // What runs on the node goes down with it; a second node may be out then. With the shutdown policy `migrate` HA
        // takes its guests away before, and back afterwards, even if the node is older.
        FaultKind::AdminReboots { .. } => {
            &[Harm::Quorum, Harm::Lost, Harm::Down, Harm::Fence, Harm::Rebalance, Harm::Rules, Harm::Backward]
        }
        // Its packages restart corosync and HA whenever that is, also while another node boots.
        FaultKind::AdminUpgrades { .. } => &[Harm::Rules, Harm::Quorum],
        // A guest that waits for its node is down for longer than planned.
        FaultKind::ShutdownHangs { .. } => &[Harm::Down],
        // What runs there and uses it stands still; what is stopped there does not start.
        FaultKind::StorageGone { .. } => &[Harm::Down, Harm::Lost],
        // There may be no room for a container on its target: it was shut down, and does not start.
        FaultKind::AdminMoves { .. } => &[Harm::Rules, Harm::Backward, Harm::Down, Harm::Lost],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use quorate_world::cluster_file::{DEMO, world_from_toml};
    use quorate_world::faults::Fault;

    use super::*;

    fn after_a_power_loss_of_pve2() -> World {
        let mut world = world_from_toml(DEMO, 1).unwrap();
        Impact::begin(&mut world);
        world.inject(Fault { at_s: 0, kind: FaultKind::PowerOff { node: "pve2".into() } });
        passes(&mut world, 60);
        world
    }

    fn passes(world: &mut World, seconds: u64) {
        let until_ms = world.now_ms + seconds * 1000;
        world.advance_to(until_ms);
    }

    fn found(world: &World, repairs_ms: &[u64]) -> Vec<String> {
        unexplained(world, &Impact::report(world, 0, 0.0), repairs_ms)
    }

    #[test]
    fn what_died_with_its_node_is_explained_and_what_stops_elsewhere_is_not() {
        let mut world = after_a_power_loss_of_pve2();
        assert!(!Impact::report(&world, 0, 0.0).clean);
        assert_eq!(found(&world, &[]), Vec::<String>::new());
        let on_pve1 = |guest: &&quorate_world::guest::Guest| guest.node.as_str() == "pve1" && guest.serves();
        let other = world.guests.values().filter(on_pve1).find(|guest| !world.ha_managed(guest.id)).unwrap().id;
        world.guest_stop(&"pve1".into(), other, "root@pam").unwrap();
        passes(&mut world, 60);
        let found = found(&world, &[]);
        assert!(found.iter().any(|what| what.contains(&format!("{other} was down"))), "{found:?}");
        assert!(found.iter().any(|what| what.contains(&format!("{other} is lost"))), "{found:?}");
    }

    #[test]
    fn an_excuse_ends_some_time_after_the_repair() {
        let mut world = after_a_power_loss_of_pve2();
        let repairs_ms = [world.now_ms];
        world.power_on(&"pve2".into());
        passes(&mut world, 2 * 3_600);
        assert_eq!(found(&world, &repairs_ms), Vec::<String>::new());
        world.power_off(&"pve2".into());
        passes(&mut world, 60);
        assert!(found(&world, &repairs_ms).iter().any(|what| what.contains("was down")));
    }
}
