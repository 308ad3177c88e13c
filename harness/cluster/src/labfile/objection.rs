//! What makes a lab file that is well formed unusable, in a sentence. It asks no host.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::{Kind, LabFile, NAME_MAX, Sudo};

/// What makes a well-formed lab file unusable.
pub(super) fn of(lab: &LabFile) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if lab.name.is_empty()
        || lab.name.len() > NAME_MAX
        || !lab.name.chars().all(plain)
        || lab.name.starts_with('-')
    {
        return Some(format!(
            "the name `{}` must be 1 to {NAME_MAX} of a-z, 0-9 and -, not beginning with -",
            lab.name
        ));
    }
    let path_like = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !lab.dir.starts_with('/')
        || lab.dir.trim_end_matches('/').len() < 2
        || !lab.dir.chars().all(path_like)
        || lab.dir.split('/').any(|part| part == "..")
    {
        return Some(format!(
            "dir `{}` must be an absolute path of letters, digits, `.`, `_` and `-`, for example \
             /srv/tidemark",
            lab.dir
        ));
    }
    if lab.login.sudo == Sudo::Password && lab.login.sudo_password_env.is_none() {
        let why = "sudo = \"password\" needs sudo_password_env, the name of the environment variable \
                   that holds it";
        return Some(why.to_owned());
    }
    let digest = |text: &str| text.bytes().filter(u8::is_ascii_hexdigit).count() == 128;
    if let Some(release) = lab.kafka.iter().find(|release| !digest(&release.sha512)) {
        return Some(format!(
            "the sha512 of Kafka {} must be 128 hexadecimal digits",
            release.version
        ));
    }
    if lab.hosts.is_empty() {
        return Some("no [[hosts]]".to_owned());
    }
    for (position, host) in lab.hosts.iter().enumerate() {
        if usize::from(host.node.0) != position {
            return Some(format!(
                "hosts must be n0, n1, ... without gaps or repeats; found {} where n{position} was \
                 due",
                host.node
            ));
        }
        if host.address.is_empty() || host.name.is_empty() {
            return Some(format!("{}: name and address must not be empty", host.node));
        }
    }
    let addresses: BTreeSet<&str> = lab.hosts.iter().map(|h| h.address.as_str()).collect();
    if addresses.len() < lab.hosts.len() {
        return Some("two hosts have the same address".to_owned());
    }
    match lab.kind {
        Kind::Namespaces => namespaces_objection(lab),
        Kind::Machines => None,
    }
}

/// The local lab is one /24 network, and the controller takes the address below the lowest.
fn namespaces_objection(lab: &LabFile) -> Option<String> {
    let mut networks = BTreeSet::new();
    for host in &lab.hosts {
        let Ok(address) = host.address.parse::<Ipv4Addr>() else {
            return Some(format!(
                "{}: `{}` is no IPv4 address; a lab of namespaces needs one",
                host.node, host.address
            ));
        };
        let [a, b, c, last] = address.octets();
        if !(2..255).contains(&last) || !address.is_private() {
            return Some(format!(
                "{}: {address} must be a private address ending in 2 to 254; the one below the \
                 lowest is the controller's",
                host.node
            ));
        }
        networks.insert([a, b, c]);
    }
    (networks.len() > 1)
        .then(|| "the hosts of a lab of namespaces share one /24 network".to_owned())
}
