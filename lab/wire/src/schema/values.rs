//! Syntax of values: PVE's named formats and patterns. The error is the end of PVE's text.
//!
//! A format that is not here accepts everything; that includes those inside property strings.

use quorate_world::target_storage::TargetStorage;

/// Booleans on input; on output they are 1 and 0.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// Has the value this format?
pub(crate) fn format(name: &str, value: &str) -> Result<(), String> {
    if let Some(each) = name.strip_suffix("-list") {
        let parts = value.split([',', ';', ' ', '\0']).filter(|part| !part.is_empty());
        return parts.into_iter().try_for_each(|part| format(each, part));
    }
    let like = |good: bool, what: &str| match good {
        true => Ok(()),
        false => Err(format!("value does not look like a valid {what}\n")),
    };
    match name {
        "pve-node" => like(is_node_name(value), "node name"),
        "pve-vmid" => like(is_vmid(value), "VM ID"),
        "pve-ha-node" => {
            let (node, priority) = value.split_once(':').unwrap_or((value, "0"));
            like(is_node_name(node) && is_number(priority), "ha node")
        }
        "pve-ha-resource-or-vm-id" => like(is_resource(value) || is_vmid(value), "ha resource id"),
        "pve-ha-resource-id" => like(is_resource(value), "ha resource id"),
        "CIDR" => like(is_network(value), "CIDR network"),
        "dns-name" => like(value.split('.').all(is_node_name), "DNS name"),
        "pve-realm" => like(is_word(value, "._-"), "realm"),
        "pve-userid" if user_and_realm(value).is_none() => {
            Err(format!("value '{value}' does not look like a valid user name\n"))
        }
        "pve-configid" if !is_word(value, "-_") => Err(format!("invalid configuration ID '{value}'\n")),
        "pve-storage-id" if !(is_word(value, "-_.") && ends_well(value)) => {
            Err(format!("storage ID '{value}' contains illegal characters\n"))
        }
        // One entry of the list; what entries say together is for the call (pve-common, `parse_idmap`).
        "storage-pair" => TargetStorage::parse(value, |id| format("pve-storage-id", id)).map(drop),
        "pve-iface" if !is_word(value, "_.:-") => Err(format!("invalid network interface name '{value}'\n")),
        "pve-tag" if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b)) => {
            Err("invalid characters in tag\n".to_owned())
        }
        "pve-priv" if !value.contains('.') => Err(format!("invalid privilege '{value}'\n")),
        "pve-task-status-type" => like(matches!(value, "ok" | "warning" | "error" | "unknown"), "status type"),
        "pve-upid" if !is_upid(value) => Err("unable to parse worker upid".to_owned()),
        _ => Ok(()),
    }
}

/// Does the value fit this pattern?
pub(super) fn pattern(name: &str, value: &str) -> bool {
    let after = |starts: &[&str]| starts.iter().find_map(|start| value.strip_prefix(start));
    match name {
        "replication-job-id" => value.split_once('-').is_some_and(|(vmid, number)| is_vmid(vmid) && is_number(number)),
        "ceph-service" => {
            let (kind, id) = value.split_once('.').map_or((value, None), |(kind, id)| (kind, Some(id)));
            matches!(kind, "ceph" | "mon" | "mds" | "osd" | "mgr") && id.is_none_or(is_node_name)
        }
        "drive-key" => after(&["ide", "sata", "scsi", "virtio"]).is_some_and(is_number),
        "disk-size" => {
            let number = value.strip_prefix('+').unwrap_or(value).trim_end_matches(['K', 'M', 'G', 'T']);
            number.parse::<f64>().is_ok_and(|number| number >= 0.0)
        }
        "parallel-device" => after(&["/dev/parport", "/dev/usb/lp"]).is_some_and(is_number),
        "serial-device" => {
            value == "socket" || after(&["/dev/"]).is_some_and(|rest| !rest.is_empty() && !rest.contains(','))
        }
        "disk-path" => after(&["/dev/"])
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'/')),
        "http-url" => value.starts_with("http://"),
        "token-name" => is_word(value, "._-"),
        "user-or-token" => {
            let (user, token) = value.split_once('!').unwrap_or((value, "token"));
            user_and_realm(user).is_some() && is_word(token, "._-")
        }
        "ceph-code" => {
            value.len() > 1 && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        }
        "log-time" => {
            let (day, time) = value.split_once(' ').unwrap_or((value, "00:00"));
            has_lengths(day, '-', &[&[4, 2, 2]]) && has_lengths(time, ':', &[&[2, 2], &[2, 2, 2]])
        }
        "uuid-or-switch" => matches!(value, "0" | "1") || has_hex_lengths(value, &[8, 4, 4, 4, 12]),
        "package-name" => value.len() > 1 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.:".contains(&b)),
        _ => true,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_vmid(text: &str) -> bool {
    is_number(text) && (3..=9).contains(&text.len()) && !text.starts_with('0')
}

