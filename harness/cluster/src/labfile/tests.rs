//! Lab files that are read as meant, and those that are refused with their place.

use super::*;

fn local() -> LabFile {
    LabFile::parse(BUILT_IN[1].1, "local").unwrap()
}

fn refused(change: impl FnOnce(&mut LabFile)) -> String {
    let mut lab = local();
    change(&mut lab);
    let text = toml::to_string(&lab).unwrap();
    LabFile::parse(&text, "x.toml").unwrap_err().to_string()
}

#[test]
fn the_built_in_labs_have_the_same_form() {
    let local = local();
    assert_eq!(local.kind, Kind::Namespaces);
    assert_eq!(local.hosts[2].address, "192.168.136.29");
    assert_eq!(local.ports, Ports::default());
    let real = LabFile::parse(BUILT_IN[0].1, "centos7").unwrap();
    assert_eq!(real.kind, Kind::Machines);
    assert_eq!(real.login.sudo, Sudo::Passwordless);
    assert!(!real.login.key.as_ref().unwrap().starts_with("~"));
}

#[test]
fn what_is_written_reads_back_without_what_vanishes_with_the_lab() {
    let mut up = local();
    up.login.key = Some("/somewhere/key".into());
    up.login.known_hosts = Some("/somewhere/known_hosts".into());
    let text = up.to_toml_without_secrets();
    assert_eq!(LabFile::parse(&text, "again").unwrap(), local());
    assert!(!text.contains("somewhere"));
}

#[test]
fn a_misspelt_key_is_an_error_with_line_and_nearest_name() {
    let text = BUILT_IN[1].1.replacen("address =", "adress =", 1);
    let line = text.lines().position(|l| l.contains("adress")).unwrap() + 1;
    let said = LabFile::parse(&text, "labs/x.toml")
        .unwrap_err()
        .to_string();
    assert!(
        said.starts_with(&format!("labs/x.toml line {line}: ")),
        "{said}"
    );
    assert!(said.ends_with("did you mean `address`?"), "{said}");
    let said = LabFile::parse("name = \"x\"\nkind = \"namespace\"\n", "x").unwrap_err();
    assert!(said.to_string().contains("line 2"), "{said}");
    assert!(
        said.to_string().contains("did you mean `namespaces`?"),
        "{said}"
    );
    let said = LabFile::parse("name == \"x\"\n", "x")
        .unwrap_err()
        .to_string();
    assert!(said.starts_with("x line 1: "), "{said}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    assert!(refused(|l| l.name = "Local Lab".into()).contains("1 to 24 of a-z"));
    assert!(refused(|l| l.dir = "srv".into()).contains("absolute"));
    assert!(refused(|l| l.dir = "/srv/$(x)".into()).contains("absolute"));
    assert!(refused(|l| l.dir = "/".into()).contains("absolute"));
    assert!(refused(|l| l.hosts[1].node = NodeId(5)).contains("found n2 where n1 was due"));
    assert!(refused(|l| l.hosts[1].address = "192.168.136.27".into()).contains("same address"));
    assert!(refused(|l| l.hosts[1].address = "192.168.13.2".into()).contains("one /24"));
    assert!(refused(|l| l.hosts[1].address = "8.8.8.8".into()).contains("private"));
    assert!(refused(|l| l.hosts[1].address = "n1".into()).contains("no IPv4 address"));
}

#[test]
fn what_real_machines_bring_is_read_and_written() {
    let text = BUILT_IN[0].1.replace("# passphrase_env", "passphrase_env");
    let text = format!(
        "{}\n[login.jump]\naddress = \"gate.example\"\nuser = \"me\"\n\n[[kafka]]\nversion = \"3.0.0\"\n\
         tarball = \"~/k.tgz\"\nsha512 = \"{}\"\n\n[ports]{}",
        text.split("[ports]").next().unwrap(),
        "0aF".repeat(43).split_at(128).0,
        text.split("[ports]").nth(1).unwrap()
    );
    let lab = LabFile::parse(&text, "x").unwrap();
    let jump = lab.login.jump.as_ref().unwrap();
    assert_eq!((jump.port, jump.user.as_deref()), (22, Some("me")));
    let login = jump.login(&lab.login);
    assert_eq!((login.user.as_str(), &login.key), ("me", &lab.login.key));
    assert!(!lab.kafka[0].tarball.starts_with('~'));
    assert_eq!(
        LabFile::parse(&lab.to_toml_without_secrets(), "x").unwrap(),
        lab
    );
    let short = LabFile::parse(&text.replace("0aF", "0a"), "x").unwrap_err();
    assert!(
        short.to_string().contains("128 hexadecimal digits"),
        "{short}"
    );
    let sudo = text.replace("sudo = \"passwordless\"", "sudo = \"password\"");
    let why = LabFile::parse(&sudo, "x").unwrap_err().to_string();
    assert!(why.contains("sudo_password_env"), "{why}");
}

#[test]
fn an_unknown_lab_names_those_that_exist() {
    let said = find("locall").unwrap_err().to_string();
    assert!(said.contains("did you mean `local`?"), "{said}");
    assert!(said.contains("centos7, local"), "{said}");
    assert_eq!(find("local").unwrap(), local());
    let said = find("centos7").unwrap_err().to_string();
    assert!(said.contains("reserved for documentation"), "{said}");
    let said = find("/nowhere/x.toml").unwrap_err().to_string();
    assert!(
        said.starts_with("cannot read the lab file /nowhere/x.toml: "),
        "{said}"
    );
}
