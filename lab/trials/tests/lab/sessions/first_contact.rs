//! First contact: one address, two looks by a person, and a configuration in which everything is pinned.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::session::{Lab, Outcome, PROGRAMS};

/// `quorate init` in a folder of its own beside the lab's files, with answers from a pipe.
struct Stranger {
    lab: Lab,
    address: String,
    ssh_port: String,
    token_id: String,
    secret: String,
}

impl Stranger {
    fn new() -> Self {
        Self::in_lab("")
    }

    /// With a token of this role.
    fn with_role(role: &str) -> Self {
        let token = format!("[[token]]\nname = \"anna@pve!look\"\nsecret = \"a-secret\"\nrole = \"{role}\"\n");
        let stranger = Self::in_lab(&token);
        Self { token_id: "anna@pve!look".to_owned(), secret: "a-secret".to_owned(), ..stranger }
    }

    fn in_lab(more: &str) -> Self {
        let lab = Lab::start(60, more);
        let config: toml::Value = toml::from_str(&lab.session.read("quorate.toml")).unwrap();
        let node = &config["cluster"]["nodes"][0];
        let ssh_port = node["ssh"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
        let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
        let secret = text(&config["auth"]["token-secret"]);
        let (address, token_id) = (text(&node["api"]), text(&config["auth"]["token-id"]));
        std::fs::create_dir(lab.session.dir.join("mine")).unwrap();
        Self { lab, address, ssh_port, token_id, secret }
    }

    fn init(&self, more: &[&str], answers: &str) -> Outcome {
        let mut command = Command::new(PROGRAMS);
        command
            .arg("quorate")
            .current_dir(self.lab.session.dir.join("mine"))
            .env("HOME", "/nowhere")
            .env_remove("SSH_AUTH_SOCK");
        command.args(["init", &self.address, "--ssh-port", &self.ssh_port, "--token-id", &self.token_id]);
        command.args(["--ssh-key", "../id_lab"]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses early does not read to the end.
        let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn has(&self, file: &str) -> bool {
        self.lab.session.dir.join("mine").join(file).exists()
    }
}

#[test]
fn a_stranger_gets_from_one_address_to_a_configuration_that_works() {
    let stranger = Stranger::new();
    let answers = format!("yes\n{}\nyes\n", stranger.secret);
    stranger
        .init(&[], &answers)
        .expect(0, &["pveum role add Quorate", "These host keys are not known yet", "pve3: root's shell is open"])
        .expect(0, &["The token sees all 24 guests and has every privilege that a run needs."]);
    for file in ["quorate.toml", "token.secret"] {
        let path = stranger.lab.session.dir.join("mine").join(file);
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    let pinned = stranger.lab.session.read("mine/quorate.toml");
    assert_eq!((pinned.matches("fingerprint = ").count(), pinned.matches("host-key = \"SHA256:").count()), (3, 3));
    assert!(!pinned.contains(&stranger.secret), "the secret stays in its own file");
    stranger.lab.session.run(&["--config", "mine/quorate.toml", "inspect"]).expect(0, &["pve1", "pve2", "pve3"]);
    stranger.init(&[], &answers).expect(2, &["exists already and is not overwritten"]);
}

#[test]
fn without_a_yes_or_with_another_fingerprint_there_is_no_configuration() {
    let stranger = Stranger::new();
    stranger.init(&[], "no\n").expect(2, &["the answer was \"no\", not yes"]);
    let wrong = ["--fingerprint", "00:11:22"];
    stranger.init(&wrong, "").expect(5, &["but you expect 00:11:22", "do not continue"]);
    let answers = format!("yes\n{}\nyes\n", stranger.secret);
    stranger
        .init(&["--host-key", "pve2=SHA256:AAAA"], &answers)
        .expect(5, &["pve2 shows the host key", "the known one is SHA256:AAAA"]);
    // The certificate is agreed to, and the host keys are not.
    stranger.init(&[], "yes\n").expect(2, &["there was no answer"]);
    assert!(!stranger.has("quorate.toml"));
}

#[test]
fn a_token_that_may_only_look_is_reported_with_each_privilege_that_it_lacks() {
    let stranger = Stranger::with_role("PVEAuditor");
    let answers = format!("yes\n{}\nyes\n", stranger.secret);
    let told = stranger.init(&[], &answers);
    told.expect(3, &["pveum user token add anna@pve look --privsep 0", "pve2: root's shell is open"]);
    for lacking in ["/nodes Sys.Modify", "/vms VM.Config.CDROM", "/vms VM.Migrate", "/vms VM.PowerMgmt"] {
        told.expect(3, &[&format!("the token lacks {lacking}")]);
    }
    for held in ["Sys.Audit", "VM.Audit", "Datastore.Audit"] {
        assert!(!told.out.contains(&format!(" {held}\n")), "{held} is held: {}", told.out);
    }
}

#[test]
fn guests_that_the_token_does_not_see_and_a_shell_that_is_shut_are_named() {
    let stranger = Stranger::with_role("PVESysAdmin");
    let answers = format!("yes\n{}\nyes\n", stranger.secret);
    stranger
        .init(&[], &answers)
        .expect(3, &["the token lacks /vms VM.Audit", "vm:101 is on pve1 and missing from the API's list"]);

    let stranger = Stranger::new();
    let fault = stranger.lab.session.run(&["lab", "fault", "--dir", ".", "ssh-down", "pve2", "3600"]);
    assert_eq!(fault.code, 0, "{}", fault.err);
    // Without the shell there is no host key to be seen: it is named beforehand, as a known_hosts file would.
    let pinned: toml::Value = toml::from_str(&stranger.lab.session.read("quorate.toml")).unwrap();
    let keys: Vec<String> = pinned["cluster"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| format!("{}={}", node["name"].as_str().unwrap(), node["host-key"].as_str().unwrap()))
        .collect();
    let more: Vec<&str> = keys.iter().flat_map(|key| ["--host-key", key.as_str()]).collect();
    let answers = format!("yes\n{}\nyes\n", stranger.secret);
    let told = stranger.init(&more, &answers);
    assert_ne!(told.code, 0, "{}", told.out);
    let all = format!("{}{}", told.out, told.err);
    assert!(all.contains("pve2"), "the node whose shell is shut is named: {all}");
}
