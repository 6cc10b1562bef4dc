//! Which nodes have the CD images that keep a guest on its node: on those, an ejected image can be put back.
//!
//! Read only in full looks, once for each node and storage with such an image; most clusters have none. A node that
//! does not answer is left out: an image is put back only where it was seen.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use quorate_core::ids::{GuestId, NodeName};
use quorate_core::snapshot::{DiskUse, Guest, MigrationFacts};

use super::look::{Depth, Look};
use super::reader::Reader;
use crate::ports::percent_encoded;
use crate::wire::guest::Volume;
use crate::wire::lenient::List;

/// Images that keep guests on their node, as `local:iso/x.iso`.
fn images_of(facts: &MigrationFacts) -> impl Iterator<Item = &str> {
    let images = facts.local_disks.iter().filter(|disk| disk.usage == DiskUse::Cdrom);
    images.map(|disk| disk.volid.as_str()).filter(|volid| volid.contains(':'))
}

/// Completes the facts of guests with such images.
pub(super) async fn locate(
    reader: &Reader<'_>,
    nodes: &[NodeName],
    look: &Look<'_>,
    guests: &mut BTreeMap<GuestId, Guest>,
) {
    if look.depth == Depth::Watch && look.previous.is_some() {
        return;
    }
    let known = guests.values().filter_map(|guest| guest.migration.known());
    let storages: BTreeSet<String> =
        known.flat_map(images_of).filter_map(|volid| Some(volid.split_once(':')?.0.to_owned())).collect();
    let asked = storages.iter().flat_map(|storage| nodes.iter().map(move |node| (storage, node)));
    let lists = asked.map(|(storage, node)| async move {
        let below = format!("storage/{}/content?content=iso", percent_encoded(storage));
        let volumes = reader.node_get::<List<Volume>>(node, &below).await;
        (node, volumes.map(|list| list.0).unwrap_or_default())
    });
    let mut lies_on: BTreeMap<String, BTreeSet<NodeName>> = BTreeMap::new();
    for (node, volumes) in join_all(lists).await {
        for volume in volumes {
            lies_on.entry(volume.volid.0).or_default().insert(node.clone());
        }
    }
    for facts in guests.values_mut().filter_map(|guest| guest.migration.known_mut()) {
        let found = images_of(facts).filter_map(|volid| Some((volid.to_owned(), lies_on.get(volid)?.clone())));
        facts.images_on = found.collect();
    }
}
