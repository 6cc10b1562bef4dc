//! From a path to the function that answers it: routes and schema combined once, sorted by method and number of parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::call::{Handler, Route};
use super::{
    access, apt, bulk, ceph, ceph_daemons, cluster, datacenter, guest_changes, guests, ha, ha_rules, host, indexes,
    journals, moves, nodes, power, replication, storage, tasks, users,
};
use crate::access::percent_decode;
use crate::schema::{Method, Release, methods};

/// A route with its description.
pub(super) struct Endpoint {
    pub(super) schema: &'static Method,
    pub(super) run: Handler,
    parts: Vec<Part>,
}

enum Part {
    Word(&'static str),
    Name(&'static str),
}

/// An endpoint, and the values of the names in braces.
pub(super) type Found = (&'static Endpoint, Vec<(&'static str, String)>);

type Table = BTreeMap<(&'static str, usize), Vec<Endpoint>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let by_name: BTreeMap<(&str, &str), &'static Method> =
        methods().iter().map(|method| ((method.method.as_str(), method.path.as_str()), method)).collect();
    let mut table = Table::new();
    for route in routes() {
        let schema = *by_name.get(&(route.method, route.path)).expect("every route is described in the schema");
        let parts: Vec<Part> = parts(route.path).map(Part::of).collect();
        let bucket = table.entry((route.method, parts.len())).or_default();
        bucket.push(Endpoint { schema, run: route.run, parts });
    }
    // A literal part takes precedence over a name in braces.
    for bucket in table.values_mut() {
        bucket.sort_by_key(Endpoint::names);
    }
    table
});

/// All calls that are answered.
fn routes() -> impl Iterator<Item = &'static Route> {
    [
        access::ROUTES,
        apt::ROUTES,
        bulk::ROUTES,
        ceph::ROUTES,
        ceph_daemons::ROUTES,
        cluster::ROUTES,
        datacenter::ROUTES,
        guest_changes::ROUTES,
        guests::ROUTES,
        ha::ROUTES,
        ha_rules::ROUTES,
        host::ROUTES,
        indexes::ROUTES,
        journals::ROUTES,
        moves::ROUTES,
        nodes::ROUTES,
        power::ROUTES,
        replication::ROUTES,
        storage::ROUTES,
        tasks::ROUTES,
        users::ROUTES,
    ]
    .into_iter()
    .flatten()
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

impl Part {
    fn of(text: &'static str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => Self::Name(name),
            None => Self::Word(text),
        }
    }
}

impl Endpoint {
    fn name(&self) -> (&'static str, &'static str) {
        (self.schema.method.as_str(), self.schema.path.as_str())
    }

    fn names(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Name(_))).count()
    }

    fn fits(&self, asked: &[&str]) -> bool {
        self.parts.iter().zip(asked).all(|(part, asked)| match part {
            Part::Word(word) => word == asked,
            Part::Name(_) => true,
        })
    }
}

/// Finds what answers a call.
pub(super) fn find(method: &str, path: &str) -> Option<Found> {
    let asked: Vec<&str> = parts(path).collect();
    // The key borrows for 'static; the four methods are known.
    let method = ["GET", "POST", "PUT", "DELETE"].into_iter().find(|known| *known == method)?;
    let endpoint = TABLE.get(&(method, asked.len()))?.iter().find(|endpoint| endpoint.fits(&asked))?;
    let names = endpoint.parts.iter().zip(&asked).filter_map(|(part, value)| match part {
        Part::Name(name) => Some((*name, percent_decode(value))),
        Part::Word(_) => None,
    });
    Some((endpoint, names.collect()))
}

/// Every call that some release answers, as method and path with names in braces.
pub fn endpoints() -> Vec<(&'static str, &'static str)> {
    TABLE.values().flatten().map(Endpoint::name).collect()
}

/// The paths of all calls that this release answers.
pub(super) fn paths(release: Release) -> Vec<&'static str> {
    let answered = TABLE.values().flatten().filter(|endpoint| endpoint.schema.since <= release);
    answered.map(|endpoint| endpoint.name().1).collect()
}

/// Names below a path of the table, each with the verbs that it has; none if there is no such path.
pub(crate) fn children(path: &str, release: Release) -> Option<Vec<String>> {
    let asked: Vec<&str> = parts(path).collect();
    let mut verbs: BTreeMap<String, (bool, BTreeSet<char>)> = BTreeMap::new();
    let known = TABLE.values().flatten().filter(|endpoint| endpoint.schema.since <= release);
    for endpoint in known.filter(|endpoint| endpoint.parts.len() > asked.len() && endpoint.fits(&asked)) {
        let name = match &endpoint.parts[asked.len()] {
            Part::Word(word) => (*word).to_owned(),
            Part::Name(name) => format!("{{{name}}}"),
        };
        let entry = verbs.entry(name).or_default();
        if endpoint.parts.len() > asked.len() + 1 {
            entry.0 = true;
        } else {
            entry.1.insert(match endpoint.schema.method.as_str() {
                "GET" => 'r',
                "PUT" => 'w',
                "POST" => 'c',
                _ => 'd',
            });
        }
    }
    if verbs.is_empty() {
        return None;
    }
    let line = |(name, (below, verbs)): (String, (bool, BTreeSet<char>))| {
        let flag = |verb: char| if verbs.contains(&verb) { verb } else { '-' };
        let directory = if below { 'D' } else { '-' };
        format!("{directory}{}{}{}{}        {name}\n", flag('r'), flag('w'), flag('c'), flag('d'))
    };
    Some(verbs.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_path_is_found_before_one_with_a_name_in_its_place() {
        let (found, names) = find("GET", "/cluster/ha/status/current").unwrap();
        assert_eq!((found.schema.path.as_str(), names.len()), ("/cluster/ha/status/current", 0));
        let (found, names) = find("GET", "//nodes/pve1/qemu/101/config/").unwrap();
        assert_eq!(found.schema.path, "/nodes/{node}/qemu/{vmid}/config");
        assert_eq!(names, [("node", "pve1".to_owned()), ("vmid", "101".to_owned())]);
        assert!(find("PATCH", "/version").is_none() && find("GET", "/nodes/pve1/nothing").is_none());
    }
}
