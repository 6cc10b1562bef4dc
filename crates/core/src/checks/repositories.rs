//! Package sources of each node.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Asked, Check, HALF, Waivable, kinds};
use super::support::{online, source_is_own};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Node, Repository, Snapshot, SubscriptionStatus};

pub(super) struct Repositories;

kinds! {
    NoSource { node: NodeName } => Blocking, node,
        ("no package source is enabled on {node}"),
        ("Correct it: /etc/apt/sources.list.d on {node}, or its page Updates, Repositories");
    ReleasesMixed { node: NodeName, releases: Vec<String> } => Blocking, node,
        ("the package sources of {node} mix the releases {}", releases.join(" and ")),
        ("Correct it: /etc/apt/sources.list.d on {node}, or its page Updates, Repositories");
    VendorRelease { node: NodeName, path: String, release: String, own: String } => Warning, node,
        ("{path} on {node} names {release}, and Debian's and Proxmox's own sources there name {own}"),
        ("If its vendor has packages for {own}: name that in {path} on {node}. Otherwise look at what it brings: apt-get -s \
          dist-upgrade");
    NoSubscription { node: NodeName, path: String } => Blocking, node,
        ("{node} uses the enterprise source ({path}) and has no valid subscription"),
        ("Enter a key (pvesubscription set KEY) or disable the source in {path} on {node}");
    NoPveSource { node: NodeName } => Warning, node,
        ("no source on {node} names a component of PVE: is it a mirror of your own?"),
        ("Correct it: /etc/apt/sources.list.d on {node}, or its page Updates, Repositories");
    TestSource { node: NodeName } => Warning, node,
        ("{node} draws from the test component of PVE"),
        ("Correct it: /etc/apt/sources.list.d on {node}, or its page Updates, Repositories");
    NodesDiffer { list: Vec<String> } => Warning, Cluster,
        ("nodes draw from different components of PVE ({})", list.join("; ")),
        ("Give all nodes the same package sources");
}

impl Check for Repositories {
    const ID: &'static str = "repositories";
    const EXPLAIN: &'static str =
        "All files of a node count, in both formats. Sources of Debian and Proxmox for two Debian releases at once make dist-upgrade mix \
         them: blocking; a vendor's source that names another release is a warning. The enterprise source without a valid subscription answers 401, and reading the package lists \
         fails: blocking. A node with no source at all has nothing to upgrade from: blocking. No source that names a \
         component of PVE, the test component, and nodes that draw from different components are warnings: nodes would \
         end up with different versions. Correct them in /etc/apt/sources.list.d or with the node's page Updates, \
         Repositories.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly(HALF);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let mut components: BTreeMap<BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
        for node in online(snapshot) {
            let Some(all) = node.repositories.known() else { continue };
            let enabled: Vec<&Repository> =
                all.iter().filter(|source| source.enabled && source.types.iter().any(|kind| kind == "deb")).collect();
            one_node(node, &enabled, found);
            components.entry(pve_components(&enabled)).or_default().push(node.name.as_str());
        }
        if components.len() > 1 {
            let line = |(components, nodes): (&BTreeSet<&str>, &Vec<&str>)| {
                let components: Vec<&str> = components.iter().copied().collect();
                let components = if components.is_empty() { "none".to_owned() } else { components.join(" ") };
                format!("{}: {components}", nodes.join(", "))
            };
            found.push(Found::NodesDiffer { list: components.iter().map(line).collect() });
        }
    }
}

fn one_node(node: &Node, enabled: &[&Repository], found: &mut Vec<Found>) {
    let name = || node.name.clone();
    if enabled.is_empty() {
        found.push(Found::NoSource { node: name() });
        return;
    }
    let (own, vendors): (Vec<&Repository>, Vec<&Repository>) =
        enabled.iter().partition(|source| source_is_own(source));
    // Mirrors whose origin is not known may be all there is: then they are the node's own.
    let (own, vendors) = if own.is_empty() { (vendors, own) } else { (own, vendors) };
    let own: BTreeSet<&str> = own.iter().copied().flat_map(codenames).collect();
    for vendor in vendors {
        for release in codenames(vendor).filter(|release| !own.contains(release)) {
            let (path, release) = (vendor.path.clone(), release.to_owned());
            let own = own.iter().copied().collect::<Vec<_>>().join(" and ");
            found.push(Found::VendorRelease { node: name(), path, release, own });
        }
    }
    if own.len() > 1 {
        let releases = own.into_iter().map(str::to_owned).collect();
        found.push(Found::ReleasesMixed { node: name(), releases });
    }
    let enterprise = enabled.iter().find(|source| source.uris.iter().any(|uri| uri.contains("enterprise.proxmox.com")));
    let has_key = node.subscription.known().is_none_or(|status| *status == SubscriptionStatus::Active);
    if let Some(source) = enterprise.filter(|_| !has_key) {
        found.push(Found::NoSubscription { node: name(), path: source.path.clone() });
    }
    let components = pve_components(enabled);
    if components.is_empty() {
        found.push(Found::NoPveSource { node: name() });
    } else if components.iter().any(|component| component.ends_with("test")) {
        found.push(Found::TestSource { node: name() });
    }
}

fn pve_components<'a>(enabled: &[&'a Repository]) -> BTreeSet<&'a str> {
    let components = enabled.iter().flat_map(|source| source.components.iter().map(String::as_str));
    components.filter(|component| component.starts_with("pve")).collect()
}

/// The Debian releases that a source names.
fn codenames(source: &Repository) -> impl Iterator<Item = &str> {
    source.suites.iter().filter_map(|suite| codename(suite))
}

/// `trixie` from `trixie-updates`; none for a flat repository (`./`) and for suites that name no Debian release.
fn codename(suite: &str) -> Option<&str> {
    const RELEASES: [&str; 6] = ["buster", "bullseye", "bookworm", "trixie", "forky", "duke"];
    let base = suite.split(['-', '/']).next()?;
    RELEASES.contains(&base).then_some(base)
}
