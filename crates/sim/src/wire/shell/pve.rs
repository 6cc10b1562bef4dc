//! PVE's own programs: qm, pct, ha-manager, pveversion, pvesm.

use std::fmt::Write as _;

use quorate_core::ids::{GuestId, GuestKind, Upid};
use serde_json::Value;

use super::files::config_text;
use super::{Follow, Output, Shell};
use crate::wire::api::{config, ha_entries, installed_packages, manager};
use crate::wire::params::Args;
use crate::world::WorldError;
use crate::world::guest::Guest;
use crate::world::ha::MoveKind;

impl Shell<'_> {
    pub(super) fn pve(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "qm" => self.guests(GuestKind::Vm, args),
            "pct" => self.guests(GuestKind::Ct, args),
            "ha-manager" => self.ha_manager(args),
            "pveversion" => self.pveversion(args),
            "pvesm" => self.pvesm(args),
            "pvesh" => self.pvesh(args),
            _ => return None,
        })
    }

    fn guests(&mut self, kind: GuestKind, args: &[&str]) -> Output {
        let program = if kind == GuestKind::Vm { "qm" } else { "pct" };
        let Some((verb, rest)) = args.split_first() else {
            return Output::fail(255, "ERROR: no command specified\n");
        };
        if *verb == "list" {
            return Output::ok(self.guest_list(kind));
        }
        let Some(vmid) = rest.first().and_then(|vmid| vmid.parse::<u32>().ok()) else {
            return Output::fail(255, format!("400 not enough arguments\n{program} {verb} <vmid>\n"));
        };
        let id = if kind == GuestKind::Vm { GuestId::vm(vmid) } else { GuestId::ct(vmid) };
        let Some(guest) = self.world.guests.get(&id).filter(|guest| guest.node == *self.node) else {
            let error = WorldError::NotHere { node: self.node.clone(), id };
            return Output::fail(2, format!("{error}\n"));
        };
        match *verb {
            "status" => Output::ok(format!("status: {}\n", self.state(guest))),
            "config" => Output::ok(config_text(guest)),
            "listsnapshot" => Output::ok(snapshots(guest)),
            "start" | "stop" | "shutdown" => self.guest_call(id, &format!("status/{verb}"), &rest[1..], &[]),
            "migrate" => match rest.get(1).filter(|target| !target.starts_with('-')) {
                Some(target) => self.guest_call(id, "migrate", &rest[2..], &[("target", target)]),
                None => Output::fail(255, format!("400 not enough arguments\n{program} migrate <vmid> <target>\n")),
            },
            "set" => self.guest_put(id, &rest[1..]),
            other => Output::fail(255, format!("ERROR: unknown command '{program} {other}'\n")),
        }
    }

    /// What the node itself sees: a process or none.
    fn state(&self, guest: &Guest) -> &'static str {
        if guest.runs_on.contains(self.node) { "running" } else { "stopped" }
    }

    fn guest_call(&mut self, id: GuestId, what: &str, options: &[&str], more: &[(&str, &str)]) -> Output {
        let path = format!("/nodes/{}/{}/{}/{what}", self.node, id.kind.api(), id.vmid);
        let args = with_dashes(options, more);
        self.call_api("POST", &path, args)
    }

    fn guest_put(&mut self, id: GuestId, options: &[&str]) -> Output {
        let path = format!("/nodes/{}/{}/{}/config", self.node, id.kind.api(), id.vmid);
        let args = with_dashes(options, &[]);
        self.call_api("PUT", &path, args)
    }

    /// A call of the same API, printed as the command line tools do.
    fn call_api(&mut self, method: &str, path: &str, args: Args) -> Output {
        let node = self.node.clone();
        match crate::wire::api::local(self.wire, self.world, &node, method, path, args) {
            // Unlike the API, the programs wait for the task that they started.
            Ok(data) => {
                Output { follows: data.as_str().map(|upid| Follow::Task(Upid::new(upid))), ..Output::default() }
            }
            Err(refusal) => Output::fail(255, format!("{}\n", refusal.message())),
        }
    }

    fn guest_list(&self, kind: GuestKind) -> String {
        // The node's own files and processes: also a process whose configuration is elsewhere does not show here.
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

    fn ha_manager(&mut self, args: &[&str]) -> Output {
        match args {
            ["status", rest @ ..] => {
                let mut text = String::new();
                for entry in ha_entries(self.world, self.node) {
                    let _ = writeln!(text, "{} {}", word(&entry, "type"), word(&entry, "status"));
                }
                if rest.iter().any(|arg| matches!(*arg, "--verbose" | "-verbose" | "-v")) {
                    let state = crate::wire::api::ha_manager_status(self.world, self.node);
                    let _ = write!(text, "full cluster state:\n{state:#}\n");
                }
                Output::ok(text)
            }
            ["crm-command", command @ ..] => self.crm_command(command),
            ["migrate", sid, target] => self.ha_move(sid, target, MoveKind::Migrate),
            ["relocate", sid, target] => self.ha_move(sid, target, MoveKind::Relocate),
            ["config", ..] => Output::ok(self.ha_config()),
            [] => Output::fail(255, "ERROR: no command specified\n"),
            _ => Output::fail(255, format!("ERROR: unknown command 'ha-manager {}'\n", args.join(" "))),
        }
    }

    /// Puts a command into the manager's queue: success says no more than that it is there.
    fn crm_command(&mut self, command: &[&str]) -> Output {
        match command {
            ["node-maintenance", verb @ ("enable" | "disable"), target] => {
                let node = self.node.clone();
                match self.world.ha_maintenance(&node, target, *verb == "enable") {
                    Ok(()) => Output::default(),
                    Err(error @ WorldError::NoLock(_)) => no_lock(&error),
                    Err(error) => Output::fail(255, format!("{error}\n")),
                }
            }
            ["migrate", sid, target] => self.ha_move(sid, target, MoveKind::Migrate),
            ["relocate", sid, target] => self.ha_move(sid, target, MoveKind::Relocate),
            ["node-maintenance", ..] => Output::fail(255, "400 not enough arguments\n"),
            _ => Output::fail(255, format!("ERROR: unknown command 'ha-manager crm-command {}'\n", command.join(" "))),
        }
    }

    /// Unlike the API, the program makes an error of a move that a rule forbids.
    fn ha_move(&mut self, sid: &str, target: &str, kind: MoveKind) -> Output {
        let Some(sid) = GuestId::parse(sid).filter(|sid| self.world.ha.resources.contains_key(sid)) else {
            return Output::fail(255, format!("resource '{sid}' is not HA managed\n"));
        };
        let node = self.node.clone();
        match self.world.ha_move(&node, sid, kind, target) {
            Ok(answer) if answer.blocking.is_empty() => Output::default(),
            Ok(answer) => {
                let mut stderr = format!("cannot migrate resource '{sid}' to node '{target}':\n\n");
                for (other, _) in &answer.blocking {
                    let _ = writeln!(
                        stderr,
                        "- resource '{other}' on target node '{target}' in negative affinity with resource '{sid}'"
                    );
                }
                Output::fail(2, stderr)
            }
            Err(error @ WorldError::NoLock(_)) => no_lock(&error),
            Err(error) => Output::fail(255, format!("{error}\n")),
        }
    }

    fn ha_config(&self) -> String {
        let mut text = String::new();
        for (sid, resource) in &self.world.ha.resources {
            let _ = writeln!(text, "{sid}");
            if !resource.failback {
                text.push_str("\tfailback 0\n");
            }
            for (key, value) in [("max_relocate", resource.max_relocate), ("max_restart", resource.max_restart)] {
                if value != 1 {
                    let _ = writeln!(text, "\t{key} {value}");
                }
            }
            let _ = writeln!(text, "\tstate {}\n", resource.state.as_str());
        }
        text
    }

    fn pveversion(&self, args: &[&str]) -> Output {
        let node = self.here();
        let (version, _, repoid) = manager(node);
        let kernel = &node.kernel.running;
        if !args.iter().any(|arg| matches!(*arg, "-v" | "--verbose" | "-verbose")) {
            return Output::ok(format!("pve-manager/{version}/{repoid} (running kernel: {kernel})\n"));
        }
        let mut text = String::new();
        for (package, installed) in installed_packages(node) {
            let more = match package {
                "proxmox-ve" => format!(" (running kernel: {kernel})"),
                "pve-manager" => format!(" (running version: {version}/{repoid})"),
                _ => String::new(),
            };
            let broken = node.packages.broken.iter().any(|broken| broken == package);
            let shown = if broken { "not correctly installed" } else { installed };
            let _ = writeln!(text, "{package}: {shown}{more}");
        }
        Output::ok(text)
    }

    fn pvesm(&mut self, args: &[&str]) -> Output {
        if args.first() != Some(&"status") {
            return Output::fail(255, format!("ERROR: unknown command 'pvesm {}'\n", args.join(" ")));
        }
        let node = self.node.clone();
        let path = format!("/nodes/{node}/storage");
        let list = crate::wire::api::local(self.wire, self.world, &node, "GET", &path, Args::default());
        let list = list.unwrap_or_default();
        let mut text =
            String::from("Name             Type     Status     Total (KiB)      Used (KiB) Available (KiB)        %\n");
        for entry in list.as_array().into_iter().flatten() {
            let kib = |key: &str| entry[key].as_u64().unwrap_or(0) / 1024;
            let state = if entry["active"] == 1 { "active" } else { "inactive" };
            let share = entry["used_fraction"].as_f64().unwrap_or(0.0) * 100.0;
            let _ = writeln!(
                text,
                "{:<12} {:>8} {state:>10} {:>15} {:>15} {:>15} {share:>7.2}%",
                word(entry, "storage"),
                word(entry, "type"),
                kib("total"),
                kib("used"),
                kib("avail"),
            );
        }
        Output::ok(text)
    }
}

