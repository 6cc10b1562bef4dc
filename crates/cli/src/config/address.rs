//! Addresses as people write them.

/// `https://host:port/`, `host:port` or `host`; an IPv6 address with a port stands in brackets.
pub(crate) fn address(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let bare = text.trim_start_matches("https://").trim_end_matches('/');
    let (host, port) = match (bare.strip_prefix('['), bare.rsplit_once(':')) {
        (Some(bracketed), _) => {
            let (host, port) = bracketed.split_once(']').ok_or("a bracket is not closed")?;
            (host, port.strip_prefix(':'))
        }
        // More than one colon without brackets: an IPv6 address without a port.
        (None, Some((host, port))) if !host.contains(':') => (host, Some(port)),
        _ => (bare, None),
    };
    let port = match port {
        None => default_port,
        Some(port) => port.parse().map_err(|_| "the port is no number from 1 to 65535")?,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if host.is_empty() || !host.chars().all(plain) || port == 0 {
        return Err("an address is `host`, `host:port` or `https://host:port`".to_owned());
    }
    Ok((host.to_owned(), port))
}
