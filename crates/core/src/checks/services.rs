//! Services of PVE on each node.

use super::check::{Asked, Check, PROOF, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::NEEDED_SERVICES;

pub(super) struct Services;

kinds! {
    NeededStopped { node: NodeName, service: String, state: String, enabled: bool } => Blocking, node,
        ("service {service} on {node} is {state}{}", if enabled { "" } else { ", and not enabled" }),
        ("On {node}: systemctl status {service}; systemctl {} {service}", if enabled { "restart" } else { "enable --now" });
    OtherFailed { node: NodeName, service: String, state: String } => Warning, node,
        ("service {service} on {node} is {state}"),
        ("On {node}: systemctl status {service}; systemctl restart {service}");
}

impl Check for Services {
    const ID: &'static str = "services";
    const EXPLAIN: &'static str =
        "A service without which a node is no member (corosync, pve-cluster, pvedaemon, pveproxy, pvestatd, \
         pve-ha-lrm, pve-ha-crm) and that does not run is blocking: after its reboot the node would never count as \
         back. Any other service that is enabled and has failed is a warning. Look with `systemctl status SERVICE` on \
         the node.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly(PROOF);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            for stopped in node.services.known().into_iter().flatten().filter(|service| !service.active) {
                let (node, service, state) = (node.name.clone(), stopped.name.clone(), stopped.state.clone());
                if NEEDED_SERVICES.contains(&service.as_str()) {
                    found.push(Found::NeededStopped { node, service, state, enabled: stopped.enabled });
                } else if stopped.enabled && state == "failed" {
                    found.push(Found::OtherFailed { node, service, state });
                }
            }
        }
    }
}
