//! The addresses of machines, and the ways between them as a migration takes them.

use std::net::IpAddr;

use quorate_core::ids::NodeName;
use quorate_core::version::Version;

use super::World;
use super::migration::{Migration, Mode};
use super::node::{Address, Node};

/// Networks of the links, as `/etc/network/interfaces` has them.
const LINK_PREFIX: u8 = 24;

impl Node {
    /// Its addresses: those of its links, the first of which is its own, and further ones.
    pub fn addresses(&self) -> Vec<Address> {
        if !self.surroundings.interfaces.is_empty() {
            let all = self.surroundings.interfaces.iter();
            return all.filter(|address| address.interface != "lo").cloned().collect();
        }
        let links = self.links.iter().filter_map(|link| Some((link.address.parse().ok()?, LINK_PREFIX)));
        let more = self.surroundings.addresses.iter().filter_map(|text| {
            let (ip, prefix) = text.split_once('/')?;
            Some((ip.parse().ok()?, prefix.parse().ok()?))
        });
        let address = |(index, (ip, prefix)): (usize, (IpAddr, u8))| Address {
            interface: format!("vmbr{index}"),
            ip,
            prefix,
            mtu: self.surroundings.mtu,
        };
        links.chain(more).enumerate().map(address).collect()
    }

    /// Largest packet that it sends to an address.
    pub fn mtu_towards(&self, to: IpAddr) -> u32 {
        let inside = |address: &Address| is_in(to, &format!("{}/{}", address.ip, address.prefix));
        self.addresses().iter().find(|address| inside(address)).map_or(self.surroundings.mtu, |address| address.mtu)
    }

    /// Largest packet of any of its cards.
    fn largest_packet(&self) -> u32 {
        self.addresses().iter().map(|address| address.mtu).max().unwrap_or(self.surroundings.mtu)
    }
}

impl World {
    /// Gives a node another own address. An interface that is known by itself keeps the old one beside it: the network of
    /// migrations may be that one.
    pub fn readdress(&mut self, name: &NodeName, to: IpAddr) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let Some(link) = node.links.first_mut() else { return };
        let before = std::mem::replace(&mut link.address, to.to_string());
        if before == link.address {
            return;
        }
        let interfaces = &mut node.surroundings.interfaces;
        if let Some(at) = interfaces.iter().position(|address| address.ip.to_string() == before) {
            let also = Address { ip: to, prefix: LINK_PREFIX, ..interfaces[at].clone() };
            interfaces.insert(at, also);
        }
        let osds = self.ceph.iter_mut().flat_map(|ceph| ceph.osds.values_mut()).filter(|osd| osd.host == *name);
        for address in osds.flat_map(|osd| &mut osd.addresses).filter(|address| address.to_string() == before) {
            *address = to;
        }
    }

    /// Which machine has this address?
    pub fn machine_at(&self, ip: IpAddr) -> Option<&NodeName> {
        let has = |node: &&Node| node.addresses().iter().any(|address| address.ip == ip);
        self.nodes.values().find(has).map(|node| &node.name)
    }

    /// The one address of a node in a network, or what `pvecm mtunnel` says on the node.
    pub fn address_in(&self, node: &NodeName, network: &str) -> Result<IpAddr, String> {
        let all = self.nodes.get(node).map(Node::addresses).unwrap_or_default();
        let inside: Vec<IpAddr> = all.iter().map(|address| address.ip).filter(|ip| is_in(*ip, network)).collect();
        match inside[..] {
            [] => Err(format!(
                "could not get migration ip: no IP address configured on local node for network '{network}'"
            )),
            [one] => Ok(one),
            _ => Err(format!(
                "could not get migration ip: multiple, different, IP address configured for network '{network}'"
            )),
        }
    }

    /// A login from one node at another, with PVE's own keys.
    pub fn ssh_to(&self, from: &NodeName, to: &NodeName) -> Result<(), String> {
        let address = self.nodes.get(to).and_then(|node| node.links.first()).map_or("", |link| &link.address);
        if !self.nodes.get(to).is_some_and(|node| node.ssh_up) {
            return Err(format!("ssh: connect to host {address} port 22: Connection refused"));
        }
        match self.nodes.get(from).and_then(|node| node.surroundings.login_fails.get(to)) {
            Some(said) => Err(said.clone()),
            None => Ok(()),
        }
    }

    /// Do packets of this size get from one node to another? A card drops what is larger than its own.
    pub fn packet_arrives(&self, from: &NodeName, to: &NodeName, bytes: u32) -> bool {
        let takes = |name: &NodeName| self.nodes.get(name).is_some_and(|node| bytes <= node.largest_packet());
        let narrow = self.nodes.get(from).and_then(|node| node.surroundings.narrow.get(to));
        takes(from) && takes(to) && narrow.is_none_or(|lost| bytes < *lost)
    }

    /// Before anything else PVE asks the target for its address in the migration network.
    pub(crate) fn has_way(&self, m: &Migration) -> Result<(), String> {
        let Some(network) = &self.options.migration_network else { return Ok(()) };
        match self.ssh_to(&m.source, &m.target) {
            Ok(()) => self.address_in(&m.target, network).map(drop),
            Err(_) => Ok(()),
        }
    }

    /// The task ends before its first line: the command on the target has failed.
    pub(crate) fn no_way(&mut self, m: &Migration, said: &str) {
        self.task_says(&m.upid, said);
        let network = self.options.migration_network.clone().unwrap_or_default();
        let target = self.nodes.get(&m.target).and_then(|node| node.links.first());
        let address = target.map(|link| link.address.clone()).unwrap_or_default();
        let status = format!(
            "command '/usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias={}' root@{address} pvecm mtunnel \
             -migration_network {network} -get_migration_ip' failed: exit code 255",
            m.target
        );
        self.forget_migration(m.guest);
        self.end_task(&m.upid, &status);
    }

    /// The source starts QEMU on the target by `qm start`, whose options depend on the target's release.
    pub(crate) fn target_knows_options(&self, m: &Migration) -> Result<(), String> {
        let release = self.nodes.get(&m.target).and_then(|node| node.installed("pve-manager"));
        match m.with_conntrack_state && release.is_none_or(|release| *release < Version::new("9.0")) {
            true => Err("Unknown option: with-conntrack-state".to_owned()),
            false => Ok(()),
        }
    }

    /// The memory of a VM goes in packets as large as its node's card sends.
    pub(crate) fn packets_are_lost(&self, m: &Migration) -> bool {
        let mtu = self.nodes.get(&m.source).map_or(1500, |node| node.surroundings.mtu);
        m.mode == Mode::Live && !self.packet_arrives(&m.source, &m.target, mtu)
    }

    /// The target's address: in the migration network, if there is one.
    pub(crate) fn address(&self, m: &Migration) -> String {
        let inside =
            self.options.migration_network.as_ref().and_then(|network| self.address_in(&m.target, network).ok());
        let link = self.nodes.get(&m.target).and_then(|node| node.links.first());
        inside.map(|ip| ip.to_string()).or_else(|| link.map(|link| link.address.clone())).unwrap_or_default()
    }
}

/// Is an address in a network, `10.10.3.0/24`?
pub fn is_in(ip: IpAddr, network: &str) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let parts = network
        .split_once('/')
        .and_then(|(base, prefix)| Some((base.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?)));
    parts.is_some_and(|(base, prefix)| {
        let shift = 128_u32.saturating_sub(prefix);
        base.is_ipv4() == ip.is_ipv4() && (bits(base) ^ bits(ip)).checked_shr(shift).unwrap_or(0) == 0
    })
}
