//! qm and pct: what they show about this node's guests; every other verb is a call of the API.

use std::fmt::Write as _;

use quorate_core::ids::{GuestId, GuestKind};
use quorate_world::WorldError;
use quorate_world::guest::Guest;

use super::files::config_text;
use super::{Output, Shell};
use crate::api::config;
use crate::params::with_dashes;

/// A verb as a call: method, what comes after the guest in the path, and the positional parameters.
/// `{}` in the path is the first of these.
type Verb = (&'static str, &'static str, &'static str, &'static [&'static str]);

const VERBS: [Verb; 20] = [
    ("delsnapshot", "DELETE", "snapshot/{}", &["snapname"]),
    ("listsnapshot", "GET", "snapshot", &[]),
    ("migrate", "POST", "migrate", &["target"]),
    ("pending", "GET", "pending", &[]),
    ("reboot", "POST", "status/reboot", &[]),
    ("reset", "POST", "status/reset", &[]),
    ("resize", "PUT", "resize", &["disk", "size"]),
    ("resume", "POST", "status/resume", &[]),
    ("set", "PUT", "config", &[]),
    ("shutdown", "POST", "status/shutdown", &[]),
    ("snapshot", "POST", "snapshot", &["snapname"]),
    ("start", "POST", "status/start", &[]),
    ("stop", "POST", "status/stop", &[]),
    ("suspend", "POST", "status/suspend", &[]),
    ("agent", "POST", "agent/{}", &["command"]),
    ("config", "GET", "config", &[]),
    ("status", "GET", "status/current", &[]),
    ("unlock", "PUT", "config", &[]),
    ("showcmd", "GET", "config", &[]),
    ("destroy", "DELETE", "", &[]),
];

impl Shell<'_> {
    pub(super) fn guests(&mut self, kind: GuestKind, args: &[&str]) -> Output {
        let program = if kind == GuestKind::Vm { "qm" } else { "pct" };
        let Some((verb, rest)) = args.split_first() else {
            return Output::fail(
                255,
                format!("ERROR: no command specified\n\nUSAGE: {program} <COMMAND> [ARGS] [OPTIONS]\n"),
            );
        };
        if *verb == "list" {
            return Output::ok(self.guest_list(kind));
        }
        let Some((_, method, path, positional)) = VERBS.iter().find(|(known, ..)| known == verb) else {
            return Output::fail(255, format!("ERROR: unknown command '{program} {verb}'\n"));
        };
        let named: Vec<&str> = rest.iter().copied().take_while(|arg| !arg.starts_with('-')).collect();
        let (Some(vmid), true) = (named.first(), named.len() > positional.len()) else {
            let usage: Vec<_> = positional.iter().map(|name| format!(" <{name}>")).collect();
            return Output::fail(255, format!("400 not enough arguments\n{program} {verb} <vmid>{}\n", usage.concat()));
        };
        let Ok(number) = vmid.parse::<u32>() else {
            let text = format!("vmid: type check ('integer') failed - got '{vmid}'");
            return Output::fail(255, format!("400 Parameter verification failed.\n{text}\n{program} {verb} <vmid>\n"));
        };
        let id = if kind == GuestKind::Vm { GuestId::vm(number) } else { GuestId::ct(number) };
        let Some(guest) = self.world.guests.get(&id).filter(|guest| guest.node == *self.node) else {
            let error = WorldError::NotHere { node: self.node.clone(), id };
            return Output::fail(2, format!("{error}\n"));
        };
        match *verb {
            "status" => return Output::ok(format!("status: {}\n", self.state(guest))),
            "config" => return Output::ok(config_text(guest)),
            "listsnapshot" => return Output::ok(snapshots(guest)),
            "pending" => return Output::ok(pending(guest)),
            "unlock" => return self.unlock(id),
            "showcmd" | "destroy" => {
                return Output::fail(255, format!("the lab does not know '{program} {verb}'\n"));
            }
            _ => {}
        }
        let mut more: Vec<(&str, &str)> = positional.iter().copied().zip(named[1..].iter().copied()).collect();
        let mut path = (*path).to_owned();
        if path.contains("{}") {
            path = path.replace("{}", more.remove(0).1);
        }
        let path = format!("/nodes/{}/{}/{}/{path}", self.node, id.kind.api(), id.vmid);
        self.call_api(method, &path, with_dashes(&rest[1 + positional.len()..], &more))
    }

    /// Removes a lock from a guest's file, which the API allows only from a shell.
    fn unlock(&mut self, id: GuestId) -> Output {
        if !self.world.writable(self.node) {
            let path = format!(
                "nodes/{}/{}/{}.conf",
                self.node,
                if id.kind == GuestKind::Vm { "qemu-server" } else { "lxc" },
                id.vmid
            );
            return Output::fail(2, format!("{}\n", WorldError::ReadOnly { path, pid: 153 }));
        }
        if let Some(guest) = self.world.guests.get_mut(&id) {
            guest.lock = None;
        }
        Output::default()
    }

    /// What the node itself sees: whether there is a process.
    fn state(&self, guest: &Guest) -> &'static str {
        if guest.runs_on.contains(self.node) { "running" } else { "stopped" }
    }

    fn guest_list(&self, kind: GuestKind) -> String {
        // The node's own files and processes: a process whose configuration is elsewhere does not show here either.
        let here: Vec<&Guest> =
            self.world.guests.values().filter(|guest| guest.node == *self.node && guest.id.kind == kind).collect();
        let mut text = String::new();
        if here.is_empty() {
            return text;
        }
        match kind {
            GuestKind::Vm => {
                let _ = writeln!(
                    text,
                    "{:>10} {:<20} {:<10} {:<10} {:>12} {:<10}",
                    "VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID"
                );
                for guest in here {
                    let disk = config::disk_total(guest) as f64 / f64::from(1 << 30);
                    let state = self.state(guest);
                    let pid = if state == "running" { guest.pid } else { 0 };
                    let _ = writeln!(
                        text,
                        "{:>10} {:<20} {state:<10} {:<10} {disk:>12.2} {pid:<10}",
                        guest.id.vmid.0,
                        guest.name,
                        guest.memory_bytes >> 20,
                    );
                }
            }
            GuestKind::Ct => {
                let _ = writeln!(text, "{:<10} {:<10} {:<12} {:<20}", "VMID", "Status", "Lock", "Name");
                for guest in here {
                    let lock = guest.lock.as_deref().unwrap_or_default();
                    let state = self.state(guest);
                    let _ = writeln!(text, "{:<10} {state:<10} {lock:<12} {:<20}", guest.id.vmid.0, guest.name);
                }
            }
        }
        text
    }
}

fn pending(guest: &Guest) -> String {
    let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    config::entries(guest).iter().map(|(key, value)| format!("cur {key}: {}\n", plain(value))).collect()
}

fn snapshots(guest: &Guest) -> String {
    let mut text = String::new();
    for (depth, name) in guest.snapshots.iter().map(String::as_str).chain(["current"]).enumerate() {
        let about = if name == "current" { "You are here!" } else { "" };
        let _ = writeln!(text, "{}`-> {name:<30} {about}", " ".repeat(depth));
    }
    text
}
