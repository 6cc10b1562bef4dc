//! Small outputs of a node's operating system: `dkms status`, corosync's journal, network configuration.

use std::collections::BTreeSet;

use quorate_core::snapshot::{CorosyncComplaints, Nics};

/// `nvidia/550.90, 6.8.12-1-pve, x86_64: installed`, or the older `nvidia, 550.90, …`.
pub fn dkms_modules(output: &str) -> BTreeSet<String> {
    let module = |line: &str| {
        let mut parts = line.split([',', ':']).map(str::trim);
        let first = parts.next().filter(|name| !name.is_empty())?;
        if first.contains('/') {
            return Some(first.to_owned());
        }
        Some(format!("{first}/{}", parts.next()?))
    };
    output.lines().filter_map(module).collect()
}

/// Counts corosync's complaints in lines of its journal.
pub fn corosync_complaints(journal: &str) -> CorosyncComplaints {
    let mut counted = CorosyncComplaints::default();
    for line in journal.lines() {
        if line.contains("Retransmit List:") {
            counted.retransmits += 1;
        } else if line.contains(" link: ") && line.trim_end().ends_with("is down") {
            counted.links_lost += 1;
        } else if line.contains("A processor failed") || line.contains("Token has not been received") {
            counted.tokens_lost += 1;
        }
    }
    counted
}

/// Physical cards that `/etc/network/interfaces` uses, and `Name=` lines of systemd's `.link` files.
pub fn nics(interfaces: &str, links: &str) -> Nics {
    let mut named = BTreeSet::new();
    let mut virtual_ones = BTreeSet::from(["lo".to_owned()]);
    let mut stanza = String::new();
    for line in interfaces.lines().map(|line| line.split('#').next().unwrap_or("")) {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        let rest: Vec<String> = words.map(str::to_owned).collect();
        match key.replace('_', "-").as_str() {
            "iface" => {
                stanza = rest.first().cloned().unwrap_or_default();
                named.insert(stanza.clone());
            }
            "bridge-ports" | "bond-slaves" | "slaves" | "ovs-bonds" | "ovs-ports" => {
                virtual_ones.insert(stanza.clone());
                named.extend(rest.into_iter().filter(|name| name != "none"));
            }
            "vlan-raw-device" => {
                virtual_ones.insert(stanza.clone());
                named.extend(rest);
            }
            _ => {}
        }
    }
    // A VLAN is on its card: `eno1.20` is `eno1`. Bridges and bonds without members are virtual by their names.
    let card = |name: &String| name.split(['.', '@']).next().unwrap_or("").to_owned();
    let is_virtual = |name: &String| {
        virtual_ones.contains(name)
            || ["vmbr", "bond", "vlan", "dummy", "tap", "veth"].iter().any(|kind| name.starts_with(kind))
    };
    let used = named.iter().map(card).filter(|name| !name.is_empty() && !is_virtual(name)).collect();
    let pinned = links.lines().filter_map(|line| line.trim().strip_prefix("Name=")).map(|name| name.trim().to_owned());
    Nics { used, pinned: pinned.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dkms_is_read_in_its_old_and_its_new_form() {
        let text = "nvidia/550.90, 6.8.12-1-pve, x86_64: installed\nzfs, 2.2.4, 6.8.12-1-pve, x86_64: installed\n\n";
        assert_eq!(dkms_modules(text), ["nvidia/550.90", "zfs/2.2.4"].map(str::to_owned).into());
    }

    #[test]
    fn the_complaints_of_corosync_are_counted_by_kind() {
        let journal = "[KNET  ] link: host: 2 link: 0 is down\n[KNET  ] link: host: 2 link: 0 is up\n\
                       [TOTEM ] Retransmit List: 1a 1b\n[TOTEM ] Retransmit List: 1c\n\
                       [TOTEM ] A processor failed, forming new configuration: token timed out\n[QUORUM] Members[3]: 1 2 3\n";
        let counted = corosync_complaints(journal);
        assert_eq!(counted, CorosyncComplaints { retransmits: 2, links_lost: 1, tokens_lost: 1 });
    }

    #[test]
    fn cards_are_found_below_bridges_bonds_and_vlans() {
        let interfaces = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\niface eno2 inet manual\n\
                          auto bond0\niface bond0 inet manual\n\tbond-slaves eno1 eno2\n\n\
                          auto vmbr0\niface vmbr0 inet static\n\taddress 10.0.0.1/24\n\tbridge-ports bond0 # uplink\n\n\
                          auto enp5s0.20\niface enp5s0.20 inet manual\n\niface vmbr9 inet manual\n\tbridge_ports none\n";
        let nics = nics(interfaces, "[Link]\nName=eno1\n");
        assert_eq!(nics.used, ["eno1", "eno2", "enp5s0"].map(str::to_owned).into());
        assert_eq!(nics.loose().collect::<Vec<_>>(), ["eno2", "enp5s0"]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_them_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let text = String::from_utf8_lossy(&bytes);
            let _any = (dkms_modules(&text), corosync_complaints(&text), nics(&text, &text));
        }
    }
}
