//! Files of the cluster that are made from what it is.

use std::fmt::Write as _;

use super::Shell;
use crate::api::address;

impl Shell<'_> {
    pub(super) fn corosync_conf(&self) -> String {
        let corosync = &self.world.corosync;
        let mut text = String::from("logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n");
        for (name, node) in &self.world.nodes {
            let votes = corosync.votes.get(name).copied().unwrap_or(1);
            let _ =
                writeln!(text, "  node {{\n    name: {name}\n    nodeid: {}\n    quorum_votes: {votes}", node.nodeid);
            for (number, link) in node.links.iter().enumerate() {
                let _ = writeln!(text, "    ring{number}_addr: {}", link.address);
            }
            text.push_str("  }\n");
        }
        text.push_str("}\n\nquorum {\n");
        if let Some(device) = &corosync.qdevice {
            let algorithm = if device.votes == 1 { "ffsplit" } else { "lms" };
            let _ = writeln!(
                text,
                "  device {{\n    model: net\n    net {{\n      algorithm: {algorithm}\n      host: qnetd\n      tls: on\n    \
                 }}\n    votes: {}\n  }}",
                device.votes
            );
        }
        text.push_str("  provider: corosync_votequorum\n}\n\ntotem {\n");
        let _ =
            writeln!(text, "  cluster_name: {}\n  config_version: {}", corosync.cluster_name, corosync.config_version);
        for link in 0..self.here().links.len() {
            let _ = writeln!(text, "  interface {{\n    linknumber: {link}\n  }}");
        }
        text.push_str("  ip_version: ipv4-6\n  link_mode: passive\n  secauth: on\n  version: 2\n}\n\n");
        text
    }

    pub(super) fn ceph_conf(&self) -> Option<String> {
        let ceph = self.world.ceph.as_ref()?;
        let hosts = ceph.mons.values().filter_map(|mon| self.world.nodes.get(&mon.host)).map(address);
        let hosts: Vec<_> = hosts.collect();
        let mut text = format!(
            "[global]\n\tauth_client_required = cephx\n\tauth_cluster_required = cephx\n\tauth_service_required = cephx\n\
             \tfsid = {}\n\tmon_allow_pool_delete = true\n\tmon_host = {}\n\tosd_pool_default_min_size = 2\n\
             \tosd_pool_default_size = 3\n\n[client]\n\tkeyring = /etc/pve/priv/$cluster.$name.keyring\n\n",
            ceph.fsid,
            hosts.join(" ")
        );
        for (name, mon) in &ceph.mons {
            let ip = self.world.nodes.get(&mon.host).map_or("", address);
            let _ = write!(text, "[mon.{name}]\n\tpublic_addr = {ip}\n\n");
        }
        Some(text)
    }

    pub(super) fn members_file(&self) -> String {
        let view = self.world.corosync.views.get(self.node);
        let nodes: serde_json::Map<_, _> = self
            .world
            .nodes
            .iter()
            .map(|(name, node)| {
                let online = u8::from(view.is_some_and(|view| view.members.contains(name)));
                (name.to_string(), serde_json::json!({"id": node.nodeid, "online": online, "ip": address(node)}))
            })
            .collect();
        let quorate = u8::from(view.is_some_and(|view| view.quorate));
        let cluster = &self.world.corosync;
        format!(
            "{:#}\n",
            serde_json::json!({
                "nodename": self.node, "version": cluster.config_version, "nodelist": nodes,
                "cluster": {"name": cluster.cluster_name, "version": cluster.config_version,
                            "nodes": cluster.votes.len(), "quorate": quorate},
            })
        )
    }
}
