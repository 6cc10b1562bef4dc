//! `ip`, `ping` and `ssh` between the nodes.

use std::net::IpAddr;
use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_world::node::Address;
use serde_json::{Value, json};

use super::{Options, Output, Shell};

/// What ping adds to its payload: the headers of IPv4 and ICMP.
const HEADERS: u32 = 28;

impl Shell<'_> {
    pub(super) fn network(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        Some(match name {
            "ip" => self.ip(args),
            "ping" => self.ping(args),
            "ssh" => self.ssh(args),
            _ => return None,
        })
    }

    /// `ip -j address show up`: one entry for each interface, the first bridge with the node's own address.
    fn ip(&self, args: &[&str]) -> Output {
        let rest: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
        if !args.contains(&"-j") || !matches!(rest[..], ["address" | "addr" | "a", "show", "up"]) {
            return Output::fail(255, format!("Object \"{}\" is unknown, try \"ip help\".\n", rest.join(" ")));
        }
        let lo = json!({
            "ifindex": 1, "ifname": "lo", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "mtu": 65536, "operstate": "UNKNOWN",
            "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8, "scope": "host", "label": "lo"}],
        });
        let recorded = &self.here().surroundings.interfaces;
        let addresses = if recorded.is_empty() { self.here().addresses() } else { recorded.clone() };
        let entry = |(index, address): (usize, Address)| {
            let Address { interface: name, mtu, .. } = &address;
            let family = if address.ip.is_ipv4() { "inet" } else { "inet6" };
            json!({
                "ifindex": index + 2, "ifname": name, "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "mtu": mtu,
                "operstate": "UP",
                "addr_info": [{"family": family, "local": address.ip.to_string(), "prefixlen": address.prefix,
                               "scope": "global", "label": name}],
            })
        };
        let all: Vec<Value> =
            recorded.is_empty().then_some(lo).into_iter().chain(addresses.into_iter().enumerate().map(entry)).collect();
        Output::ok(format!("{}\n", Value::Array(all)))
    }

    /// The node with this address, if it is up.
    fn reaches(&self, address: &str) -> Option<NodeName> {
        let ip: IpAddr = address.parse().ok()?;
        let node = self.world.machine_at(ip)?;
        self.world.nodes.get(node).filter(|node| node.is_up()).map(|node| node.name.clone())
    }

    fn ping(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-c", "-i", "-W", "-M", "-s"]);
        let Some(address) = options.rest.first() else {
            return Output::fail(2, "ping: usage error: Destination address required\n");
        };
        let size = options.value(&["-s"]).and_then(|size| size.parse::<u32>().ok()).unwrap_or(56) + HEADERS;
        let mtu = address.parse().map_or(1500, |to| self.here().mtu_towards(to));
        if options.value(&["-M"]) == Some("do") && size > mtu {
            return Output::fail(1, format!("ping: local error: message too long, mtu: {mtu}\n"));
        }
        let to = self.reaches(address);
        match to.is_some_and(|to| self.world.packet_arrives(self.node, &to, size)) {
            true => Output::ok(format!("2 packets transmitted, 2 received, 0% packet loss to {address}\n")),
            false => Output::fail(1, "").takes(Duration::from_secs(2)),
        }
    }

    /// A login with a command that does nothing.
    fn ssh(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-e", "-o"]);
        let [at, command @ ..] = &options.rest[..] else { return Output::fail(255, "usage: ssh destination\n") };
        let address = at.strip_prefix("root@").unwrap_or(at);
        if !matches!(command, ["/bin/true" | "true"]) {
            return Output::fail(127, format!("bash: line 1: {}: command not found\n", command.join(" ")));
        }
        let Some(to) = self.reaches(address) else {
            let stderr = format!("ssh: connect to host {address} port 22: No route to host\n");
            return Output::fail(255, stderr).takes(Duration::from_secs(3));
        };
        // The alias names the key that is asked for, whatever the address.
        let alias = options.values(&["-o"]).into_iter().find_map(|option| option.strip_prefix("HostKeyAlias="));
        match self.world.ssh_to(self.node, &to) {
            Ok(()) if alias.is_some_and(|alias| alias != to.as_str()) => {
                Output::fail(255, "Host key verification failed.\n")
            }
            Ok(()) => Output::default(),
            Err(said) => Output::fail(255, format!("{said}\n")),
        }
    }
}
