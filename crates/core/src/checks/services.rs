//! Services of PVE on each node.

use super::support::{Report, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::NEEDED_SERVICES;

pub(super) struct Services;

impl Check for Services {
    fn id(&self) -> &'static str {
        "services"
    }

    fn explain(&self) -> &'static str {
        "A service without which a node is no member (corosync, pve-cluster, pvedaemon, pveproxy, pvestatd, pve-ha-lrm, \
         pve-ha-crm) and that does not run is blocking: after its reboot the node would never count as back. Any other \
         service that is enabled and has failed is a warning. Look with `systemctl status SERVICE` on the node."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            for service in node.services.known().into_iter().flatten().filter(|service| !service.active) {
                let (name, service_name) = (&node.name, service.name.as_str());
                let severity = match NEEDED_SERVICES.contains(&service_name) {
                    true => Severity::Blocking,
                    false if service.enabled && service.state == "failed" => Severity::Warning,
                    false => continue,
                };
                let problem = format!("service {service_name} on {name} is {}", service.state);
                let remedy = format!("On {name}: systemctl status {service_name}; systemctl restart {service_name}");
                report.add(severity, name, problem, remedy);
            }
        }
        report.findings()
    }
}
