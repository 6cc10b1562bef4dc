//! A look at the recorded genuine cluster, and at deliberate changes to it.
#![allow(clippy::disallowed_methods, reason = "UPDATE=1 writes the snapshot again")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::ids::{GuestId, NodeName};
use quorate_core::observed::Observed;
use quorate_core::snapshot::{GuestStatus, HaServiceState, HealthLevel, Memory, SafeToStop, Snapshot};
use quorate_core::version::Version;
use quorate_pve::observe::{Depth, Look, observe};
use quorate_pve::ports::{Api, ApiData, ApiError, ApiRequest, PortFuture, Ports};
use quorate_pve::recorded::RecordedPorts;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn recorded() -> Ports {
    RecordedPorts::open(&fixtures().join("pve91")).unwrap().ports()
}

async fn look_at(ports: &Ports) -> Snapshot {
    observe(ports, Look::full()).await
}

/// The recording with some answers changed.
struct Changed<F> {
    inner: Arc<dyn Api>,
    change: F,
}

impl<F> Api for Changed<F>
where
    F: Fn(&ApiRequest, Result<ApiData, ApiError>) -> Result<ApiData, ApiError> + Send + Sync,
{
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        Box::pin(async move {
            let answer = self.inner.call(request.clone()).await;
            (self.change)(&request, answer)
        })
    }
}

fn changed(
    change: impl Fn(&ApiRequest, Result<ApiData, ApiError>) -> Result<ApiData, ApiError> + Send + Sync + 'static,
) -> Ports {
    let ports = recorded();
    Ports { api: Arc::new(Changed { inner: ports.api.clone(), change }), ..ports }
}

#[tokio::test]
async fn the_snapshot_of_the_genuine_cluster_is_the_one_on_file() {
    let snapshot = look_at(&recorded()).await;
    let json = serde_json::to_string_pretty(&snapshot).unwrap() + "\n";
    let file = fixtures().join("pve91-snapshot.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &json).unwrap();
    }
    let on_file = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(json == on_file, "the snapshot differs from its file; look at it, then run again with UPDATE=1");
    let back: Snapshot = serde_json::from_str(&on_file).unwrap();
    assert_eq!(back, snapshot, "a snapshot survives being written and read");
}

#[tokio::test]
async fn a_look_finds_what_the_recording_holds() {
    let snapshot = look_at(&recorded()).await;
    assert_eq!(snapshot.cluster_name, Observed::Known("testcluster".into()));
    assert_eq!(snapshot.nodes.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["pve1", "pve2", "pve3"]);
    assert_eq!(snapshot.nodes[&"pve2".into()].online, Observed::Known(true));
    let pve1 = &snapshot.nodes[&"pve1".into()];
    assert_eq!(pve1.pve_version, Observed::Known(Version::from("9.1.8")), "the installed version, not the candidate");
    let view = snapshot.quorum[&"pve1".into()].known().unwrap();
    assert_eq!((view.quorate, view.total_votes, view.quorum, view.configured_links), (true, 3, 2, 1));
    assert!(view.links[&"pve3".into()][0].connected);
    assert_eq!(snapshot.guests[&GuestId::vm(104)].status, Observed::Known(GuestStatus::Running));
    let service = snapshot.ha_service(GuestId::vm(102)).unwrap();
    assert!(service.failback && service.state == Some(HaServiceState::Started));
    let ceph = snapshot.ceph().unwrap();
    assert_eq!(ceph.health, HealthLevel::Ok);
    assert!(ceph.all_pgs_clean() && ceph.osds.len() == 3 && ceph.flags.is_empty());
    assert_eq!(ceph.osds_ok_to_stop[&"pve1".into()], Observed::Known(SafeToStop::Safe));
    assert_eq!(ceph.mon_quorum.len(), 3);
    assert_eq!(snapshot.missing_privileges, Observed::Known(vec![]));
    assert_eq!(snapshot.sees_all_guests, Observed::Known(true));
}