fn snapshots(guest: &Guest) -> String {
    let mut text = String::new();
    for (depth, name) in guest.snapshots.iter().map(String::as_str).chain(["current"]).enumerate() {
        let about = if name == "current" { "You are here!" } else { "" };
        let _ = writeln!(text, "{}`-> {name:<30} {about}", " ".repeat(depth));
    }
    text
}

fn word<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_default()
}

/// The lock on HA's files is tried for nine seconds before the program gives up.
fn no_lock(error: &WorldError) -> Output {
    let tries = "trying to acquire cfs lock 'domain-ha' ...\n".repeat(9);
    Output::fail(13, format!("{tries}{error}\n")).takes(std::time::Duration::from_secs(9))
}

/// `--online 1 --with-local-disks`, one or two dashes; a switch without a value is on.
pub(super) fn with_dashes(options: &[&str], more: &[(&str, &str)]) -> Args {
    let mut args = Args::from_pairs(more.iter().copied());
    let mut at = 0;
    while let Some(option) = options.get(at) {
        let name = option.trim_start_matches('-');
        if let Some((name, value)) = name.split_once('=') {
            args.insert(name, value);
        } else {
            match options.get(at + 1).filter(|value| !value.starts_with('-')) {
                Some(value) => {
                    args.insert(name, value);
                    at += 1;
                }
                None => args.insert(name, "1"),
            }
        }
        at += 1;
    }
    args
}
