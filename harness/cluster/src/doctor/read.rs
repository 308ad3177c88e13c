//! Readers: what a host said, as a finding. Pure; each reads the words of CentOS 7's tools as well
//! as of today's. What is asked, and what becomes of a host that does not answer, is `probes`.

mod allowed;
mod lab;
mod machine;
mod software;

pub(super) use allowed::{firewalld, limits, selinux, sudo};
pub(super) use lab::{foreign, leftovers, ports, site};
pub(super) use machine::{clock, room, speed, time_sync};
pub(super) use software::{iptables, java, programs, system};
