//! Hosts as data: the lab file, read and written.
//!
//! It says who the hosts are and how to log in, never what is done to them. It holds no secret: a
//! password or a passphrase is named by the environment variable that carries it. Nothing here
//! opens a connection.

mod objection;
mod reading;

use std::path::PathBuf;
use std::time::Duration;

use history::{NodeId, PortName};
use serde::{Deserialize, Serialize};

pub use reading::{BUILT_IN, LabFileError, find};

/// The longest name of a lab: it must fit into namespaces' and firewall chains' names.
pub const NAME_MAX: usize = 24;

/// Three (or more) hosts and how to reach them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabFile {
    /// Lower-case letters, digits and dashes; at most [`NAME_MAX`].
    pub name: String,
    /// Made by the product, or somebody's machines.
    pub kind: Kind,
    /// The lab's own directory on each host, absolute: `/srv/tidemark`.
    pub dir: String,
    /// The command or path of Java on the hosts.
    #[serde(default = "default_java")]
    pub java: String,
    /// For how long a host that does not hear from the controller keeps its faults.
    #[serde(default)]
    pub lease: Lease,
    /// The interface by which hosts reach each other, where that is to be checked; faults find it
    /// by the route to an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// How to log in.
    #[serde(default)]
    pub login: Login,
    /// Which ports the services listen on.
    #[serde(default)]
    pub ports: Ports,
    /// Releases that take the place of Maven's artefacts, by version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kafka: Vec<Release>,
    /// The hosts, ascending by node, from n0.
    pub hosts: Vec<HostSpec>,
}

/// For how long a host that does not hear from the controller keeps its faults: 3 s to 120 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lease(pub Duration);

impl Default for Lease {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl TryFrom<String> for Lease {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seconds = text.strip_suffix('s').and_then(|n| n.parse().ok());
        match seconds {
            Some(seconds @ 3..=120) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(format!(
                "lease `{text}` must be whole seconds from `3s` to `120s`"
            )),
        }
    }
}

impl From<Lease> for String {
    fn from(lease: Lease) -> String {
        format!("{}s", lease.0.as_secs())
    }
}

/// What the hosts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Network namespaces on this machine, brought up by the product itself.
    Namespaces,
    /// Machines that exist without us.
    Machines,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// `n0` is `broker.id=0`.
    #[serde(with = "as_text")]
    pub node: NodeId,
    /// `n0`, or a DNS name.
    pub name: String,
    /// What brokers, ZooKeepers and clients connect to.
    pub address: String,
    /// What SSH connects to, when that is another address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_address: Option<String>,
    /// The SSH port, when it is not the login's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_port: Option<u16>,
}

/// How to log in. The first of these that is given is used: agent, key, password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// The login user; Kafka and ZooKeeper run as this user.
    pub user: String,
    /// The SSH port of every host that names none of its own.
    pub port: u16,
    /// A private key file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The environment variable that holds the key's passphrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_env: Option<String>,
    /// The environment variable that holds the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// Ask a running ssh-agent.
    pub agent: bool,
    /// The file of known host keys; `~/.ssh/known_hosts` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<PathBuf>,
    /// How the listed commands that need root get it.
    pub sudo: Sudo,
    /// The environment variable that holds the password for sudo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_password_env: Option<String>,
    /// sudo there wants a terminal (`Defaults requiretty`), so it is given one.
    pub sudo_terminal: bool,
    /// Trust a host whose key was never seen, and remember the key.
    pub accept_new_host_keys: bool,
    /// The host through which every other one is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jump: Option<Jump>,
}

/// The host through which the others are reached. What it does not say of logging in is as it is
/// for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jump {
    /// What SSH connects to.
    pub address: String,
    /// Its SSH port.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// The user there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A private key file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The environment variable that holds that key's passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_env: Option<String>,
    /// The environment variable that holds the user's password there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
}

impl Jump {
    /// How to log in there, when the hosts are logged in to like `others`.
    pub(crate) fn login(&self, others: &Login) -> Login {
        let mut login = others.clone();
        login.jump = None;
        if let Some(user) = &self.user {
            login.user.clone_from(user);
        }
        if self.key.is_some() || self.password_env.is_some() {
            login.agent = false;
            login.key.clone_from(&self.key);
            login.passphrase_env.clone_from(&self.passphrase_env);
            login.password_env.clone_from(&self.password_env);
        }
        login
    }
}

/// A release of Kafka for hosts without internet: the controller has it, or fetches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `3.0.0`.
    pub version: String,
    /// A path on the controller, or a URL that it can fetch.
    pub tarball: String,
    /// The tarball's SHA-512, in hexadecimal.
    pub sha512: String,
}

/// How root is had on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sudo {
    /// The login user is root.
    None,
    /// `sudo -n`.
    Passwordless,
    /// `sudo -A`, with the password that `sudo_password_env` names.
    Password,
}

/// Port numbers by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// The listener for clients and other brokers.
    pub broker: u16,
    /// The listener for probes; never cut.
    pub probe: u16,
    /// ZooKeeper's clients.
    pub zk_client: u16,
    /// ZooKeeper's followers.
    pub zk_peer: u16,
    /// ZooKeeper's elections.
    pub zk_election: u16,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            user: "root".to_owned(),
            port: 22,
            key: None,
            passphrase_env: None,
            password_env: None,
            agent: false,
            known_hosts: None,
            sudo: Sudo::None,
            sudo_password_env: None,
            sudo_terminal: false,
            accept_new_host_keys: false,
            jump: None,
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            broker: 9092,
            probe: 9192,
            zk_client: 2181,
            zk_peer: 2888,
            zk_election: 3888,
        }
    }
}

impl Ports {
    /// The number behind a role.
    pub fn number(&self, name: PortName) -> u16 {
        match name {
            PortName::Broker => self.broker,
            PortName::Probe => self.probe,
            PortName::ZkClient => self.zk_client,
            PortName::ZkPeer => self.zk_peer,
            PortName::ZkElection => self.zk_election,
        }
    }
}

impl LabFile {
    /// The same lab as a file, enough to ask again. What `lab up` fills in for a lab of namespaces
    /// (key and known hosts, both of which vanish with the lab) is left out.
    ///
    /// # Panics
    /// Never: every field has a TOML form.
    pub fn to_toml_without_secrets(&self) -> String {
        let mut lab = self.clone();
        if lab.kind == Kind::Namespaces {
            lab.login.key = None;
            lab.login.known_hosts = None;
        }
        toml::to_string(&lab).expect("a lab file has a TOML form")
    }

    /// The host of a node.
    pub fn host(&self, node: NodeId) -> Option<&HostSpec> {
        self.hosts.iter().find(|h| h.node == node)
    }
}

impl HostSpec {
    /// What SSH connects to.
    pub fn ssh_endpoint(&self, login: &Login) -> (String, u16) {
        (
            self.ssh_address
                .clone()
                .unwrap_or_else(|| self.address.clone()),
            self.ssh_port.unwrap_or(login.port),
        )
    }
}

fn ssh_port() -> u16 {
    22
}

fn default_java() -> String {
    "java".to_owned()
}

/// An identity in the form in which it is printed everywhere.
mod as_text {
    use super::{Deserialize, NodeId};
    use serde::{Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(node: &NodeId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(node)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NodeId, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
