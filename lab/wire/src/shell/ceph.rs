//! The `ceph` command.

use std::fmt::Write as _;
use std::time::Duration;

use quorate_core::ids::OsdId;
use quorate_world::ceph::{Ceph, DEVICE_CLASS};
use serde_json::{Value, json};

use super::{Options, Output, Shell};
use crate::ceph::{
    CONFIGURATION, Detail, answers, health, mon_ok_to_stop, ok_to_stop, osd_dump, quorum, standbys, status,
    unsafe_to_stop, versions, was_given_up,
};

/// The client gives up after this long without a monitor.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(300);
/// Exit status for EBUSY.
const BUSY: i32 = 16;
/// Exit status for EINVAL.
const INVALID: i32 = 22;

impl Shell<'_> {
    /// `pveceph purge`: takes the remains of a Ceph away that has no daemon any more.
    fn pveceph(&mut self, args: &[&str]) -> Output {
        if args != ["purge"] {
            return Output::fail(255, format!("ERROR: unknown command 'pveceph {}'\n", args.join(" ")));
        }
        if self.world.ceph.is_some() {
            return Output::fail(255, "Unable to purge Ceph - not all Ceph services are stopped\n");
        }
        let node = self.node.clone();
        match self.world.pmxcfs_remove(&node, CONFIGURATION) {
            Ok(()) => Output::ok("Removing config & keyring files\n"),
            Err(why) => Output::fail(1, format!("unable to unlink '{CONFIGURATION}' - {why}\n")),
        }
    }

    pub(super) fn ceph(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        if name == "pveceph" {
            return Some(self.pveceph(args));
        }
        if name != "ceph" {
            return None;
        }
        let options = Options::parse(args, &["-f", "--format", "-n", "--name", "--connect-timeout", "-c", "-k"]);
        let as_json = options.value(&["-f", "--format"]).is_some_and(|format| format.starts_with("json"));
        let mut words = options.rest.clone();
        if options.has(&["-s", "--status"]) {
            words.insert(0, "status");
        }
        if self.world.nodes.get(self.node).is_some_and(|node| node.compute_only) {
            return Some(Output::fail(127, "env: 'ceph': No such file or directory\n"));
        }
        Some(match &self.world.ceph {
            None if was_given_up(self.world) => Output::fail(
                1,
                "Error initializing cluster client: ObjectNotFound('RADOS object not found (error connecting to the \
                 cluster)')\n",
            ),
            None => Output::fail(
                1,
                "Error initializing cluster client: ObjectNotFound('RADOS object not found (error calling \
                 conf_read_file)')\n",
            ),
            Some(ceph) if !answers(ceph) => {
                Output::fail(1, "[errno 110] RADOS timed out (error connecting to the cluster)\n").takes(CLIENT_TIMEOUT)
            }
            Some(_) => self.ceph_words(&words, as_json),
        })
    }

    fn ceph_words(&mut self, words: &[&str], as_json: bool) -> Output {
        let Some(ceph) = &self.world.ceph else { return Output::default() };
        match words {
            ["status"] if as_json => printed(&status(self.world, ceph, Detail::Summary)),
            ["status"] => Output::ok(self.status_text(ceph)),
            ["health", ..] if as_json => {
                let detail = if words.contains(&"detail") { Detail::Full } else { Detail::Summary };
                printed(&health(ceph, self.world.now_ms, detail))
            }
            ["health", rest @ ..] => Output::ok(health_text(ceph, self.world.now_ms, rest.contains(&"detail"))),
            ["osd", "dump"] if as_json => printed(&osd_dump(self.world, ceph)),
            ["osd", "ok-to-stop", ids @ ..] => osds_ok_to_stop(ceph, ids, self.world.now_ms),
            ["mon", "ok-to-stop", names @ ..] => {
                let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
                match mon_ok_to_stop(ceph, &names) {
                    Ok(text) => Output { stderr: format!("{text}\n"), ..Output::default() },
                    Err(text) => Output::fail(BUSY, format!("Error EBUSY: {text}\n")),
                }
            }
            ["versions"] => Output::ok(format!("{:#}\n", versions(ceph))),
            ["mgr", "stat"] => Output::ok(format!(
                "{:#}\n",
                json!({
                    "epoch": 19, "available": ceph.active_mgr.is_some(),
                    "active_name": ceph.active_mgr.clone().unwrap_or_default(), "num_standby": standbys(ceph).len(),
                })
            )),
            ["osd", "tree", ..] => Output::ok(tree(ceph)),
            ["pg", "stat"] => Output::ok(format!("{}\n", pg_line(ceph, self.world.now_ms))),
            ["osd", verb @ ("set" | "unset"), flag] => self.set_flag(flag, *verb == "set"),
            ["osd", verb @ ("set-group" | "unset-group"), flag, who @ ..] => {
                self.set_group(flag, who, *verb == "set-group")
            }
            _ => Output::fail(
                INVALID,
                format!("no valid command found; {}\nError EINVAL: invalid command\n", words.join(" ")),
            ),
        }
    }

    fn set_flag(&mut self, flag: &str, set: bool) -> Output {
        match self.world.ceph_flag(flag, set) {
            Ok(()) => {
                let word = if set { "set" } else { "unset" };
                Output { stderr: format!("{flag} is {word}\n"), ..Output::default() }
            }
            Err(error) => Output::fail(INVALID, format!("Error EINVAL: {error}\n")),
        }
    }

    /// Flags for hosts and single OSDs. Only noout is known here.
    fn set_group(&mut self, flags: &str, who: &[&str], set: bool) -> Output {
        if flags != "noout" {
            return Output::fail(INVALID, "Error EINVAL: no valid flag\n");
        }
        let who: Vec<String> = who.iter().map(|who| (*who).to_owned()).collect();
        match self.world.ceph_group(&who, set) {
            Ok(said) if said.is_empty() => Output::default(),
            Ok(said) => Output { stderr: format!("{said}\n"), ..Output::default() },
            Err(error) => Output::fail(INVALID, format!("Error EINVAL: {error}\n")),
        }
    }

    fn status_text(&self, ceph: &Ceph) -> String {
        let health = health_text(ceph, self.world.now_ms, false);
        let names: Vec<_> = quorum(ceph).into_iter().map(|(name, _)| name.as_str()).collect();
        let out: Vec<_> = ceph.mons.keys().filter(|name| !names.contains(&name.as_str())).map(String::as_str).collect();
        let out = if out.is_empty() { String::new() } else { format!(", out of quorum: {}", out.join(", ")) };
        let standbys: Vec<_> = standbys(ceph).into_iter().map(String::as_str).collect();
        let mgr = match &ceph.active_mgr {
            Some(active) if standbys.is_empty() => format!("{active}(active)"),
            Some(active) => format!("{active}(active), standbys: {}", standbys.join(", ")),
            None => "no daemons active".to_owned(),
        };
        let up = ceph.osds.values().filter(|osd| osd.up).count();
        let in_ = ceph.osds.values().filter(|osd| osd.in_).count();
        let states = ceph.pg_states(self.world.now_ms);
        let states: Vec<_> = states.iter().map(|(state, count)| format!("{count:<6} {state}")).collect();
        let first = health.lines().next().unwrap_or_default();
        let flags: Vec<_> = ceph.flags.iter().map(String::as_str).collect();
        let flags = if flags.is_empty() { String::new() } else { format!("\n         flags {}", flags.join(",")) };
        format!(
            "  cluster:\n    id:     {}\n    health: {first}\n \n  services:\n    mon: {} daemons, quorum {}{out}\n    \
             mgr: {mgr}\n    osd: {} osds: {up} up, {in_} in{flags}\n \n  data:\n    pools:   {} pools, {} pgs\n    pgs:     \
             {}\n \n",
            ceph.fsid,
            ceph.mons.len(),
            names.join(","),
            ceph.osds.len(),
            ceph.pools.len(),
            ceph.pgs.len(),
            states.join("\n             "),
        )
    }
}

