//! The Python environment of the clients, below the target directory, made once for each set of pinned packages.
//!
//! pip takes the package index from the machine's own configuration. Where Python cannot make environments, on a
//! Debian as a build server has it, the missing package is installed, with a message.

#![allow(clippy::disallowed_methods, reason = "running programs and making directories is what this module is for")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, io};

use super::process;
use crate::run::Count;

const PIP_DEADLINE: Duration = Duration::from_secs(900);
const BUILD_DEADLINE: Duration = Duration::from_secs(1800);
const APT_DEADLINE: Duration = Duration::from_secs(300);

/// Written last: an environment without it was never finished.
const COMPLETE: &str = "complete";

/// What a script needs.
pub(super) struct Environment {
    scripts: PathBuf,
    venv: PathBuf,
    programs: PathBuf,
    work: PathBuf,
}

impl Environment {
    /// Makes ready what is not: the packages, and `quorate` and `quorate-lab` of this tree, which cargo builds with
    /// these arguments.
    pub(super) fn ready(root: &Path, build: &[&str]) -> Result<Self, String> {
        let scripts = root.join("clients");
        let own = std::env::current_exe().map_err(|error| format!("where is xtask? {error}"))?;
        // target/debug/xtask
        let all = own.parent().and_then(Path::parent).ok_or("xtask lies in no target directory")?;
        let target = all.join("clients");
        let venv = venv(&scripts, &target)?;
        let mut cargo = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root).args(build);
        process::run(cargo, BUILD_DEADLINE, &mut Count::default()).map_err(|why| format!("cargo build: {why}"))?;
        let work = target.join("labs");
        fs::create_dir_all(&work).map_err(|error| format!("{}: {error}", work.display()))?;
        Ok(Self { scripts, venv, programs: all.join("debug"), work })
    }

    /// The command that runs a script.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = program(self.venv.join("bin/python"));
        command.arg("-u").arg(self.scripts.join(name)).arg("--programs").arg(&self.programs);
        command.arg("--work").arg(&self.work).env("QUORATE_CLIENTS_COLLECTIONS", self.venv.join("collections"));
        // Nothing is written beside the scripts.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(name)
}

/// The environment for the pinned packages: the one that is there, or a new one.
fn venv(scripts: &Path, target: &Path) -> Result<PathBuf, String> {
    let python = program("python3").arg("--version").output();
    let python = python.map_err(|error| format!("python3 is needed for the clients: {error}"))?;
    let read = |name: &str| fs::read_to_string(scripts.join(name)).map_err(|error| format!("clients/{name}: {error}"));
    let pinned = [read("requirements.txt")?, read("collection.txt")?, String::from_utf8_lossy(&python.stdout).into()];
    let venv = target.join(format!("venv-{:016x}", fingerprint(&pinned)));
    if venv.join(COMPLETE).exists() {
        return Ok(venv);
    }
    println!("making a Python environment for the clients, once for each clients/requirements.txt");
    forget_others(target).map_err(|error| format!("{}: {error}", target.display()))?;
    can_make_venvs()?;
    let mut make = program("python3");
    make.args(["-m", "venv"]).arg(&venv);
    quietly(make, PIP_DEADLINE).map_err(|why| format!("python3 -m venv: {why}"))?;
    install(scripts, &venv)?;
    fs::write(venv.join(COMPLETE), "").map_err(|error| format!("{}: {error}", venv.display()))?;
    Ok(venv)
}

fn install(scripts: &Path, venv: &Path) -> Result<(), String> {
    let pip = |arguments: &[&str]| {
        let mut pip = program(venv.join("bin/python"));
        pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
        pip
    };
    let failed = |why| format!("pip cannot install the clients: {why}; is a package index in reach?");
    let mut packages = pip(&["install", "--quiet", "--requirement"]);
    packages.arg(scripts.join("requirements.txt"));
    quietly(packages, PIP_DEADLINE).map_err(failed)?;
    let downloads = venv.join("downloads");
    let mut wheel = pip(&["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--requirement"]);
    wheel.arg(scripts.join("collection.txt")).arg("--dest").arg(&downloads);
    quietly(wheel, PIP_DEADLINE).map_err(failed)?;
    let mut unpack = program(venv.join("bin/python"));
    unpack.arg(scripts.join("unpack_collection.py")).arg(&downloads).arg(venv.join("collections"));
    quietly(unpack, PIP_DEADLINE).map_err(|why| format!("clients/unpack_collection.py: {why}"))?;
    fs::remove_dir_all(&downloads).map_err(|error| format!("{}: {error}", downloads.display()))
}

fn quietly(command: Command, deadline: Duration) -> Result<(), String> {
    process::run(command, deadline, &mut Count::default())
}

/// Debian has venv in a package of its own. As root it is installed, as a build server's image may lack it.
fn can_make_venvs() -> Result<(), String> {
    let has = || {
        let mut python = program("python3");
        python.args(["-c", "import venv, ensurepip"]).stdout(Stdio::null()).stderr(Stdio::null());
        python.status().is_ok_and(|status| status.success())
    };
    if has() {
        return Ok(());
    }
    println!(
        "python3 cannot make environments here; installing python3-venv: apt-get install --no-remove python3-venv"
    );
    let mut apt = program("apt-get");
    apt.args(["install", "--no-remove", "-y", "-q", "python3-venv"]).env("DEBIAN_FRONTEND", "noninteractive");
    let installed = quietly(apt, APT_DEADLINE);
    if has() {
        return Ok(());
    }
    let why = installed.err().unwrap_or_else(|| "it did not help".to_owned());
    Err(format!("python3 has no venv, and apt-get install python3-venv: {why}"))
}

/// Environments of other pinned packages, and half-made ones: hundreds of megabytes each.
fn forget_others(target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(target)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("venv-") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// FNV-1a: names a directory, guards nothing.
fn fingerprint(texts: &[String]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_of_a_package_is_another_environment() {
        let of = |texts: [&str; 2]| fingerprint(&texts.map(str::to_owned));
        assert_eq!(of(["a==1", "b"]), of(["a==1", "b"]));
        assert_ne!(of(["a==1", "b"]), of(["a==2", "b"]));
        assert_ne!(of(["a", "bc"]), of(["ab", "c"]));
    }

    #[test]
    fn every_package_is_pinned_to_one_version() {
        for name in ["requirements.txt", "collection.txt"] {
            let text = fs::read_to_string(crate::root().join("clients").join(name)).expect("it is there");
            let packages = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            assert!(packages().count() > 0 && packages().all(|line| line.contains("==")), "{name}");
            assert!(!text.contains("://"), "{name} names an index");
        }
    }
}
