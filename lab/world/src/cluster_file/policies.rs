//! The cluster of `demo --policies` and of the test that checks it guest by guest.

/// A cluster in which each policy for guests is used once.
pub const POLICIES: &str = include_str!("../../clusters/policies.toml");

/// What its administrator allows; the policy of each guest is in the guests' tags.
pub const POLICIES_POLICY: &str = r#"
[policy]
local-disks = "stay"
stopped-guests = "move"
consents = ["restart-containers", "shutdown-guests", "move-offline", "eject-media"]
"#;
