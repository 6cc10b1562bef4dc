//! What counts as harm, read from the state and not from the rules.

use super::model::{GuestAt, NodeAt, Phase, Shape, State, guest_id, name};

/// One bad thing, in words: `vm:101 goes down with pve1`.
pub(super) type Harm = String;

/// Everything bad in a state. One of our steps is to blame for what was not there before it.
pub(super) fn harms(shape: &Shape, state: &State) -> Vec<Harm> {
    let mut found = Vec::new();
    guests(shape, state, &mut found);
    nodes(shape, state, &mut found);
    halves(shape, state, &mut found);
    if shape.has_ceph {
        data(shape, state, &mut found);
    }
    found
}

fn guests(shape: &Shape, state: &State, found: &mut Vec<Harm>) {
    for (index, at) in state.guests.iter().enumerate() {
        let id = guest_id(index);
        let on = match at {
            GuestAt::Runs(on) => vec![*on],
            GuestAt::Moves { from, to } => vec![*from, *to],
            GuestAt::Stopped(_) | GuestAt::Lost => vec![],
        };
        for node in on {
            match state.nodes[node].phase {
                Phase::Rebooting => found.push(format!("{id} goes down with {}", name(node))),
                Phase::Upgrading => found.push(format!("{id} runs on {} while its packages change", name(node))),
                Phase::Up | Phase::Dead => {}
            }
        }
        if let GuestAt::Moves { from, to } = at
            && state.nodes[*from].packages_new
            && !state.nodes[*to].packages_new
        {
            found.push(format!("{id} moves from {} to {}, which has an older QEMU", name(*from), name(*to)));
        }
    }
    for node in 0..state.nodes.len() {
        let here = |at: &GuestAt| match at {
            GuestAt::Runs(on) => *on == node,
            GuestAt::Moves { from, to } => *from == node || *to == node,
            GuestAt::Stopped(_) | GuestAt::Lost => false,
        };
        let present: Vec<usize> = (0..state.guests.len()).filter(|guest| here(&state.guests[*guest])).collect();
        let needed: u64 = present.iter().map(|guest| shape.guests[*guest].0).sum();
        if needed > 64 {
            found.push(format!("guests of {needed} GiB are on {}, which has 64", name(node)));
        }
        if shape.apart && present.contains(&0) && present.contains(&1) {
            found.push(format!("vm:101 and vm:102 meet on {}, and must be kept apart", name(node)));
        }
    }
}

fn nodes(shape: &Shape, state: &State, found: &mut Vec<Harm>) {
    let out: Vec<usize> = (0..state.nodes.len()).filter(|node| !state.nodes[*node].serves()).collect();
    if out.len() > 1 {
        found.extend(out.iter().map(|node| format!("{} is out, and so is another node", name(*node))));
    }
    let total: u32 = shape.votes.iter().sum();
    let quorum = total / 2 + 1;
    // A node whose packages change restarts its corosync.
    let votes = |node: usize| if state.nodes[node].phase == Phase::Up { shape.votes[node] } else { 0 };
    let left: u32 = (0..state.nodes.len()).map(votes).sum();
    if left < quorum {
        found.push(format!("{left} votes are left where {quorum} are needed: no quorum"));
        let managed = state.guests.iter().zip(shape.guests).filter(|(_, (_, _, managed))| *managed);
        for (at, _) in managed {
            if let GuestAt::Runs(node) = at
                && state.nodes[*node].phase == Phase::Up
            {
                found.push(format!("HA is active on {} without quorum: it will be fenced", name(*node)));
            }
        }
    }
    let absent = state.nodes.iter().any(|node| node.phase != Phase::Up);
    let frail = state.nodes.iter().position(|node| node.phase == Phase::Up && node.link_down);
    if let Some(frail) = frail.filter(|_| absent) {
        found.push(format!("a member is away while {} hangs on its last link", name(frail)));
    }
}

/// Two halves of a cluster that both believe they are quorate.
fn halves(shape: &Shape, state: &State, found: &mut Vec<Harm>) {
    let Some(here) = state.cut_off.filter(|here| state.lowered && state.nodes[*here].phase == Phase::Up) else {
        return;
    };
    let others = (0..state.nodes.len()).filter(|node| *node != here && state.nodes[*node].phase == Phase::Up);
    let theirs: u32 = others.map(|node| shape.votes[node]).sum();
    if theirs > shape.votes.iter().sum::<u32>() / 2 {
        let here = name(here);
        found.push(format!("{here} is quorate by itself, and so are the others: both may run the same guest"));
    }
}

fn data(shape: &Shape, state: &State, found: &mut Vec<Harm>) {
    let serving = (0..state.nodes.len()).filter(|node| state.osd_serves(*node)).count();
    // Three copies on three hosts; two are needed.
    if serving < 2 {
        found.push(format!("{serving} of {} OSDs are left: all guests on Ceph hang", state.nodes.len()));
    }
    for (index, node) in state.nodes.iter().enumerate() {
        if node.phase == Phase::Rebooting && !node.noout {
            found.push(format!("{} is away without noout: Ceph begins to copy its data", name(index)));
        }
        let is_new = |node: &NodeAt| node.packages_new || node.phase == Phase::Upgrading;
        if shape.ceph_major && is_new(node) && !state.nodes.iter().all(is_new) {
            found.push(format!("the OSD of {} becomes newer than a monitor", name(index)));
        }
    }
}
