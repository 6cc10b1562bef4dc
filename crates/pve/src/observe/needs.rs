//! What a guest needs of the host where it starts: files, devices, and settings that nobody can test.
//!
//! PVE moves such a guest without a word, and fails when it starts on the target. Its configuration says what it needs;
//! whether a node has it is asked on the node itself, because the API leaves snippets out for whoever may not read them.
//! Read only in full looks; a watch takes it over.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use quorate_core::ids::{GuestId, GuestKind, NodeName};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Guest, HostFile, HostNeed, MigrationFacts};

use super::look::{Depth, Look};
use super::reader::Reader;
use super::settings::{Raw, raw, untested_of_ct, untested_of_vm};
use super::shell::{NodeShell, QUICK};
use crate::ports::Exit;
use crate::wire::guest::Config;
use crate::wire::property::Properties;

/// Paths in one question.
const PATHS_AT_ONCE: usize = 50;

/// Notes what the configuration says.
pub(super) fn note(kind: GuestKind, config: &Config, facts: &mut MigrationFacts) {
    let need = |key: &str, what: &str, kind| HostNeed {
        key: key.to_owned(),
        what: what.to_owned(),
        kind,
        cold_start_only: key == "cicustom",
        on: BTreeMap::new(),
    };
    let needs = &mut facts.host_needs;
    needs.extend(config.text("hookscript").map(|volume| need("hookscript", volume.trim(), HostFile::Program)));
    match kind {
        GuestKind::Vm => {
            let snippets = config.text("cicustom").map(|text| Properties::parse(&text).named).unwrap_or_default();
            needs.extend(snippets.values().map(|volume| need("cicustom", volume, HostFile::Any)));
            for (key, rng) in config.numbered(&["rng"]) {
                needs.extend(rng.first("source").map(|path| need(key, path, HostFile::Device)));
            }
            facts.untested.extend(untested_of_vm(config));
        }
        GuestKind::Ct => {
            for (key, device) in config.numbered(&["dev"]) {
                needs.extend(device.first("path").map(|path| need(key, path, HostFile::Device)));
            }
            for (key, value) in config.raw() {
                match raw(&key, &value) {
                    Raw::Same => {}
                    Raw::Path(path, kind) => needs.push(need(&key, path, kind)),
                    Raw::OfItsNode(path) => facts.local_mounts.push(format!("{key} {path}")),
                    Raw::Untested => facts.untested.extend([key]),
                }
            }
            facts.untested.extend(untested_of_ct(config));
        }
    }
}

/// Completes the facts of guests that need something of their host.
pub(super) async fn locate(
    reader: &Reader<'_>,
    online: &[&NodeName],
    look: &Look<'_>,
    guests: &mut BTreeMap<GuestId, Guest>,
) {
    if let (Depth::Watch, Some(previous)) = (look.depth, look.previous) {
        for guest in guests.values_mut() {
            let before = previous.guests.get(&guest.id).and_then(|old| old.migration.known());
            take_over(before.map_or(&[], |facts| &facts.host_needs), guest);
        }
        return;
    }
    let paths = paths(reader, guests).await;
    let asked: BTreeSet<&str> = paths.values().filter_map(|path| path.as_deref().ok()).collect();
    let asked: Vec<&str> = asked.into_iter().collect();
    let modes = join_all(online.iter().map(|node| modes(reader, node, &asked))).await;
    for facts in guests.values_mut().filter_map(|guest| guest.migration.known_mut()) {
        for need in &mut facts.host_needs {
            let Some(path) = paths.get(&need.what) else { continue };
            for (node, modes) in online.iter().zip(&modes) {
                let mode = match (path, modes) {
                    (Err(why), _) | (_, Err(why)) => Observed::Unknown(why.clone()),
                    (Ok(path), Ok(modes)) => Observed::Known(modes.get(path).is_some_and(|mode| need.kind.fits(mode))),
                };
                need.on.insert((*node).clone(), mode);
            }
        }
    }
}

fn take_over(old: &[HostNeed], guest: &mut Guest) {
    let needs = guest.migration.known_mut().into_iter().flat_map(|facts| &mut facts.host_needs);
    for need in needs.filter(|need| need.on.is_empty()) {
        let same = old.iter().find(|old| (&old.key, &old.what) == (&need.key, &need.what));
        need.on = same.map(|old| old.on.clone()).unwrap_or_default();
    }
}

/// The path of everything that is needed: PVE says where a volume lies, and it does so for one that is not there too.
async fn paths(reader: &Reader<'_>, guests: &BTreeMap<GuestId, Guest>) -> BTreeMap<String, Result<String, WhyUnknown>> {
    let mut wanted: BTreeMap<&str, &NodeName> = BTreeMap::new();
    for guest in guests.values() {
        for need in guest.migration.known().into_iter().flat_map(|facts| &facts.host_needs) {
            wanted.entry(&need.what).or_insert(&guest.node);
        }
    }
    let found = wanted.into_iter().map(|(what, node)| async move {
        if what.starts_with('/') {
            return (what.to_owned(), Ok(what.to_owned()));
        }
        let path = NodeShell::new(reader, node).ok(&["pvesm", "path", what], QUICK).await;
        (what.to_owned(), path.map(|path| path.trim().to_owned()))
    });
    join_all(found).await.into_iter().collect()
}

