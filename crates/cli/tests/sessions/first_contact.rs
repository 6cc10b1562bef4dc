//! First contact: one address, two looks by a person, and a configuration in which everything is pinned.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::session::{Lab, Outcome, QUORATE};

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
        let lab = Lab::start(60, "");
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
        let mut command = Command::new(QUORATE);
        command.current_dir(self.lab.session.dir.join("mine")).env("HOME", "/nowhere").env_remove("SSH_AUTH_SOCK");
        command.args(["init", &self.address, "--ssh-port", &self.ssh_port, "--token-id", &self.token_id]);
        command.args(["--ssh-key", "../id_lab"]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who refuses early does not read to the end.
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
        .expect(0, &["The token sees all 24 guests and may do what a run needs."]);
    for file in ["quorate.toml", "token.secret"] {
        let path = stranger.lab.session.dir.join("mine").join(file);
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    let pinned = stranger.lab.session.read("mine/quorate.toml");
    assert_eq!((pinned.matches("fingerprint = ").count(), pinned.matches("host-key = \"SHA256:").count()), (3, 3));
    assert!(!pinned.contains(&stranger.secret), "the secret stays in its own file");
    stranger.lab.session.run(&["--config", "mine/quorate.toml", "inspect"]).expect(0, &["pve1", "pve2", "pve3"]);
    stranger.init(&[], &answers).expect(2, &["is there already, and is not overwritten"]);
}

#[test]
fn whoever_does_not_say_yes_or_expects_something_else_gets_no_configuration() {
    let stranger = Stranger::new();
    stranger.init(&[], "no\n").expect(2, &["the answer was \"no\", not yes"]);
    let wrong = ["--fingerprint", "00:11:22"];
    stranger.init(&wrong, "").expect(5, &["and you expect 00:11:22", "do not go on"]);
    let answers = format!("yes\n{}\nyes\n", stranger.secret);
    stranger
        .init(&["--host-key", "pve2=SHA256:AAAA"], &answers)
        .expect(5, &["pve2 shows the host key", "known is SHA256:AAAA"]);
    // The certificate is agreed to, and the host keys are not.
    stranger.init(&[], "yes\n").expect(2, &["nothing was answered"]);
    assert!(!stranger.has("quorate.toml"));
}
