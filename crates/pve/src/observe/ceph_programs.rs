//! Ceph's programs: asked of one node after the other until one gives an answer.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use quorate_core::ids::NodeName;
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Ceph, SafeToStop};

use super::look::Look;
use super::reader::{Allowed, Reader};
use super::shell::{NodeShell, QUICK};
use crate::ports::{Exit, ShellOutput};
use crate::wire::ceph as wire;
use crate::wire::lenient;

/// So many nodes may leave a program without an answer: without a quorum of monitors each waits. One that has no Ceph
/// says so at once, and the next is asked.
const UNANSWERED: usize = 2;

/// What a program printed that must have ended well.
pub(super) fn printed<T: serde::de::DeserializeOwned>(
    shell: &NodeShell<'_>,
    argv: &[&str],
    output: &ShellOutput,
) -> Result<T, WhyUnknown> {
    if !output.succeeded() {
        return Err(shell.failed(argv, output));
    }
    lenient::read_text(&output.stdout).map_err(|reason| shell.misread(argv, reason))
}

/// Runs a program on one node after the other until one gives an answer; otherwise why the first did not.
pub(super) async fn first_answer<T>(
    reader: &Reader<'_>,
    hosts: &[&NodeName],
    argv: &[&str],
    allowed: Allowed,
    read: impl Fn(&NodeShell<'_>, &ShellOutput) -> Result<T, WhyUnknown>,
) -> Result<T, WhyUnknown> {
    let (mut first, mut unanswered) = (None, 0);
    for node in hosts {
        let shell = NodeShell::new(reader, node);
        let why = match shell.run(argv, allowed).await {
            Ok(output) => match read(&shell, &output) {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            },
            Err(why) => {
                unanswered += 1;
                why
            }
        };
        first.get_or_insert(why);
        if unanswered == UNANSWERED {
            break;
        }
    }
    Err(first.unwrap_or_else(|| WhyUnknown::new(argv.join(" "), "no node could be asked")))
}

/// Asks for each host with OSDs; in a watch, only for the current node.
pub(super) async fn ok_to_stop(
    reader: &Reader<'_>,
    look: &Look<'_>,
    hosts: &[&NodeName],
    ceph: &Ceph,
) -> BTreeMap<NodeName, Observed<SafeToStop>> {
    let in_use = ceph.osds.values().filter(|osd| !osd.is_given_up());
    let with_osds: BTreeSet<&NodeName> = in_use.map(|osd| &osd.node).collect();
    let outcomes = with_osds.into_iter().map(|host| async move {
        let ids: Vec<String> = ceph.osds_in_use_on(host).map(|(id, _)| id.0.to_string()).collect();
        let mut argv = vec!["ceph", "osd", "ok-to-stop"];
        argv.extend(ids.iter().map(String::as_str));
        argv.extend(["-f", "json"]);
        let outcome = if look.closely(host) {
            ask_to_stop(reader, hosts, &argv).await
        } else {
            Err(WhyUnknown::new(argv.join(" "), "only read in a full look and for the current node"))
        };
        (host.clone(), outcome.into())
    });
    join_all(outcomes).await.into_iter().collect()
}

async fn ask_to_stop(reader: &Reader<'_>, hosts: &[&NodeName], argv: &[&str]) -> Result<SafeToStop, WhyUnknown> {
    first_answer(reader, hosts, argv, QUICK, |shell, output| may_stop(shell, argv, output)).await
}

fn may_stop(shell: &NodeShell<'_>, argv: &[&str], output: &ShellOutput) -> Result<SafeToStop, WhyUnknown> {
    /// EBUSY: Ceph's "no".
    const NOT_SAFE: i32 = 16;
    let said: Result<wire::OkToStop, String> = lenient::read_text(&output.stdout);
    match (&output.exit, said) {
        (Exit::Status(0), Ok(wire::OkToStop { ok_to_stop: Some(lenient::Flag(true)), .. })) => Ok(SafeToStop::Safe),
        (Exit::Status(NOT_SAFE), _) => Ok(SafeToStop::Unsafe(shell.failed(argv, output).reason)),
        (Exit::Status(0), Ok(_)) => Ok(SafeToStop::Unsafe("Ceph does not say ok_to_stop".to_owned())),
        (Exit::Status(0), Err(reason)) => Err(shell.misread(argv, reason)),
        _ => Err(shell.failed(argv, output)),
    }
}
