//! Package sources of each node.

use std::collections::{BTreeMap, BTreeSet};

use super::support::{Report, online};
use super::{Check, Finding, Severity, Subject};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Node, Repository, Snapshot, SubscriptionStatus};

pub(super) struct Repositories;

impl Check for Repositories {
    fn id(&self) -> &'static str {
        "repositories"
    }

    fn explain(&self) -> &'static str {
        "All files of a node count, in both formats. Sources of two Debian releases at once make dist-upgrade mix them: \
         blocking. The enterprise source without a valid subscription answers 401, and reading the package lists fails: \
         blocking. A node with no source at all has nothing to upgrade from: blocking. No source that names a component \
         of PVE, the test component, and nodes that draw from different components are warnings: nodes would end up with \
         different versions. Set them right in /etc/apt/sources.list.d or with the node's page Updates, Repositories."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let mut components: BTreeMap<BTreeSet<&str>, Vec<&NodeName>> = BTreeMap::new();
        for node in online(snapshot) {
            let Some(all) = node.repositories.known() else { continue };
            let enabled: Vec<&Repository> =
                all.iter().filter(|source| source.enabled && source.types.iter().any(|kind| kind == "deb")).collect();
            one_node(node, &enabled, &mut report);
            components.entry(pve_components(&enabled)).or_default().push(&node.name);
        }
        if components.len() > 1 {
            let line = |(components, nodes): (&BTreeSet<&str>, &Vec<&NodeName>)| {
                let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
                let components: Vec<&str> = components.iter().copied().collect();
                format!(
                    "{}: {}",
                    nodes.join(", "),
                    if components.is_empty() { "none".to_owned() } else { components.join(" ") }
                )
            };
            let list: Vec<String> = components.iter().map(line).collect();
            let problem = format!("nodes draw from different components of PVE ({})", list.join("; "));
            report.add(Severity::Warning, Subject::Cluster, problem, "Give all nodes the same package sources");
        }
        report.findings()
    }
}

fn one_node(node: &Node, enabled: &[&Repository], report: &mut Report) {
    let name = &node.name;
    let remedy = format!("Set it right: /etc/apt/sources.list.d on {name}, or its page Updates, Repositories");
    if enabled.is_empty() {
        report.add(Severity::Blocking, name, format!("no package source is enabled on {name}"), remedy);
        return;
    }
    let codenames: BTreeSet<&str> =
        enabled.iter().flat_map(|source| source.suites.iter()).filter_map(|suite| codename(suite)).collect();
    if codenames.len() > 1 {
        let list: Vec<&str> = codenames.into_iter().collect();
        let problem = format!("the package sources of {name} mix the releases {}", list.join(" and "));
        report.add(Severity::Blocking, name, problem, remedy.clone());
    }
    let enterprise = enabled.iter().find(|source| source.uris.iter().any(|uri| uri.contains("enterprise.proxmox.com")));
    let has_key = node.subscription.known().is_none_or(|status| *status == SubscriptionStatus::Active);
    if let Some(source) = enterprise.filter(|_| !has_key) {
        let problem = format!("{name} uses the enterprise source ({}) and has no valid subscription", source.path);
        let remedy =
            format!("Enter a key (pvesubscription set KEY) or disable the source in {} on {name}", source.path);
        report.add(Severity::Blocking, name, problem, remedy);
    }
    let components = pve_components(enabled);
    if components.is_empty() {
        let problem = format!("no source on {name} names a component of PVE: is it a mirror of your own?");
        report.add(Severity::Warning, name, problem, remedy);
    } else if components.iter().any(|component| component.ends_with("test")) {
        report.add(Severity::Warning, name, format!("{name} draws from the test component of PVE"), remedy);
    }
}

fn pve_components<'a>(enabled: &[&'a Repository]) -> BTreeSet<&'a str> {
    let components = enabled.iter().flat_map(|source| source.components.iter().map(String::as_str));
    components.filter(|component| component.starts_with("pve")).collect()
}

/// `trixie` from `trixie-updates`; none for a flat repository (`./`) and for suites that name no Debian release.
fn codename(suite: &str) -> Option<&str> {
    const RELEASES: [&str; 6] = ["buster", "bullseye", "bookworm", "trixie", "forky", "duke"];
    let base = suite.split(['-', '/']).next()?;
    RELEASES.contains(&base).then_some(base)
}