#[tokio::test]
async fn what_was_not_recorded_is_unknown_and_says_so() {
    let snapshot = look_at(&recorded()).await;
    // The only endpoint is pve1: no other node can say that it is online.
    assert!(snapshot.nodes[&"pve1".into()].online.known().is_none());
    let gaps = snapshot.gaps();
    let why = |place: &str| &gaps.iter().find(|gap| gap.place == place).unwrap_or_else(|| panic!("{place}")).why;
    assert_eq!(why("nodes/pve2/memory").source, "GET /nodes/pve2/status");
    assert!(why("nodes/pve2/memory").reason.contains("not in the recording"));
    assert_eq!(why("nodes/pve1/kernel").source, "find /boot -maxdepth 1 -name 'vmlinuz-*' on pve1");
    assert!(why("guests/vm:101/status").source.contains("/nodes/pve2/qemu"));
    // Half of the nodes' task lists are missing, so it must not look as if nothing runs.
    assert!(snapshot.jobs.known().is_none());
}

#[tokio::test]
async fn a_token_without_vm_audit_sees_short_lists_and_is_not_trusted() {
    // PVE answers 200 with fewer entries: here with none.
    let ports = changed(|request, answer| match request.path.as_str() {
        "/cluster/resources" | "/nodes/pve1/qemu" => Ok(Value::Array(vec![])),
        "/access/permissions" => answer.map(|mut permissions| {
            for privileges in permissions.as_object_mut().unwrap().values_mut() {
                privileges.as_object_mut().unwrap().remove("VM.Audit");
            }
            permissions
        }),
        _ => answer,
    });
    let snapshot = look_at(&ports).await;
    assert!(snapshot.guests.is_empty());
    assert_eq!(snapshot.sees_all_guests, Observed::Known(false));
    assert_eq!(snapshot.missing_privileges, Observed::Known(vec!["/vms VM.Audit".into()]));
}

#[tokio::test]
async fn a_guest_that_only_the_node_itself_lists_proves_that_the_token_does_not_see_all() {
    // The privileges look complete, but vm:103 of `qm list` is in no answer of the API.
    let ports = changed(|request, answer| match request.path.as_str() {
        "/cluster/resources" => answer.map(|mut list| {
            list.as_array_mut().unwrap().retain(|entry| entry["vmid"] != 103);
            list
        }),
        _ => answer,
    });
    assert_eq!(look_at(&ports).await.sees_all_guests, Observed::Known(false));
}

#[tokio::test]
async fn a_cluster_without_ceph_has_none_and_one_that_times_out_is_unknown() {
    let refuse = |reason: &'static str| {
        changed(move |request, answer| match request.path.contains("/ceph/status") {
            true => Err(ApiError::Refused { status: 500, reason: reason.into(), errors: vec![] }),
            false => answer,
        })
    };
    let none = look_at(&refuse("binary not installed: /usr/bin/ceph-mon")).await;
    assert_eq!(none.ceph, Observed::Known(None));
    let silent = look_at(&refuse("error with 'mon dump': got timeout")).await;
    assert!(silent.ceph.known().is_none());
}

#[tokio::test]
async fn an_offline_nodes_readings_are_unknown_even_in_a_watch_that_had_them_before() {
    let mut before = look_at(&recorded()).await;
    let pve3 = before.nodes.get_mut(&"pve3".into()).unwrap();
    pve3.memory = Observed::Known(Memory { total_bytes: 2, used_bytes: 1, host_bytes: 1 });
    pve3.storages = Observed::Known(BTreeMap::new());
    let ports = changed(|request, answer| match request.path.as_str() {
        "/cluster/status" => answer.map(|mut list| {
            for entry in list.as_array_mut().unwrap().iter_mut().filter(|entry| entry["name"] == "pve3") {
                entry["online"] = 0.into();
            }
            list
        }),
        _ => answer,
    });
    let look = Look { depth: Depth::Watch, previous: Some(&before), ..Look::full() };
    let snapshot = observe(&ports, look).await;
    let pve3 = &snapshot.nodes[&"pve3".into()];
    assert_eq!(pve3.online, Observed::Known(false));
    assert!(pve3.memory.known().is_none() && pve3.storages.known().is_none());
    // Its guests are still listed, in an unknown state: they must not be taken for stopped.
    let guest = &snapshot.guests[&GuestId::vm(103)];
    assert!(guest.node == "pve3".into() && guest.may_be_running() && guest.migration.known().is_none());
}

