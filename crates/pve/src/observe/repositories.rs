//! Package sources of a node.

use quorate_core::observed::WhyUnknown;
use quorate_core::snapshot::Repository;

use super::node_api::NodeApi;
use super::reader::node_path;
use crate::wire::lenient::List;
use crate::wire::node as wire;

/// All entries of all files, in both formats.
pub(super) async fn read(api: &NodeApi<'_>) -> Result<Vec<Repository>, WhyUnknown> {
    let answer = api.get::<wire::Repositories>("apt/repositories").await?;
    if let Some(error) = answer.errors.0.first() {
        let source = format!("GET {}", node_path(api.name, "apt/repositories"));
        return Err(WhyUnknown::new(source, format!("{}: {}", error.path.0, error.error.0)));
    }
    let texts = |list: List<crate::wire::lenient::Text>| list.0.into_iter().map(|text| text.0).collect::<Vec<_>>();
    let mut found = Vec::new();
    let origin_of = |path: &str, index: usize| {
        let mut infos = answer.infos.0.iter();
        let origin =
            infos.find(|info| info.kind.0 == "origin" && info.path.0 == path && info.index.0 == index.to_string());
        origin.map(|info| info.message.0.clone())
    };
    for file in answer.files.0 {
        for (index, entry) in file.repositories.0.into_iter().enumerate() {
            found.push(Repository {
                path: file.path.0.clone(),
                enabled: entry.enabled.0,
                types: texts(entry.types),
                uris: texts(entry.uris),
                suites: texts(entry.suites),
                components: texts(entry.components),
                origin: origin_of(&file.path.0, index),
            });
        }
    }
    // Stable: entries of one file stay in their order.
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