/// Type and mode of those paths that a node has.
async fn modes(reader: &Reader<'_>, node: &NodeName, paths: &[&str]) -> Result<BTreeMap<String, String>, WhyUnknown> {
    let shell = NodeShell::new(reader, node);
    let mut found = BTreeMap::new();
    for some in paths.chunks(PATHS_AT_ONCE) {
        let argv: Vec<&str> = ["stat", "-L", "-c", "%A %n"].into_iter().chain(some.iter().copied()).collect();
        let output = shell.run(&argv, QUICK).await?;
        let seen: BTreeMap<&str, &str> =
            output.stdout.lines().filter_map(|line| line.split_once(' ')).map(|(mode, path)| (path, mode)).collect();
        // Only what stat itself calls missing is missing.
        let absent = |path: &str| {
            let about = |line: &&str| line.contains(&format!("'{path}'"));
            let gone = |line: &str| line.ends_with("No such file or directory") || line.ends_with("Not a directory");
            output.stderr.lines().find(about).is_some_and(gone)
        };
        let ended = matches!(output.exit, Exit::Status(0 | 1));
        if !ended || !some.iter().all(|path| seen.contains_key(path) || absent(path)) {
            return Err(shell.failed(&argv, &output));
        }
        found.extend(seen.into_iter().map(|(path, mode)| (path.to_owned(), mode.to_owned())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::lenient;
    use serde_json::json;

    fn noted(kind: GuestKind, config: serde_json::Value) -> MigrationFacts {
        let mut facts = MigrationFacts::default();
        note(kind, &lenient::read::<Config>(config).unwrap(), &mut facts);
        facts
    }

    fn needs(facts: &MigrationFacts) -> Vec<(&str, &str)> {
        facts.host_needs.iter().map(|need| (need.key.as_str(), need.what.as_str())).collect()
    }

    #[test]
    fn a_vm_needs_its_hook_script_its_snippets_and_its_source_of_randomness() {
        let facts = noted(
            GuestKind::Vm,
            json!({
                "hookscript": "local:snippets/up.sh", "cicustom": "user=local:snippets/user.yml", "cores": 2,
                "rng0": "source=/dev/hwrng,max_bytes=1024", "virtio0": "nfs:1/d", "virtiofs0": "dirid=share",
                "numa0": "cpus=0-3,memory=1024", "numa1": "cpus=4-7,hostnodes=1,memory=1024", "affinity": "0-7",
                "warp-drive": "on", "hugepages": "1024",
            }),
        );
        let all =
            [("hookscript", "local:snippets/up.sh"), ("cicustom", "local:snippets/user.yml"), ("rng0", "/dev/hwrng")];
        assert_eq!(needs(&facts), all);
        assert!(facts.host_needs[1].cold_start_only && !facts.host_needs[0].cold_start_only);
        assert_eq!(Vec::from_iter(&facts.untested), ["affinity", "hugepages", "numa1", "warp-drive"]);
    }

    #[test]
    fn what_a_container_mounts_raw_is_a_device_or_a_path_of_its_node() {
        let facts = noted(
            GuestKind::Ct,
            json!({
                "hostname": "dns", "dev0": "/dev/net/tun,mode=0666", "mp0": "/srv/x,mp=/x", "pet": "cat",
                "lxc": [
                    ["lxc.mount.entry", "/dev/dri dev/dri none bind,optional,create=dir"],
                    ["lxc.mount.entry", "/srv/media srv/media none bind,create=dir"],
                    ["lxc.mount.entry", "tmpfs tmp tmpfs size=1G"],
                    ["lxc.cgroup2.devices.allow", "c 10:200 rwm"], ["lxc.cgroup2.devices.allow", "c 509:* rwm"],
                    ["lxc.cap.drop", ""], ["lxc.hook.pre-start", "/usr/local/bin/up.sh now"], ["lxc.idmap", "u 0 100000 65536"],
                ],
            }),
        );
        let all =
            [("dev0", "/dev/net/tun"), ("lxc.mount.entry", "/dev/dri"), ("lxc.hook.pre-start", "/usr/local/bin/up.sh")];
        assert_eq!(needs(&facts), all);
        assert_eq!(facts.local_mounts, ["lxc.mount.entry /srv/media"]);
        assert_eq!(Vec::from_iter(&facts.untested), ["lxc.cgroup2.devices.allow", "lxc.idmap", "pet"]);
    }
}