fn is_resource(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, name)| {
        !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()) && !name.is_empty() && !name.contains(' ')
    })
}

/// A letter, then letters, digits and these.
fn is_word(text: &str, more: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() > 1
        && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn ends_well(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn user_and_realm(text: &str) -> Option<(&str, &str)> {
    let (user, realm) = text.rsplit_once('@')?;
    let good = !user.is_empty() && !user.contains([':', '/', ' ']) && is_word(realm, "._-");
    good.then_some((user, realm))
}

fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, bits)| {
        let most = match address.parse() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

fn has_lengths(text: &str, separator: char, allowed: &[&[usize]]) -> bool {
    let parts: Vec<_> = text.split(separator).collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    parts.iter().all(|part| is_number(part)) && allowed.iter().any(|allowed| lengths == *allowed)
}

fn has_hex_lengths(text: &str, lengths: &[usize]) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq(lengths.iter().copied())
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_node_name(value: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !value.is_empty() && value.bytes().all(good) && !value.starts_with('-') && !value.ends_with('-')
}

fn is_upid(value: &str) -> bool {
    let fields: Vec<_> = value.split(':').collect();
    let hex = |field: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&field.len()) && field.bytes().all(|b| b.is_ascii_hexdigit())
    };
    matches!(fields[..], ["UPID", node, pid, pstart, start, kind, _, user, ""]
        if is_node_name(node) && hex(pid, 8..=8) && hex(pstart, 8..=9) && hex(start, 8..=8)
            && !kind.is_empty() && !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_let_the_right_ones_through() {
        for (name, good, bad) in [
            ("pve-node", "pve-1", "pve_1"),
            ("pve-vmid-list", "100,101;102", "100,x"),
            ("pve-ha-node-list", "pve1:2,pve2", "pve1:x"),
            ("pve-ha-resource-or-vm-id", "vm:101", "101:"),
            ("pve-storage-id", "local-zfs", "1st"),
            ("storage-pair-list", "local-zfs:local-lvm,1", "a:b:c"),
            ("pve-userid", "a.b@pve", "a.b"),
            ("CIDR", "10.0.0.0/24", "10.0.0.0/33"),
            ("pve-upid", "UPID:pve1:0001A2B3:00C4D5E6:68F0A1B2:qmigrate:101:root@pam:", "UPID:pve1:1"),
        ] {
            assert!(format(name, good).is_ok() && format(name, bad).is_err(), "{name}");
        }
    }

    #[test]
    fn patterns_let_the_right_ones_through() {
        for (name, good, bad) in [
            ("replication-job-id", "100-0", "100"),
            ("ceph-service", "osd.3", "rgw.3"),
            ("serial-device", "socket", "pty"),
            ("log-time", "2026-11-22 10:00", "yesterday"),
            ("user-or-token", "root@pam!x1", "root"),
            ("uuid-or-switch", "1", "uuid"),
        ] {
            assert!(pattern(name, good) && !pattern(name, bad), "{name}");
        }
    }
}
