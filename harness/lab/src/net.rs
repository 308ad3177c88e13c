//! The switch and the cables: a bridge in a namespace of its own, one veth pair to each member.
//!
//! Both ends of every pair are born inside namespaces; the caller's own never sees them. No
//! namespace gets a default route, so no packet for a lab address can leave the machine.

use std::net::Ipv4Addr;

use crate::LabError;
use crate::names::netns_file;
use crate::tools::ip;

/// The bridge, inside the switch's namespace.
const BRIDGE: &str = "br0";

/// The interface, inside each member's namespace.
pub(crate) const INTERFACE: &str = "eth0";

/// Makes a network namespace unless a working one has that name. True when it was made.
pub(crate) fn ensure_namespace(name: &str) -> Result<bool, LabError> {
    if works(name) {
        return Ok(false);
    }
    if netns_file(name).symlink_metadata().is_ok() {
        // The name is there and leads nowhere: left by a program that died in between.
        ip(&["netns", "del", name])?;
    }
    ip(&["netns", "add", name])?;
    Ok(true)
}

/// Whether the name leads to a network namespace.
pub(crate) fn works(name: &str) -> bool {
    netns_file(name).symlink_metadata().is_ok()
        && ip(&["-n", name, "-o", "link", "show", "dev", "lo"]).is_ok()
}

/// Makes the switch unless it works.
pub(crate) fn ensure_switch(switch: &str) -> Result<(), LabError> {
    ensure_namespace(switch)?;
    let is_up = ip(&["-n", switch, "-o", "link", "show", "dev", BRIDGE]).is_ok_and(|l| is_up(&l));
    if !is_up {
        drop(ip(&["-n", switch, "link", "del", BRIDGE]));
        ip(&["-n", switch, "link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["-n", switch, "link", "set", BRIDGE, "up"])?;
    }
    Ok(())
}

/// Whether `port` of the switch and `member` are connected and `member` has its address.
pub(crate) fn is_plugged(switch: &str, port: &str, member: &str, address: &str) -> bool {
    let wanted = format!(" {address}/24 ");
    ip(&["-n", switch, "-o", "link", "show", "dev", port])
        .is_ok_and(|line| is_up(&line) && line.contains(&format!(" master {BRIDGE} ")))
        && ip(&["-n", member, "-o", "link", "show", "dev", INTERFACE]).is_ok_and(|l| is_up(&l))
        && ip(&["-n", member, "-o", "-4", "addr", "show", "dev", INTERFACE])
            .is_ok_and(|line| line.contains(&wanted))
}

/// Connects `member` to the switch unless it is. True when it had to be done.
pub(crate) fn ensure_plugged(
    switch: &str,
    port: &str,
    member: &str,
    address: &str,
) -> Result<bool, LabError> {
    if is_plugged(switch, port, member, address) {
        return Ok(false);
    }
    // Either end may be all that is left; deleting one deletes both.
    drop(ip(&["-n", switch, "link", "del", port]));
    drop(ip(&["-n", member, "link", "del", INTERFACE]));
    // The same hardware address every time: a host that is made again would otherwise be out of
    // reach until the others' neighbour tables expire.
    let hardware = hardware_address(address)?;
    ip(&[
        "-n", switch, "link", "add", port, "type", "veth", "peer", "name", INTERFACE, "address",
        &hardware, "netns", member,
    ])?;
    ip(&["-n", switch, "link", "set", port, "master", BRIDGE, "up"])?;
    let with_prefix = format!("{address}/24");
    ip(&["-n", member, "addr", "add", &with_prefix, "dev", INTERFACE])?;
    ip(&["-n", member, "link", "set", "lo", "up"])?;
    ip(&["-n", member, "link", "set", INTERFACE, "up"])?;
    Ok(true)
}

/// A locally administered address that ends in the IPv4 address.
fn hardware_address(address: &str) -> Result<String, LabError> {
    let address: Ipv4Addr = address
        .parse()
        .map_err(|_| LabError::Refused(format!("`{address}` is no IPv4 address")))?;
    let [a, b, c, d] = address.octets();
    Ok(format!("02:74:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
}

/// Reads `ip -o link`: the flags stand in angle brackets.
fn is_up(line: &str) -> bool {
    line.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .is_some_and(|(flags, _)| flags.split(',').any(|f| f == "UP"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_interface_that_is_down_is_not_up() {
        assert!(super::is_up(
            "2: eth0@if3: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500"
        ));
        assert!(!super::is_up("2: eth0@if3: <BROADCAST,MULTICAST> mtu 1500"));
        assert!(!super::is_up("2: eth0@if3: <NO-CARRIER,M-DOWN> mtu 1500"));
    }
}