/// A recording that counts the calls below a path.
fn counting(below: &'static str) -> (Ports, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let ports = changed(move |request, answer| {
        if request.path.starts_with(below) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        answer
    });
    (ports, count)
}

#[tokio::test]
async fn a_watch_does_not_read_a_guest_whose_facts_are_known_and_a_full_look_reads_it_again() {
    let before = look_at(&recorded()).await;
    let (ports, count) = counting("/nodes/pve1/qemu/102/");
    let watch = Look { depth: Depth::Watch, previous: Some(&before), ..Look::full() };
    let snapshot = observe(&ports, watch.clone()).await;
    assert_eq!(count.load(Ordering::SeqCst), 0);
    assert_eq!(snapshot.guests[&GuestId::vm(102)].migration, before.guests[&GuestId::vm(102)].migration);
    observe(&ports, Look { depth: Depth::Full, ..watch }).await;
    assert!(count.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn a_watch_reads_a_guest_again_that_has_come_from_another_node() {
    let mut before = look_at(&recorded()).await;
    before.guests.get_mut(&GuestId::vm(102)).unwrap().node = "pve2".into();
    let (ports, count) = counting("/nodes/pve1/qemu/102/");
    observe(&ports, Look { depth: Depth::Watch, previous: Some(&before), ..Look::full() }).await;
    assert!(count.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn a_missing_privilege_is_enough_not_to_trust_the_lists() {
    // The nodes' own lists do not contradict it: all they show is visible. One guest is hidden by an entry of its own.
    let ports = changed(|request, answer| match request.path.as_str() {
        "/access/permissions" => answer.map(|mut permissions| {
            permissions["/vms/199"] = serde_json::json!({"VM.Migrate": 1});
            permissions
        }),
        _ => answer,
    });
    let snapshot = look_at(&ports).await;
    assert_eq!(snapshot.sees_all_guests, Observed::Known(false));
    let missing = snapshot.missing_privileges.known().unwrap();
    assert!(missing.contains(&"/vms/199 VM.Audit".to_owned()), "{missing:?}");
}

#[tokio::test]
async fn an_offline_node_is_not_asked_through_another_one() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let ports = changed(move |request, answer| match request.path.as_str() {
        "/cluster/status" => answer.map(|mut list| {
            for entry in list.as_array_mut().unwrap().iter_mut().filter(|entry| entry["name"] == "pve3") {
                entry["online"] = 0.into();
            }
            list
        }),
        path => {
            counted.fetch_add(usize::from(path.starts_with("/nodes/pve3/")), Ordering::SeqCst);
            answer
        }
    });
    let snapshot = look_at(&ports).await;
    assert_eq!(count.load(Ordering::SeqCst), 0);
    let Observed::Unknown(why) = &snapshot.nodes[&NodeName::from("pve3")].memory else { panic!() };
    assert_eq!(why.to_string(), "GET /nodes/pve3/status: pve3 is offline, as other nodes see it");
}

#[tokio::test]
async fn one_node_without_ceph_proves_nothing_about_a_silent_one() {
    let ports = changed(|request, answer| {
        let refused = |reason: &str| Err(ApiError::Refused { status: 500, reason: reason.into(), errors: vec![] });
        match request.path.as_str() {
            "/nodes/pve2/ceph/status" => refused("error with 'mon dump': got timeout"),
            path if path.ends_with("/ceph/status") => refused("binary not installed: /usr/bin/ceph-mon"),
            _ => answer,
        }
    });
    let ceph = look_at(&ports).await.ceph;
    assert!(matches!(&ceph, Observed::Unknown(why) if why.source == "GET /nodes/pve2/ceph/status"), "{ceph:?}");
}