/// With `-f json` an empty line comes first.
fn printed(value: &Value) -> Output {
    Output::ok(format!("\n{value}\n"))
}

fn health_text(ceph: &Ceph, now_ms: u64, detail: bool) -> String {
    let (status, checks) = ceph.health(now_ms);
    let summaries: Vec<_> = checks.iter().map(|check| check.summary.as_str()).collect();
    let mut text = match summaries.is_empty() {
        true => format!("{status}\n"),
        false => format!("{status} {}\n", summaries.join("; ")),
    };
    for check in checks.iter().filter(|_| detail) {
        let level = if check.severity == "HEALTH_ERR" { "ERR" } else { "WRN" };
        let _ = writeln!(text, "[{level}] {}: {}", check.code, check.summary);
        for line in &check.detail {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// JSON with or without `-f`, and status 16 if the answer is no. Only a manager can answer: without one this hangs.
fn osds_ok_to_stop(ceph: &Ceph, ids: &[&str], now_ms: u64) -> Output {
    if ceph.active_mgr.is_none() {
        return Output::fail(1, "").takes(CLIENT_TIMEOUT);
    }
    let mut osds = Vec::new();
    for id in ids {
        match id.trim_start_matches("osd.").parse() {
            Ok(number) if ceph.osds.contains_key(&OsdId(number)) => osds.push(OsdId(number)),
            Ok(_) => return Output::fail(2, format!("Error ENOENT: osd {id} does not exist\n")),
            Err(_) => return Output::fail(INVALID, "Error EINVAL: invalid osd id\n"),
        }
    }
    if osds.is_empty() {
        return Output::fail(INVALID, "Error EINVAL: must specify one or more OSDs\n");
    }
    let verdict = ceph.ok_to_stop(&osds, now_ms);
    let stdout = format!("{}\n", ok_to_stop(&verdict));
    match verdict.ok {
        true => Output::ok(stdout),
        false => {
            let stderr = format!("Error EBUSY: {}\n", unsafe_to_stop(&verdict));
            Output { status: BUSY, stdout, stderr, ..Output::default() }
        }
    }
}

fn pg_line(ceph: &Ceph, now_ms: u64) -> String {
    let states = ceph.pg_states(now_ms);
    let states: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let stored: u64 = ceph.pools.values().map(|pool| pool.stored_bytes).sum();
    format!("{} pgs: {}; {} GiB data", ceph.pgs.len(), states.join(", "), stored >> 30)
}

fn tree(ceph: &Ceph) -> String {
    let weight = |bytes: u64| bytes as f64 / (1_u64 << 40) as f64;
    let total: u64 = ceph.osds.values().map(|osd| osd.total_bytes).sum();
    let mut text = String::from("ID  CLASS  WEIGHT   TYPE NAME      STATUS  REWEIGHT  PRI-AFF\n");
    let _ = writeln!(text, "-1         {:.5}  root default                            ", weight(total));
    let mut hosts: Vec<_> = ceph.osds.values().map(|osd| &osd.crush_host).collect();
    hosts.sort();
    hosts.dedup();
    for (number, host) in hosts.into_iter().enumerate() {
        let of_host = || ceph.osds.iter().filter(move |(_, osd)| osd.crush_host == *host);
        let bytes: u64 = of_host().map(|(_, osd)| osd.total_bytes).sum();
        let _ = writeln!(
            text,
            "-{:<2}        {:.5}      host {host}                           ",
            3 + 2 * number,
            weight(bytes)
        );
        for (id, osd) in of_host() {
            let state = if osd.up { "up" } else { "down" };
            let (class, size) = (DEVICE_CLASS, weight(osd.total_bytes));
            let reweight = if osd.in_ { 1.0 } else { 0.0 };
            let _ = writeln!(
                text,
                "{:>2}    {class}  {size:.5}          {id:<8} {state:>4}   {reweight:.5}  1.00000",
                id.0
            );
        }
    }
    text
}
