//! `ip -j address show up`: interfaces with their addresses.

use core::net::IpAddr;

use quorate_core::snapshot::Address;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Interface {
    ifname: String,
    mtu: u32,
    addr_info: Vec<Info>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    local: Option<IpAddr>,
    prefixlen: u8,
}

/// Reads the output.
///
/// # Errors
/// It is not what `ip` prints.
pub fn parse(output: &str) -> Result<Vec<Address>, String> {
    let interfaces: Vec<Interface> = serde_json::from_str(output).map_err(|error| error.to_string())?;
    let addresses = interfaces.into_iter().flat_map(|interface| {
        let Interface { ifname, mtu, addr_info } = interface;
        let address =
            move |info: Info| Some(Address { interface: ifname.clone(), ip: info.local?, prefix: info.prefixlen, mtu });
        addr_info.into_iter().filter_map(address)
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_may_have_several_addresses_or_none() {
        let text = r#"[{"ifindex":1,"ifname":"lo","mtu":65536,"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
            {"ifindex":2,"ifname":"eno1","mtu":9000,"operstate":"UP","addr_info":[]},
            {"ifindex":3,"ifname":"vmbr0","mtu":9000,"addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24,"scope":"global"},
            {"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]}]"#;
        let all = parse(text).unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!((all[1].interface.as_str(), all[1].prefix, all[1].mtu), ("vmbr0", 24, 9000));
        assert!(parse("").is_err() && parse("Object is unknown").is_err());
    }
}
