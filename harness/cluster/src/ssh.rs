//! One authenticated SSH session: connect, check the host's key, log in.
//!
//! It runs no command. Every refusal is one sentence with what to do about it.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use history::NodeId;
use ssh2::{ErrorCode, Session};

use crate::jump;
use crate::keys;
use crate::labfile::{HostSpec, LabFile, Login};

/// How long a TCP connection may take to open.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one step of the handshake or the login may wait for the server; PAM takes up to 3 s
/// to refuse a password.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Unacknowledged bytes older than this end the connection: libssh2 never looks whether its
/// keepalives are answered, so this is what notices a dead peer.
const DEAD_PEER: Duration = Duration::from_secs(3);
/// How often a server may turn us away unread (sshd's MaxStartups) before it counts.
const ATTEMPTS: u32 = 6;

/// Where and how one lane connects; owned, so that it can live on the lane's thread.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub node: NodeId,
    pub address: String,
    pub port: u16,
    pub login: Login,
    /// The host through which the way leads.
    pub jump: Option<Box<Route>>,
}

impl Route {
    pub fn new(lab: &LabFile, host: &HostSpec) -> Self {
        let (address, port) = host.ssh_endpoint(&lab.login);
        let jump = lab.login.jump.as_ref().map(|jump| {
            Box::new(Self {
                node: host.node,
                address: jump.address.clone(),
                port: jump.port,
                login: jump.login(&lab.login),
                jump: None,
            })
        });
        Self {
            node: host.node,
            address,
            port,
            login: lab.login.clone(),
            jump,
        }
    }
}

/// A session that is logged in, with the socket below it.
pub(crate) struct Seat {
    pub session: Session,
    /// A second handle of the session's socket, to wait on.
    pub socket: OwnedFd,
}

/// Why there is no session.
enum Refusal {
    /// The server hung up before it said anything: it may be busy.
    Busy(String),
    /// Asking again would not help.
    Final(String),
}

impl Refusal {
    fn of_jump(self) -> Self {
        let told = |why| format!("the jump host: {why}");
        match self {
            Refusal::Busy(why) => Refusal::Busy(told(why)),
            Refusal::Final(why) => Refusal::Final(told(why)),
        }
    }
}

/// Connects and logs in; patient with a server that is short of start-up slots.
pub(crate) fn sit_down(route: &Route) -> Result<Seat, String> {
    let mut attempt = 1;
    loop {
        match try_once(route) {
            Ok(seat) => return Ok(seat),
            Err(Refusal::Final(why)) => return Err(why),
            Err(Refusal::Busy(why)) if attempt == ATTEMPTS => {
                return Err(format!(
                    "{why}, {ATTEMPTS} times in a row: sshd there is overloaded, or its MaxStartups is too low"
                ));
            }
            Err(Refusal::Busy(_)) => pause(attempt),
        }
        attempt += 1;
    }
}

/// Waits a little longer each time, by an amount that differs between threads that collided.
#[expect(
    clippy::disallowed_methods,
    reason = "a lane's own thread, which has no runtime to wait on"
)]
fn pause(attempt: u32) {
    let jitter = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |t| t.subsec_micros() % 150);
    std::thread::sleep(Duration::from_millis(u64::from(attempt * 100 + jitter)));
}

fn try_once(route: &Route) -> Result<Seat, Refusal> {
    let (host, port) = (route.address.as_str(), route.port);
    let stream = match &route.jump {
        None => open_socket(host, port).map_err(Refusal::Final)?.into(),
        Some(jump) => {
            let seat = try_once(jump).map_err(|refusal| refusal.of_jump())?;
            jump::through(seat, &jump.address, host, port).map_err(Refusal::Final)?
        }
    };
    let socket = stream
        .try_clone()
        .map_err(|e| Refusal::Final(format!("no second handle of a socket: {e}")))?;
    let file = keys::known_hosts_file(&route.login).map_err(Refusal::Final)?;
    let known = keys::read_known(&file).map_err(Refusal::Final)?;

    let said = |what: &str, e: ssh2::Error| {
        Refusal::Final(format!("{what} with {host} port {port} failed: {e}"))
    };
    let mut session = Session::new().map_err(|e| said("an SSH session", e))?;
    session.set_timeout(HANDSHAKE.as_millis() as u32);
    keys::prefer_known_types(&session, &known, host, port)
        .map_err(|e| said("choosing a host key type", e))?;
    session.set_tcp_stream(stream);
    session.handshake().map_err(|e| match e.code() {
        // Banner not received (-43 on a socket that was closed, -2 else), disconnected, or reset.
        ErrorCode::Session(-43 | -13 | -2) => Refusal::Busy(format!(
            "{host} port {port} hung up before the SSH handshake ({e})"
        )),
        _ => said("the SSH handshake", e),
    })?;
    keys::check(&session, &route.login, &file, &known, host, port).map_err(Refusal::Final)?;
    log_in(&session, route).map_err(Refusal::Final)?;
    session.set_keepalive(true, 2);
    session.set_blocking(false);
    Ok(Seat { session, socket })
}

