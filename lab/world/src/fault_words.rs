//! Faults as a person types them: `power-off pve2`, `boot-slow pve2 900`, `migration-fail any 50 1`.
//!
//! One table names every fault, its arguments in order, and what it does in one line. The command line, the lab's
//! control socket and scenarios read this form; a cluster file has the same faults as TOML. A test compares the table
//! with [`FaultKind`], so that every fault can be typed.

use serde_json::{Map, Value, json};

use crate::World;
use crate::faults::FaultKind;

/// The type of one argument of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A node: `pve2`.
    Node(&'static str),
    /// A guest: `vm:101`.
    Guest(&'static str),
    /// A guest, or `any`.
    AnyGuest(&'static str),
    /// An OSD: `3` or `osd.3`.
    Osd(&'static str),
    /// A number, of either sign.
    Number(&'static str),
    /// `on` or `off`.
    Switch(&'static str),
    /// Words, as one argument.
    Text(&'static str),
    /// Words, or `none`.
    TextOrNone(&'static str),
}

/// One fault: its name, its arguments, what it does.
#[derive(Clone, Copy, Debug)]
pub struct FaultForm {
    /// The word that names it: `power-off`.
    pub name: &'static str,
    /// Its arguments, in this order.
    pub arguments: &'static [Argument],
    /// What it does, in one line.
    pub does: &'static str,
}

const fn form(name: &'static str, arguments: &'static [Argument], does: &'static str) -> FaultForm {
    FaultForm { name, arguments, does }
}

use Argument::{AnyGuest, Guest, Node, Number, Osd, Switch, Text, TextOrNone};

/// Every fault.
pub const FAULTS: &[FaultForm] = &[
    form("power-off", &[Node("node")], "the node loses power, and stays off"),
    form("power-on", &[Node("node")], "someone presses the node's power button"),
    form("boot-slow", &[Node("node"), Number("seconds")], "the node's next boot takes this many seconds"),
    form("boot-old-kernel", &[Node("node")], "the node's next boot brings up the kernel that runs now"),
    form("boot-never", &[Node("node")], "the node's next boot does not come up"),
    form(
        "migration-fail",
        &[AnyGuest("guest"), Number("percent"), Number("times")],
        "the next moves fail when that much of the memory is copied",
    ),
    form("migration-hang", &[AnyGuest("guest"), Number("times")], "the next moves make no progress"),
    form("migration-lies", &[AnyGuest("guest")], "the next move reports failure although the guest has moved"),
    form("apt-update-fail", &[Node("node"), Number("times")], "apt-get update fails on the node"),
    form(
        "apt-fail",
        &[Node("node"), Text("package"), Number("times")],
        "the upgrade fails at this package, which stays half configured",
    ),
    form("disk-full", &[Node("node"), Number("free_bytes")], "the node's / has only this many bytes left"),
    form("ssh-down", &[Node("node"), Number("seconds")], "the node's sshd does not answer for that long"),
    form("qdevice", &[Switch("alive")], "the quorum device answers, or does not"),
    form(
        "etc-pve-read-only",
        &[Node("node")],
        "the node's pmxcfs loses corosync: /etc/pve is read-only there until pve-cluster is restarted",
    ),
    form("apt-locked", &[Node("node"), Number("seconds")], "another process holds the node's dpkg lock for that long"),
    form("link-down", &[Node("node"), Number("link")], "a corosync link of the node goes down"),
    form("link-up", &[Node("node"), Number("link")], "a corosync link of the node comes back"),
    form(
        "link-flaps",
        &[Node("node"), Number("link"), Number("times"), Number("every_s")],
        "a corosync link of the node goes down and comes back, this often and at this interval",
    ),
    form(
        "boot-renames-nics",
        &[Node("node")],
        "the node's next boot comes up without network, until its links are up again",
    ),
    form(
        "apt-asks",
        &[Node("node"), Text("package")],
        "the next upgrade of this package asks what to do with a changed configuration file",
    ),
    form("no-subscription", &[Node("node")], "the node's enterprise repository is on, its subscription has expired"),
    form("replication-fail", &[Guest("guest"), Number("times")], "the next runs of the guest's replication fail"),
    form("osd-stays-down", &[Osd("osd")], "the OSD does not start at the next boot of its node"),
    form("osd-fails", &[Osd("osd")], "the OSD fails now, and does not start again by itself"),
    form("admin-maintenance", &[Node("node"), Switch("on")], "an administrator sets or ends maintenance mode"),
    form("admin-starts", &[Guest("guest")], "an administrator starts the guest"),
    form("admin-stops", &[Guest("guest")], "an administrator stops the guest"),
    form("admin-moves", &[Guest("guest"), Node("target")], "an administrator migrates the guest"),
    form("admin-noout", &[Switch("set")], "an administrator sets or clears Ceph's noout"),
    form("admin-reboots", &[Node("node")], "an administrator reboots the node"),
    form("admin-upgrades", &[Node("node")], "an administrator upgrades the node's packages"),
    form("backup", &[Guest("guest"), Number("seconds")], "the guest is backed up, and locked for that long"),
    form("new-guest", &[Node("node"), Number("memory_mib")], "someone creates a VM on the node and starts it"),
    form(
        "shutdown-hangs",
        &[Node("node"), Number("seconds")],
        "the node's next shutdown waits that long for a unit, without its API",
    ),
    form("postinst-hangs", &[Node("node"), Text("package")], "the next upgrade of this package never ends"),
    form("mirror-lost", &[Node("node"), Number("times")], "the download of the next upgrades breaks off"),
    form(
        "mirror-stale",
        &[Node("node"), Number("times")],
        "the node's mirror does not answer the next apt-get update, which warns and keeps the lists that it has",
    ),
    form("pmxcfs-restarts", &[Node("node"), Number("seconds")], "/etc/pve is empty on the node for that long"),
    form(
        "storage-gone",
        &[Node("node"), Text("storage"), Switch("gone")],
        "the storage does not answer on the node, or does again",
    ),
    form(
        "pvestatd-hangs",
        &[Node("node"), Number("seconds")],
        "the cluster's lists show old values of the node for that long, and after five minutes none",
    ),
    form(
        "osd-fills",
        &[Osd("osd"), Number("percent")],
        "the OSD is that full: from 85 nearly full, from 90 nothing is moved to it",
    ),
    form("mons-slow", &[Number("seconds")], "Ceph's monitors are slow for that long"),
    form(
        "api-error",
        &[Node("node"), TextOrNone("text")],
        "every API call on the node fails with this text; `none` ends it",
    ),
    form("clock-skew", &[Node("node"), Number("skew_ms")], "the node's clock is off by this many milliseconds"),
];

impl Argument {
    /// The argument's name.
    pub fn name(self) -> &'static str {
        let (Node(name) | Guest(name) | AnyGuest(name) | Osd(name) | Number(name) | Switch(name) | Text(name)
        | TextOrNone(name)) = self;
        name
    }

    /// The argument as it appears in a usage line: `NODE`, `GUEST|any`, `SECONDS`.
    fn usage(self) -> String {
        let name = self.name().to_uppercase();
        match self {
            AnyGuest(_) => format!("{name}|any"),
            Switch(_) => "on|off".to_owned(),
            TextOrNone(_) => format!("{name}|none"),
            _ => name,
        }
    }

    fn write(self, value: &Value) -> String {
        match (self, value) {
            (AnyGuest(_), Value::Null) => "any".to_owned(),
            (TextOrNone(_), Value::Null) => "none".to_owned(),
            (Text(_) | TextOrNone(_), Value::String(text)) if text.contains(' ') => format!("\"{text}\""),
            (_, Value::String(text)) => text.clone(),
            (_, Value::Bool(on)) => if *on { "on" } else { "off" }.to_owned(),
            (Osd(_), number) => format!("osd.{number}"),
            (_, other) => other.to_string(),
        }
    }

    fn read(self, word: &str) -> Option<Value> {
        match self {
            AnyGuest(_) if word == "any" => Some(Value::Null),
            TextOrNone(_) if word == "none" => Some(Value::Null),
            Osd(_) => word.strip_prefix("osd.").unwrap_or(word).parse::<u32>().ok().map(Value::from),
            Number(_) => word.parse::<i64>().ok().map(Value::from),
            Switch(_) => match word {
                "on" => Some(Value::Bool(true)),
                "off" => Some(Value::Bool(false)),
                _ => None,
            },
            Node(_) | Guest(_) | AnyGuest(_) | Text(_) | TextOrNone(_) => Some(json!(word)),
        }
    }
}

impl FaultForm {
    /// The usage line: `boot-slow NODE SECONDS`.
    pub fn usage(&self) -> String {
        let mut words = vec![self.name.to_owned()];
        words.extend(self.arguments.iter().map(|argument| argument.usage()));
        words.join(" ")
    }
}

/// Reads a fault's words. The error says which form was meant, or that there is none of that name.
pub fn read_fault<S: AsRef<str>>(words: &[S]) -> Result<FaultKind, String> {
    let name = words.first().map_or("", AsRef::as_ref);
    let form = FAULTS.iter().find(|form| form.name == name);
    let form = form.ok_or_else(|| format!("no fault is called {name:?}; `quorate-lab fault list` shows all"))?;
    let given = &words[1..];
    let wrong = || format!("it is: {}", form.usage());
    if given.len() != form.arguments.len() {
        return Err(wrong());
    }
    let mut object = Map::from_iter([("fault".to_owned(), json!(name))]);
    for (argument, word) in form.arguments.iter().zip(given) {
        let word = word.as_ref();
        let value = argument.read(word).ok_or_else(|| format!("{word:?} does not fit; {}", wrong()))?;
        object.insert(argument.name().to_owned(), value);
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| format!("{error}; {}", wrong()))
}

/// A fault as an administrator would type it: `power-off pve2`.
pub fn in_words(fault: &FaultKind) -> String {
    let value = serde_json::to_value(fault).unwrap_or_default();
    let Some(form) = FAULTS.iter().find(|form| value["fault"] == form.name) else { return format!("{fault:?}") };
    let mut words = vec![form.name.to_owned()];
    words.extend(form.arguments.iter().map(|argument| argument.write(&value[argument.name()])));
    words.join(" ")
}

/// The first name in a fault that this world does not have: a node, a guest or an OSD.
pub fn stranger(world: &World, fault: &FaultKind) -> Option<String> {
    let fault = serde_json::to_value(fault).ok()?;
    let form = FAULTS.iter().find(|form| fault["fault"] == form.name)?;
    form.arguments.iter().find_map(|argument| {
        let value = &fault[argument.name()];
        let text = value.as_str().unwrap_or_default();
        let (what, known) = match argument {
            Node(_) => ("node", world.nodes.keys().any(|node| node.as_str() == text)),
            Guest(_) | AnyGuest(_) => {
                ("guest", value.is_null() || world.guests.keys().any(|id| id.to_string() == text))
            }
            Osd(_) => ("OSD", world.ceph.iter().flat_map(|ceph| ceph.osds.keys()).any(|id| json!(id) == *value)),
            Number(_) | Switch(_) | Text(_) | TextOrNone(_) => return None,
        };
        let name = if text.is_empty() { value.to_string() } else { text.to_owned() };
        (!known).then(|| format!("this cluster has no {what} {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_file::{DEMO, world_from_toml};

    /// A word that fits.
    fn example(argument: Argument) -> &'static str {
        match argument {
            Node(_) => "pve2",
            Guest(_) | AnyGuest(_) => "vm:101",
            Osd(_) => "osd.1",
            Number(_) => "7",
            Switch(_) => "on",
            Text(_) | TextOrNone(_) => "pve-manager",
        }
    }

    #[test]
    fn every_fault_of_the_world_can_be_typed_and_no_other() {
        // serde names all variants when it meets one that it does not know.
        let all = serde_json::from_value::<FaultKind>(json!({ "fault": "?" })).unwrap_err().to_string();
        let mut all: Vec<&str> = all.split('`').skip(3).step_by(2).collect();
        let mut typed: Vec<&str> = FAULTS.iter().map(|form| form.name).collect();
        all.sort_unstable();
        typed.sort_unstable();
        assert_eq!(typed, all);
        for form in FAULTS {
            let mut words = vec![form.name];
            words.extend(form.arguments.iter().map(|argument| example(*argument)));
            let fault = read_fault(&words).unwrap_or_else(|error| panic!("{}: {error}", form.name));
            let read_again = serde_json::to_value(&fault).unwrap();
            assert_eq!(read_again.as_object().unwrap().len(), 1 + form.arguments.len(), "{}: all arguments", form.name);
            assert_eq!(stranger(&world_from_toml(DEMO, 1).unwrap(), &fault), None);
            assert_eq!(in_words(&fault), words.join(" "), "what is typed is what is reported");
        }
    }

    #[test]
    fn a_word_that_does_not_fit_is_answered_with_the_form() {
        let error = |words: &[&str]| read_fault(words).unwrap_err();
        assert!(error(&["power-of", "pve2"]).contains("no fault is called \"power-of\""));
        assert_eq!(error(&["boot-slow", "pve2"]), "it is: boot-slow NODE SECONDS");
        assert!(error(&["boot-slow", "pve2", "long"]).contains("\"long\" does not fit"));
        assert!(error(&["admin-stops", "101"]).contains("not a guest id"));
        assert!(read_fault::<&str>(&[]).is_err());
        assert_eq!(
            read_fault(&["migration-fail", "any", "50", "1"]).unwrap(),
            FaultKind::MigrationFail { guest: None, percent: 50, times: 1 }
        );
    }

    #[test]
    fn a_name_that_is_not_in_the_cluster_is_reported() {
        let world = world_from_toml(DEMO, 1).unwrap();
        let stranger = |words: &[&str]| stranger(&world, &read_fault(words).unwrap());
        assert_eq!(stranger(&["power-off", "pve9"]), Some("this cluster has no node pve9".to_owned()));
        assert_eq!(stranger(&["admin-stops", "vm:9"]), Some("this cluster has no guest vm:9".to_owned()));
        assert_eq!(stranger(&["osd-fails", "99"]), Some("this cluster has no OSD 99".to_owned()));
    }
}
