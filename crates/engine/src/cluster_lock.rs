//! The driver's lock in the cluster itself, so that two administrators on two laptops cannot both upgrade it.
//!
//! It is a directory under `/etc/pve/priv/lock`: making it is atomic over the whole cluster, it needs quorum, and
//! pmxcfs itself releases one that was not touched for two minutes and whose unlock someone requests by setting
//! its time to 0 (pve-cluster, `memdb_lock_expired`). So a dead driver does not hold it for ever. Beside it is a
//! file that says who holds it; it is for people and for ourselves after a crash.

use std::time::Duration;

use quorate_core::ids::{NodeName, RunId, UnixMs};
use quorate_core::run::Hold;
use quorate_core::snapshot::DriverLock;
use quorate_pve::ports::{Exit, Ports, ShellOutput};

/// The lock.
const LOCK: &str = "/etc/pve/priv/lock/quorate";

/// The driver that holds it.
const HOLDER: &str = "/etc/pve/priv/quorate-driver.json";

/// pmxcfs releases it after 120 s; three renewals may fail before that.
const RENEW_S: u64 = 30;

/// After this long without a renewal another driver may have the lock: nothing is started then.
const SURE_S: u64 = 100;

const DEADLINE: Duration = Duration::from_secs(20);

/// The lock as this driver has it.
#[derive(Debug)]
pub(crate) struct ClusterLock {
    run: RunId,
    holder: String,
    renewed: Option<UnixMs>,
}

impl ClusterLock {
    pub(crate) fn new(run: RunId, holder: String) -> Self {
        Self { run, holder, renewed: None }
    }

    /// Takes the lock, or renews it when that is due.
    pub(crate) async fn hold(&mut self, ports: &Ports, nodes: &[NodeName]) -> Hold {
        let now = ports.clock.now();
        // A clock that was set back says nothing about the time since then: the lock is read again.
        let age_s = self.renewed.map(|renewed| if now < renewed { u64::MAX } else { now.since_s(renewed) });
        if age_s.is_some_and(|age_s| age_s < RENEW_S) {
            return Hold::Ours;
        }
        // Only while the name beside it is ours: after a long silence another driver may have taken it.
        let ours =
            age_s.is_some() && self.named_holder(ports, nodes).await.is_some_and(|lock| lock.run == self.run.as_str());
        let hold = if ours { self.took(ports, nodes, now).await } else { self.take(ports, nodes, now).await };
        match hold {
            Hold::Unsure(_) if age_s.is_some_and(|age_s| age_s < SURE_S) => Hold::Ours,
            hold => hold,
        }
    }

    async fn take(&mut self, ports: &Ports, nodes: &[NodeName], now: UnixMs) -> Hold {
        let mut made = self.on_any(ports, nodes, &["mkdir", LOCK]).await;
        if exists(&made) {
            match self.named_holder(ports, nodes).await {
                // Our own, of a driver that died: the journal's lease says that it is gone.
                Some(lock) if lock.run == self.run.as_str() => return self.took(ports, nodes, now).await,
                other => {
                    // pmxcfs releases it only if it was not renewed for two minutes.
                    let _ = self.on_any(ports, nodes, &["touch", "-c", "-d", "@0", LOCK]).await;
                    made = self.on_any(ports, nodes, &["mkdir", LOCK]).await;
                    match other {
                        Some(lock) if exists(&made) => return Hold::Theirs(lock.holder),
                        None if exists(&made) => {
                            // A driver that died in the middle of taking it, or one that has just started.
                            return Hold::Unsure("someone took it and left no name; it expires in two minutes".into());
                        }
                        _ => {}
                    }
                }
            }
        }
        match made {
            Ok(output) if output.succeeded() => self.took(ports, nodes, now).await,
            Ok(output) => Hold::Unsure(output.stderr.trim().to_owned()),
            Err(why) => Hold::Unsure(why),
        }
    }

    /// Writes our name and the time beside the lock, and renews it.
    async fn took(&mut self, ports: &Ports, nodes: &[NodeName], now: UnixMs) -> Hold {
        let lock = DriverLock { run: self.run.to_string(), holder: self.holder.clone(), renewed: now };
        let json = serde_json::to_string(&lock).expect("a lock is plain data and always serialises");
        // The one place where a remote shell is needed: nothing else writes a file without standard input. The script
        // is fixed, and what varies are arguments.
        let script = "printf %s \"$1\" > \"$2\"";
        let written = self.on_any(ports, nodes, &["sh", "-c", script, "sh", &json, HOLDER]).await;
        let _ = self.on_any(ports, nodes, &["touch", "-c", LOCK]).await;
        match written {
            Ok(output) if output.succeeded() => {
                self.renewed = Some(now);
                Hold::Ours
            }
            Ok(output) => Hold::Unsure(output.stderr.trim().to_owned()),
            Err(why) => Hold::Unsure(why),
        }
    }

    async fn named_holder(&self, ports: &Ports, nodes: &[NodeName]) -> Option<DriverLock> {
        let output = self.on_any(ports, nodes, &["cat", HOLDER]).await.ok()?;
        serde_json::from_str(&output.stdout).ok()
    }

    /// Releases the lock. One that stays behind expires by itself.
    pub(crate) async fn release(&mut self, ports: &Ports, nodes: &[NodeName]) {
        if self.renewed.take().is_some() {
            let _ = self.on_any(ports, nodes, &["rm", "-f", HOLDER]).await;
            let _ = self.on_any(ports, nodes, &["rmdir", LOCK]).await;
        }
    }

    /// On the first node that answers and on which `/etc/pve` can be written; the last refusal if there is none.
    async fn on_any(&self, ports: &Ports, nodes: &[NodeName], argv: &[&str]) -> Result<ShellOutput, String> {
        let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
        let (mut reasons, mut refused) = (Vec::new(), None);
        for node in nodes {
            match ports.shell.run(node, &argv, DEADLINE).await {
                Ok(output) if output.stderr.contains("Permission denied") => refused = Some(output),
                Ok(output) => return Ok(output),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if let Some(output) = refused {
            return Ok(output);
        }
        Err(if reasons.is_empty() { "no node to ask".to_owned() } else { reasons.join("; ") })
    }
}

fn exists(made: &Result<ShellOutput, String>) -> bool {
    made.as_ref().is_ok_and(|output| output.exit != Exit::Status(0) && output.stderr.contains("File exists"))
}
