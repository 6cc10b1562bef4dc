//! corosync-quorumtool, corosync-cfgtool and pvecm: one node's own view.

use std::fmt::Write as _;

use quorate_world::corosync::View;

use super::{Options, Output, Shell};
use crate::api::address;
use crate::text::Moment;

/// Node ids and names as numbers and host names, or as hex and addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Names,
    Addresses,
}

const NOT_RUNNING: &str = "Cannot initialize CMAP service\n";

impl Shell<'_> {
    pub(super) fn corosync(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "corosync-quorumtool" => self.quorumtool(args),
            "corosync-cfgtool" => self.cfgtool(args),
            "pvecm" => self.pvecm(args),
            _ => return None,
        })
    }

    fn view(&self) -> Option<&View> {
        self.world.corosync.views.get(self.node)
    }

    fn quorumtool(&mut self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-e", "-v", "-n", "-o"]);
        if self.view().is_none() {
            return Output::fail(1, NOT_RUNNING);
        }
        if let Some(votes) = options.value(&["-e"]) {
            return self.expected(votes);
        }
        if args.iter().any(|arg| arg.starts_with('-') && arg.contains('l')) {
            return Output::ok(format!("\n{}", self.members(Naming::Names)));
        }
        let naming = match args.iter().any(|arg| arg.starts_with('-') && arg.contains('i')) {
            true => Naming::Addresses,
            false => Naming::Names,
        };
        self.quorum_status(naming)
    }

    fn expected(&mut self, votes: &str) -> Output {
        let refused = Output::fail(1, "Unable to set expected votes: CS_ERR_INVALID_PARAM\n");
        let Ok(votes) = votes.parse::<u32>() else { return refused };
        let node = self.node.clone();
        match self.world.pvecm_expected(&node, votes) {
            Ok(()) => Output::default(),
            Err(_) => refused,
        }
    }

    /// Status 0 with quorum, 2 without.
    fn quorum_status(&self, naming: Naming) -> Output {
        let Some(view) = self.view() else { return Output::fail(1, NOT_RUNNING) };
        let node_id = match naming {
            Naming::Names => self.here().nodeid.to_string(),
            Naming::Addresses => format!("{:#010x}", self.here().nodeid),
        };
        let ring = view.members.iter().filter_map(|name| self.world.nodes.get(name)).map(|node| node.nodeid).min();
        let mut text = String::from("Quorum information\n------------------\n");
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "{label:<18}{value}");
        };
        line("Date:", &Moment::at(self.clock_ms() / 1000).ctime());
        line("Quorum provider:", "corosync_votequorum");
        line("Nodes:", &view.members.len().to_string());
        line("Node ID:", &node_id);
        line("Ring ID:", &format!("{:x}.{:x}", ring.unwrap_or(1), view.ring_seq));
        line("Quorate:", if view.quorate { "Yes" } else { "No" });
        text.push_str("\nVotequorum information\n----------------------\n");
        let highest = self.world.corosync.configured_votes().min(view.expected.max(view.total_votes));
        let blocked = if view.quorate { " " } else { "Activity blocked" };
        let qdevice = if self.world.corosync.qdevice.is_some() { "Qdevice " } else { "" };
        let quorate = if view.quorate { "Quorate " } else { "" };
        let (two, waits) = if self.world.corosync.two_node { ("2Node ", "WaitForAll ") } else { ("", "") };
        let mut line = |label: &str, value: &str| {
            let _ = writeln!(text, "{label:<18}{value}");
        };
        line("Expected votes:", &view.expected.to_string());
        line("Highest expected:", &highest.to_string());
        line("Total votes:", &view.total_votes.to_string());
        line("Quorum:", &format!("{} {blocked}", view.quorum));
        line("Flags:", &format!("{two}{quorate}{waits}{qdevice}"));
        text.push('\n');
        text.push_str(&self.members(naming));
        Output { status: if view.quorate { 0 } else { 2 }, stdout: text, ..Output::default() }
    }

    fn members(&self, naming: Naming) -> String {
        let mut text = String::from("Membership information\n----------------------\n");
        let Some(view) = self.view() else { return text };
        let qdevice = self.world.corosync.qdevice.as_ref();
        let column = if qdevice.is_some() { "    Qdevice" } else { "" };
        let _ = writeln!(text, "    Nodeid      Votes{column} Name");
        let mut members: Vec<_> = view.members.iter().filter_map(|name| self.world.nodes.get(name)).collect();
        members.sort_by_key(|node| node.nodeid);
        for node in members {
            let votes = self.world.corosync.votes.get(&node.name).copied().unwrap_or(1);
            let (id, name) = match naming {
                Naming::Names => (format!("{:>10}", node.nodeid), node.name.as_str()),
                Naming::Addresses => (format!("{:#010x}", node.nodeid), address(node)),
            };
            let device = match qdevice {
                Some(device) if device.alive && view.qdevice_votes > 0 => "    A,V,NMW",
                Some(device) if device.alive => "   A,NV,NMW",
                Some(_) => "         NR",
                None => "",
            };
            let local = if node.name == *self.node { " (local)" } else { "" };
            let _ = writeln!(text, "{id} {votes:>10}{device} {name}{local}");
        }
        if let Some(device) = qdevice {
            let id = match naming {
                Naming::Names => format!("{:>10}", 0),
                Naming::Addresses => "0x00000000".to_owned(),
            };
            let not_cast = match view.qdevice_votes {
                0 => format!(" (votes {})", device.votes),
                _ => String::new(),
            };
            let _ = writeln!(text, "{id} {:>10}            Qdevice{not_cast}", view.qdevice_votes);
        }
        text
    }

    fn cfgtool(&mut self, args: &[&str]) -> Output {
        if self.view().is_none() {
            return Output::fail(1, "Could not initialize corosync configuration API error CS_ERR_LIBRARY\n");
        }
        if args.iter().any(|arg| arg.starts_with("-n")) {
            return Output::ok(self.reachable());
        }
        if args.iter().any(|arg| arg.starts_with("-s")) {
            return Output::ok(self.links());
        }
        Output::fail(1, "corosync-cfgtool: usage: [-i <ip>] [-b] [-n] -s\n")
    }

    /// Is link number `link` up between this node and another?
    fn connected(&self, other: &quorate_world::node::Node, link: usize) -> bool {
        let carries = self.world.corosync_link_carries(self.node, &other.name, link);
        carries && other.is_up() && other.corosync_up
    }

    /// `-n`: nodes that are reachable over at least one link; the others are not listed at all.
    fn reachable(&self) -> String {
        let mut text = format!("Local node ID {}, transport knet\n", self.here().nodeid);
        let mut others: Vec<_> = self.world.nodes.values().filter(|node| node.name != *self.node).collect();
        others.sort_by_key(|node| node.nodeid);
        for other in others {
            if !(0..other.links.len()).any(|link| self.connected(other, link)) {
                continue;
            }
            let _ = writeln!(text, "nodeid: {} reachable", other.nodeid);
            for (number, (mine, theirs)) in self.here().links.iter().zip(&other.links).enumerate() {
                // A link that is cut only lacks the word.
                let state = if self.connected(other, number) { "connected " } else { "" };
                let (from, to) = (&mine.address, &theirs.address);
                let _ = writeln!(text, "   LINK: {number} udp ({from}->{to}) enabled {state}mtu: 1397");
            }
            text.push('\n');
        }
        text
    }

    fn links(&self) -> String {
        let mut text = format!("Local node ID {}, transport knet\n", self.here().nodeid);
        let mut nodes: Vec<_> = self.world.nodes.values().collect();
        nodes.sort_by_key(|node| node.nodeid);
        for (number, link) in self.here().links.iter().enumerate() {
            let _ = writeln!(text, "LINK ID {number} udp\n\taddr\t= {}\n\tstatus:", link.address);
            for node in &nodes {
                let state = match node.name == *self.node {
                    true => "localhost",
                    false if self.connected(node, number) => "connected",
                    false => "disconnected",
                };
                let _ = writeln!(text, "\t\tnodeid: {:>10}:\t{state}", node.nodeid);
            }
        }
        text
    }

    fn pvecm(&mut self, args: &[&str]) -> Output {
        match args {
            ["status", ..] => {
                let corosync = &self.world.corosync;
                let mut text = String::from("Cluster information\n-------------------\n");
                for (label, value) in [
                    ("Name:", corosync.cluster_name.clone()),
                    ("Config Version:", corosync.config_version.to_string()),
                    ("Transport:", "knet".to_owned()),
                    ("Secure auth:", "on".to_owned()),
                ] {
                    let _ = writeln!(text, "{label:<18}{value}");
                }
                text.push('\n');
                if self.view().is_none() {
                    return Output { status: 1, stdout: text, stderr: NOT_RUNNING.to_owned(), ..Output::default() };
                }
                let status = self.quorum_status(Naming::Addresses);
                Output { stdout: text + &status.stdout, ..status }
            }
            ["nodes", ..] if self.view().is_none() => Output::fail(1, NOT_RUNNING),
            ["nodes", ..] => Output::ok(format!("\n{}", self.members(Naming::Names))),
            ["expected" | "e", ..] => match args.get(1).filter(|votes| votes.parse::<u32>().is_ok()) {
                Some(votes) => self.expected(votes),
                None => Output::fail(255, "400 not enough arguments\npvecm expected <expected>\n"),
            },
            [] => Output::fail(255, "ERROR: no command specified\n"),
            [other, ..] => Output::fail(255, format!("ERROR: unknown command 'pvecm {other}'\n")),
        }
    }
}
