//! One thing found, with its identity, its evidence and its remedy.

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, StorageId};

/// One thing found, with its evidence and its remedy. [`Finding::id`] says which one it is; the words are for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id, that of the safety rule that refuses (`quorum-margin`), or that of the reason why there is no
    /// plan.
    pub check: String,
    /// Which of the things that the check can find: `root-full`. Empty where the check's id says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong, in one sentence, with the figures that were seen.
    pub problem: String,
    /// What to do about it, with the literal command where there is one.
    pub remedy: String,
    /// The operator's reason, if the finding is waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

impl Finding {
    /// `disk-space/root-full`: the same for as long as the check and the kind exist, whatever the words are.
    pub fn id(&self) -> String {
        match self.kind.as_str() {
            "" => self.check.clone(),
            kind => format!("{}/{kind}", self.check),
        }
    }
}

/// How much a finding matters. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// The operator accepts it, with a reason.
    Waived,
    /// Worth a look; a run is possible.
    Warning,
    /// A run is possible once the operator has agreed.
    Consent,
    /// No run while this remains. Unknown readings are of this kind.
    Blocking,
}

/// What a finding is about. Ordered as an administrator reads: the cluster, then nodes, then guests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// The cluster as a whole.
    Cluster,
    /// One node of the cluster.
    Node(NodeName),
    /// One storage of the configuration.
    Storage(StorageId),
    /// One guest, on whichever node it is.
    Guest(GuestId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => f.pad("cluster"),
            Self::Node(name) => name.fmt(f),
            Self::Storage(id) => id.fmt(f),
            Self::Guest(id) => id.fmt(f),
        }
    }
}

impl From<NodeName> for Subject {
    fn from(name: NodeName) -> Self {
        Self::Node(name)
    }
}

impl From<StorageId> for Subject {
    fn from(id: StorageId) -> Self {
        Self::Storage(id)
    }
}

impl From<GuestId> for Subject {
    fn from(id: GuestId) -> Self {
        Self::Guest(id)
    }
}
