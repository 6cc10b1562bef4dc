//! PVE's smaller programs: pveversion, pvesm, pveum; and helpers that the others share.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use quorate_core::ids::{GuestKind, NodeName, StorageId, Upid};
use serde_json::Value;

use super::{Follow, Output, Shell};
use crate::answer::CallRefused;
use crate::api::{installed_packages, manager};
use crate::params::{Args, with_dashes};

impl Shell<'_> {
    pub(super) fn pve(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "qm" => self.guests(GuestKind::Vm, args),
            "pct" => self.guests(GuestKind::Ct, args),
            "ha-manager" => self.ha_manager(args),
            "pveversion" => self.pveversion(args),
            "pvesm" => self.pvesm(args),
            "pveum" => self.pveum(args),
            "pvesh" => self.pvesh(args),
            _ => return None,
        })
    }

    /// A call of the same API, printed as the command line tools do.
    pub(super) fn call_api(&mut self, method: &str, path: &str, args: Args) -> Output {
        let node = self.node.clone();
        match crate::api::local(self.wire, self.world, &node, method, path, args) {
            // Unlike the API, the programs wait for the task that they started.
            Ok(Value::String(upid)) if upid.starts_with("UPID:") => {
                Output { follows: Some(Follow::Task(Upid::new(upid))), ..Output::default() }
            }
            Ok(_) => Output::default(),
            Err(CallRefused::Parameters(errors)) => {
                let lines: String =
                    errors.iter().map(|(name, text)| format!("{name}: {}\n", text.trim_end())).collect();
                Output::fail(255, format!("400 Parameter verification failed.\n{lines}"))
            }
            Err(refusal) => Output::fail(255, format!("{}\n", refusal.message())),
        }
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

    /// Users, tokens, roles and ACL entries: each verb is one call of the API.
    fn pveum(&mut self, args: &[&str]) -> Output {
        let (method, path, more, options): (&str, String, Vec<(&str, &str)>, &[&str]) = match args {
            ["user", "token", "add", user, token, rest @ ..] => {
                return self.new_token(user, token, rest);
            }
            ["user", "token", "remove" | "delete", user, token] => {
                ("DELETE", format!("/access/users/{user}/token/{token}"), vec![], &[])
            }
            ["user", "add", user, rest @ ..] => ("POST", "/access/users".into(), vec![("userid", *user)], rest),
            ["user", "delete", user] => ("DELETE", format!("/access/users/{user}"), vec![], &[]),
            ["role", "add", role, rest @ ..] => ("POST", "/access/roles".into(), vec![("roleid", *role)], rest),
            ["role", "delete", role] => ("DELETE", format!("/access/roles/{role}"), vec![], &[]),
            ["acl" | "aclmod", "modify", path, rest @ ..] => ("PUT", "/access/acl".into(), vec![("path", *path)], rest),
            ["acl", "delete", path, rest @ ..] => {
                ("PUT", "/access/acl".into(), vec![("path", *path), ("delete", "1")], rest)
            }
            [] => return Output::fail(255, "ERROR: no command specified\n"),
            _ => return Output::fail(255, format!("ERROR: unknown command 'pveum {}'\n", args.join(" "))),
        };
        let mut given = with_dashes(options, &more);
        for (short, long) in [("user", "users"), ("role", "roles"), ("token", "tokens")] {
            if let Some(value) = given.take(short) {
                given.insert(long, &value);
            }
        }
        self.call_api(method, &path, given)
    }

    /// The secret is shown once, in a table.
    fn new_token(&mut self, user: &str, token: &str, options: &[&str]) -> Output {
        let node = self.node.clone();
        let mut given = with_dashes(options, &[]);
        given.take("output-format");
        let path = format!("/access/users/{user}/token/{token}");
        match crate::api::local(self.wire, self.world, &node, "POST", &path, given) {
            Ok(data) => Output::ok(super::pvesh::table(&data)),
            Err(refusal) => Output::fail(255, format!("{}\n", refusal.message())),
        }
    }

    /// `pvesm set STORAGE --nodes A,B` or `--disable 0|1`.
    fn pvesm_set(&mut self, id: &str, options: &[&str]) -> Output {
        let node = self.node.clone();
        if !self.world.writable(&node) {
            return Output::fail(13, "cfs-lock 'file-storage_cfg' error: no quorum!\n");
        }
        let nodes = self.world.nodes.clone();
        let Some(storage) = self.world.storages.get_mut(&StorageId::from(id)) else {
            return Output::fail(2, format!("storage '{id}' does not exist\n"));
        };
        match options {
            ["--nodes", names] => {
                let names: BTreeSet<NodeName> = names.split(',').map(NodeName::from).collect();
                if let Some(stranger) = names.iter().find(|name| !nodes.contains_key(*name)) {
                    return Output::fail(
                        255,
                        format!("400 Parameter verification failed.\nnodes: no node '{stranger}'\n"),
                    );
                }
                storage.nodes = names;
            }
            ["--disable", switch @ ("0" | "1")] => storage.disabled = *switch == "1",
            _ => return Output::fail(255, format!("ERROR: unknown options of 'pvesm set': {}\n", options.join(" "))),
        }
        Output::default()
    }

    fn pvesm(&mut self, args: &[&str]) -> Output {
        if let ["set", id, options @ ..] = args {
            return self.pvesm_set(id, options);
        }
        if let ["path", volid] = args {
            let known = volid.split_once(':').filter(|(id, _)| self.world.storages.contains_key(&StorageId::new(*id)));
            return match known {
                Some(_) => Output::ok(format!("{}\n", quorate_world::path_of(volid))),
                None => {
                    Output::fail(255, format!("storage '{}' does not exist\n", volid.split(':').next().unwrap_or("")))
                }
            };
        }
        if args.first() != Some(&"status") {
            return Output::fail(255, format!("ERROR: unknown command 'pvesm {}'\n", args.join(" ")));
        }
        let node = self.node.clone();
        let path = format!("/nodes/{node}/storage");
        let list = crate::api::local(self.wire, self.world, &node, "GET", &path, Args::default());
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

pub(super) fn word<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_default()
}
