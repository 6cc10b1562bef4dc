//! Task ids: `UPID:node:pid:pstart:starttime:type:id:user:`, numbers in hex.

/// A parsed task id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpidParts<'a> {
    /// The node the task runs on.
    pub node: &'a str,
    /// Start, in seconds since 1970.
    pub started_s: u64,
    /// `qmigrate`, `vzdump`.
    pub kind: &'a str,
    /// The guest's number for guest tasks; may be empty or anything else.
    pub id: &'a str,
    /// `root@pam`, `root@pam!quorate`.
    pub user: &'a str,
}

/// Parses a task id; `None` for anything else.
pub fn parse(upid: &str) -> Option<UpidParts<'_>> {
    let fields: Vec<&str> = upid.split(':').collect();
    let ["UPID", node, pid, pstart, started, kind, id, user, ""] = fields.as_slice() else { return None };
    for number in [pid, pstart, started] {
        u64::from_str_radix(number, 16).ok()?;
    }
    if node.is_empty() || kind.is_empty() || user.is_empty() {
        return None;
    }
    Some(UpidParts { node, started_s: u64::from_str_radix(started, 16).ok()?, kind, id, user })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_of_a_token_names_the_token() {
        let parts = parse("UPID:pve1:00000A1B:000092D9:6B02D850:qmigrate:101:root@pam!quorate:").unwrap();
        assert_eq!((parts.node, parts.kind, parts.id, parts.user), ("pve1", "qmigrate", "101", "root@pam!quorate"));
        assert_eq!(parts.started_s, 1_795_348_560);
        assert_eq!(parse("UPID:pve1:00000A1B:000092D9:6B02D850:qmigrate:101:root@pam"), None, "no colon at the end");
    }
}
