//! What a person says who has seen that a node is off.

use crate::ids::NodeName;

/// The words that attest a node: to be typed letter by letter.
pub fn words_for(node: &NodeName) -> String {
    format!("I have seen that {node} is off")
}
