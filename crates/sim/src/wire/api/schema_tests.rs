//! The tables of parameters and privileges against PVE's published schema (a cut of it, newest release).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Needs, routes};
use crate::wire::params::Need;

#[derive(Deserialize)]
struct Method {
    method: String,
    path: String,
    params: BTreeMap<String, Parameter>,
    check: Option<Vec<serde_json::Value>>,
    user: Option<String>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(default)]
    optional: u8,
}

fn schema() -> BTreeMap<(String, String), Method> {
    let all: Vec<Method> = serde_json::from_str(include_str!("../../../tests/fixtures/schema.json")).unwrap();
    all.into_iter().map(|method| ((method.method.clone(), method.path.clone()), method)).collect()
}

/// Indexes, which are no part of the cut.
const INDEXES: [&str; 5] = ["/", "/cluster", "/cluster/ha", "/nodes/{node}", "/nodes/{node}/apt"];

/// Parameters that we know and the cut does not have: it leaves out what matters to no upgrade.
const GONE: [(&str, &str); 1] = [("/nodes/{node}/qemu/{vmid}/config", "description")];

/// Methods whose long list of parameters is known here in part.
const PARTLY: [&str; 1] = ["/nodes/{node}/qemu/{vmid}/config"];

#[test]
fn every_endpoint_is_in_the_schema_with_the_same_parameters() {
    let schema = schema();
    let mut wrong = Vec::new();
    for route in routes().filter(|route| !INDEXES.contains(&route.path)) {
        let name = format!("{} {}", route.method, route.path);
        let Some(method) = schema.get(&(route.method.to_owned(), route.path.to_owned())) else {
            wrong.push(format!("{name}: not in the schema"));
            continue;
        };
        for param in route.params {
            match method.params.get(param.name) {
                None if GONE.contains(&(route.path, param.name)) => {}
                None => wrong.push(format!("{name}: no parameter {}", param.name)),
                Some(known) if (known.optional == 1) != (param.need == Need::Optional) => {
                    wrong.push(format!("{name}: {} is optional: {}", param.name, known.optional));
                }
                Some(_) => {}
            }
        }
        let missing = method.params.keys().filter(|known| !route.params.iter().any(|param| param.name == **known));
        if !PARTLY.contains(&route.path) {
            wrong.extend(missing.map(|known| format!("{name}: {known} would be refused")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_endpoint_asks_for_the_privileges_of_the_schema() {
    let schema = schema();
    let mut wrong = Vec::new();
    for route in routes().filter(|route| !INDEXES.contains(&route.path)) {
        let Some(method) = schema.get(&(route.method.to_owned(), route.path.to_owned())) else { continue };
        let wanted = match (&method.check, method.user.as_deref()) {
            (Some(check), _) => format!("{} {}", check[1].as_str().unwrap(), check[2]),
            (None, Some("world")) => "nothing".to_owned(),
            (None, _) => "a login".to_owned(),
        };
        let ours = match route.needs {
            Needs::Nothing => "nothing".to_owned(),
            Needs::Login => "a login".to_owned(),
            Needs::Privilege(path, any_of) => format!("{path} {}", serde_json::json!(any_of)),
        };
        if ours != wanted {
            wrong.push(format!("{} {}: {ours}, the schema has {wanted}", route.method, route.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
