//! What the person confirms who has seen that a node is off.

use crate::ids::NodeName;

/// The sentence that confirms a node powered off: to be typed exactly like this.
pub fn words_for(node: &NodeName) -> String {
    format!("I have seen that {node} is off")
}
