//! ha-manager: the state line by line, changes of resources and rules through the API, and the manager's queue.

use std::fmt::Write as _;

use quorate_core::ids::GuestId;
use quorate_world::WorldError;
use quorate_world::ha::MoveKind;

use super::pve::word;
use super::{Output, Shell};
use crate::api::{ha_entries, local};
use crate::params::{Args, with_dashes};
use crate::release;

impl Shell<'_> {
    pub(super) fn ha_manager(&mut self, args: &[&str]) -> Output {
        match args {
            ["status", rest @ ..] => {
                let mut text = String::new();
                for entry in ha_entries(self.world, self.node) {
                    let _ = writeln!(text, "{} {}", word(&entry, "type"), word(&entry, "status"));
                }
                if rest.iter().any(|arg| matches!(*arg, "--verbose" | "-verbose" | "-v")) {
                    let state = crate::api::ha_manager_status(self.world, self.node);
                    let _ = write!(text, "full cluster state:\n{state:#}\n");
                }
                Output::ok(text)
            }
            ["crm-command", command @ ..] => self.crm_command(command),
            ["migrate", sid, target] => self.ha_move(sid, target, MoveKind::Migrate),
            ["relocate", sid, target] => self.ha_move(sid, target, MoveKind::Relocate),
            ["config", ..] => Output::ok(self.ha_config()),
            ["add", sid, options @ ..] => {
                self.call_api("POST", "/cluster/ha/resources", with_dashes(options, &[("sid", sid)]))
            }
            ["set", sid, options @ ..] => {
                self.call_api("PUT", &format!("/cluster/ha/resources/{sid}"), with_dashes(options, &[]))
            }
            ["remove", sid, options @ ..] => {
                self.call_api("DELETE", &format!("/cluster/ha/resources/{sid}"), with_dashes(options, &[]))
            }
            ["rules", rest @ ..] => self.ha_rules(rest),
            ["groupconfig", ..] => self.ha_list("/cluster/ha/groups", "group"),
            ["groupadd", name, options @ ..] => {
                self.call_api("POST", "/cluster/ha/groups", with_dashes(options, &[("group", name)]))
            }
            ["groupset", name, options @ ..] => {
                self.call_api("PUT", &format!("/cluster/ha/groups/{name}"), with_dashes(options, &[]))
            }
            ["groupremove", name] => self.call_api("DELETE", &format!("/cluster/ha/groups/{name}"), Args::default()),
            [] => Output::fail(255, "ERROR: no command specified\n"),
            _ => Output::fail(255, format!("ERROR: unknown command 'ha-manager {}'\n", args.join(" "))),
        }
    }

    /// Puts a command into the manager's queue: success only means that it was queued.
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
            ["stop", sid, _timeout] => {
                let stopped = Args::from_pairs([("state", "stopped")]);
                self.call_api("PUT", &format!("/cluster/ha/resources/{sid}"), stopped)
            }
            [verb @ ("disarm-ha" | "arm-ha"), mode @ ..] if release(self.here()) >= (9, 2) => {
                let mode = mode.first().map(|mode| ("resource-mode", *mode));
                self.call_api("POST", &format!("/cluster/ha/status/{verb}"), Args::from_pairs(mode))
            }
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

    fn ha_rules(&mut self, args: &[&str]) -> Output {
        match args {
            ["list" | "config", ..] | [] => self.ha_list("/cluster/ha/rules", "rule"),
            ["add", kind, name, options @ ..] => {
                self.call_api("POST", "/cluster/ha/rules", with_dashes(options, &[("type", kind), ("rule", name)]))
            }
            ["set", kind, name, options @ ..] => {
                let more = [("type", *kind)];
                self.call_api("PUT", &format!("/cluster/ha/rules/{name}"), with_dashes(options, &more))
            }
            ["remove", name] => self.call_api("DELETE", &format!("/cluster/ha/rules/{name}"), Args::default()),
            _ => Output::fail(255, format!("ERROR: unknown command 'ha-manager rules {}'\n", args.join(" "))),
        }
    }

    /// Sections as in the file: `type: name` and tab-indented keys.
    fn ha_list(&mut self, path: &str, key: &str) -> Output {
        let node = self.node.clone();
        let list = match local(self.wire, self.world, &node, "GET", path, Args::default()) {
            Ok(list) => list,
            Err(refusal) => return Output::fail(255, format!("{}\n", refusal.message())),
        };
        let mut text = String::new();
        for entry in list.as_array().into_iter().flatten() {
            let _ = writeln!(text, "{}: {}", word(entry, "type"), word(entry, key));
            let shown = entry
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, _)| !["type", key, "digest", "order"].contains(&name.as_str()));
            for (name, value) in shown {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = writeln!(text, "\t{name} {value}");
            }
            text.push('\n');
        }
        Output::ok(text)
    }
}

/// The lock on HA's files is tried for nine seconds before the program gives up.
fn no_lock(error: &WorldError) -> Output {
    let tries = "trying to acquire cfs lock 'domain-ha' ...\n".repeat(9);
    Output::fail(13, format!("{tries}{error}\n")).takes(std::time::Duration::from_secs(9))
}