fn open_socket(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = (host, port).to_socket_addrs().map_err(|e| {
        format!("cannot find the address of {host} ({e}): give `address` in the lab file as an IPv4 address, or add the name to /etc/hosts")
    })?;
    let mut last = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                let options = socket2::SockRef::from(&stream);
                options
                    .set_tcp_user_timeout(Some(DEAD_PEER))
                    .and_then(|()| options.set_tcp_nodelay(true))
                    .map_err(|e| format!("cannot set socket options: {e}"))?;
                return Ok(stream);
            }
            Err(e) => last = refused(host, port, &e),
        }
    }
    Err(last)
}

fn refused(host: &str, port: u16, e: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match e.kind() {
        K::ConnectionRefused => format!(
            "{host} refuses SSH on port {port}: start sshd there, or correct `port` or `ssh_port` in the lab file"
        ),
        K::TimedOut | K::WouldBlock => {
            format!(
                "{host} does not answer on port {port} within {} s: is it up, and does a firewall let SSH through?",
                CONNECT.as_secs()
            )
        }
        _ => format!("cannot connect to {host} port {port}: {e}"),
    }
}

/// Agent, then key, then password: the first that the lab file gives. Without any of them, what
/// `ssh` would try: the agent, then the user's own keys.
fn log_in(session: &Session, route: &Route) -> Result<(), String> {
    let login = &route.login;
    let user = login.user.as_str();
    if login.agent {
        return session
            .userauth_agent(user)
            .map_err(|e| denied(route, "the keys of the SSH agent", "", &e));
    }
    if let Some(key) = &login.key {
        return with_key(session, route, key);
    }
    if let Some(variable) = &login.password_env {
        let password = secret(variable, "password_env")?;
        return session
            .userauth_password(user, &password)
            .map_err(|e| denied(route, &format!("the password in {variable}"), "", &e));
    }
    if std::env::var_os("SSH_AUTH_SOCK").is_some() && session.userauth_agent(user).is_ok() {
        return Ok(());
    }
    let mut last = None;
    for key in own_keys() {
        match with_key(session, route, &key) {
            Ok(()) => return Ok(()),
            Err(why) => last = Some(why),
        }
    }
    Err(last.unwrap_or_else(|| {
        format!("no way to log in as {user}: set login.key, login.agent or login.password_env in the lab file")
    }))
}

fn own_keys() -> Vec<PathBuf> {
    let dir = std::env::home_dir()
        .map(|home| home.join(".ssh"))
        .unwrap_or_default();
    ["id_ed25519", "id_ecdsa", "id_rsa"]
        .iter()
        .map(|name| dir.join(name))
        .filter(|path| path.is_file())
        .collect()
}

fn with_key(session: &Session, route: &Route, key: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(key)
        .map_err(|e| {
            let key = key.display();
            format!("cannot read the private key {key}: {e}; correct login.key in the lab file, or make one (`ssh-keygen -t ed25519 -f {key}`)")
        })?;
    let passphrase = route
        .login
        .passphrase_env
        .as_deref()
        .map(|v| secret(v, "passphrase_env"))
        .transpose()?;
    if passphrase.is_none() && keys::is_encrypted(&text) {
        return Err(format!(
            "the private key {} is encrypted: set login.passphrase_env in the lab file to the name of a variable that holds its passphrase, or use an agent",
            key.display()
        ));
    }
    session.userauth_pubkey_file(&route.login.user, None, key, passphrase.as_deref()).map_err(|e| {
        let what = format!("the key {}", key.display());
        match e.code() {
            // LIBSSH2_ERROR_METHOD_NONE: no signature algorithm in common.
            ErrorCode::Session(-17) => format!(
                "{}: {what} found no signature algorithm that the server takes; OpenSSH 7.4 and RSA keys do this, so use an ed25519 key \
                 (`ssh-keygen -t ed25519`)",
                route.address
            ),
            // LIBSSH2_ERROR_FILE: the key could not be read or decrypted.
            ErrorCode::Session(-16) => format!("{what} cannot be used ({e}): is it a private key, and is its passphrase right?"),
            _ => denied(route, &what, &format!("-i {} ", key.display()), &e),
        }
    })
}

fn secret(variable: &str, setting: &str) -> Result<String, String> {
    std::env::var(variable).map_err(|_| {
        format!("the environment variable {variable} (login.{setting} of the lab file) is not set")
    })
}

/// `option` is what ssh and ssh-copy-id need on their command lines to use the same key.
fn denied(route: &Route, what: &str, option: &str, e: &ssh2::Error) -> String {
    let (address, port, user) = (&route.address, route.port, &route.login.user);
    let there = format!("{option}-p {port} {user}@{address}");
    format!(
        "{address} port {port} does not let {user} in with {what} ({e}): try `ssh {there}` by hand; `ssh-copy-id {there}` installs a key"
    )
}
