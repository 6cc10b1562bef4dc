//! Replication jobs: as configured, and the results of those that start on a node.

use quorate_core::ids::NodeName;
use quorate_world::store::ReplicationJob;
use serde_json::{Map, Value, json};

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::sees;
use crate::text::{Moment, config_digest};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/replication", configured),
    route("POST", "/cluster/replication", create),
    route("GET", "/cluster/replication/{id}", one),
    route("PUT", "/cluster/replication/{id}", change),
    route("DELETE", "/cluster/replication/{id}", remove),
    route("GET", "/nodes/{node}/replication", on_node),
    route("GET", "/nodes/{node}/replication/{id}/status", status),
    route("GET", "/nodes/{node}/replication/{id}/log", log),
    route("POST", "/nodes/{node}/replication/{id}/schedule_now", schedule_now),
];

const LOCK: &str = "file-replication_cfg";

/// A job as configured.
fn entry(job: &ReplicationJob) -> Map<String, Value> {
    let number = job.id.rsplit('-').next().and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
    let mut entry = object(json!({
        "id": job.id, "guest": job.guest.vmid, "jobnum": number, "source": job.source, "target": job.target,
        "type": "local", "schedule": job.schedule,
    }));
    if !job.enabled {
        entry.insert("disable".into(), json!(1));
    }
    entry
}

fn configured(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let jobs = call.world.replication_jobs.iter().filter(|job| call.sees_guest(job.guest));
    Ok(jobs.map(|job| Value::Object(entry(job))).collect::<Value>().into())
}

fn find<'a>(call: &'a Call<'_>) -> Result<&'a ReplicationJob, CallRefused> {
    let id = call.args.text("id");
    let job = call.world.replication_jobs.iter().find(|job| job.id == id);
    let job = job.ok_or_else(|| CallRefused::failed(format!("no such replication job '{id}'")))?;
    call.require(&format!("/vms/{}", job.guest.vmid), &["VM.Audit"])?;
    Ok(job)
}

/// Since 9.0 there is a privilege of its own; before, it was that of storages.
fn may_change(call: &Call<'_>, vmid: &str) -> Result<(), CallRefused> {
    match call.release() >= (9, 0) {
        true => call.require(&format!("/vms/{vmid}"), &["VM.Replicate"]),
        false => call.require("/storage", &["Datastore.Allocate"]),
    }
}

fn one(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let mut found = entry(find(call)?);
    found.insert("digest".into(), json!(digest(call)));
    Ok(Value::Object(found).into())
}

fn digest(call: &Call<'_>) -> String {
    let all: Vec<_> = call.world.replication_jobs.iter().map(entry).collect();
    config_digest(&json!(all).to_string())
}

fn create(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = call.args.text("id").to_owned();
    let vmid = id.split('-').next().unwrap_or_default().to_owned();
    may_change(call, &vmid)?;
    call.locks(LOCK)?;
    if call.world.replication_jobs.iter().any(|job| job.id == id) {
        return Err(CallRefused::failed(format!("replication job '{id}' already exists")));
    }
    let guest = call.world.guests.values().find(|guest| guest.id.vmid.to_string() == vmid);
    let guest = guest.ok_or_else(|| CallRefused::failed(format!("unable to find configuration for guest '{vmid}'")))?;
    let (guest, source) = (guest.id, guest.node.clone());
    let target = NodeName::new(call.args.text("target"));
    if !call.world.nodes.contains_key(&target) {
        return Err(CallRefused::failed(format!("no such cluster node '{target}'")));
    }
    if target == source {
        return Err(CallRefused::failed(format!("unable to sync to local node '{target}'")));
    }
    let schedule = call.args.get("schedule").unwrap_or("*/15").to_owned();
    let enabled = !call.args.is_on("disable");
    let job =
        ReplicationJob { id, guest, source, target, schedule, enabled, last_sync_s: 0, fail_count: 0, error: None };
    call.world.replication_jobs.push(job);
    Ok(Value::Null.into())
}

fn change(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let (id, vmid) = (find(call)?.id.clone(), find(call)?.guest.vmid.to_string());
    may_change(call, &vmid)?;
    call.locks(LOCK)?;
    if call.args.get("digest").is_some_and(|sent| sent != digest(call)) {
        return Err(CallRefused::failed("detected modified configuration - file changed by other user? Try again."));
    }
    let deleted = call.args.text("delete").split([',', ' ', ';']).any(|key| key == "disable");
    let disabled = call.args.switch("disable").or(deleted.then_some(false));
    let schedule = call.args.get("schedule").map(str::to_owned);
    if let Some(job) = call.world.replication_jobs.iter_mut().find(|job| job.id == id) {
        job.enabled = disabled.map_or(job.enabled, |disabled| !disabled);
        job.schedule = schedule.unwrap_or_else(|| job.schedule.clone());
    }
    Ok(Value::Null.into())
}

/// In PVE the job is removed by its next run; here at once.
fn remove(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let (id, vmid) = (find(call)?.id.clone(), find(call)?.guest.vmid.to_string());
    may_change(call, &vmid)?;
    call.locks(LOCK)?;
    call.world.replication_jobs.retain(|job| job.id != id);
    Ok(Value::Null.into())
}

fn state(call: &Call<'_>, job: &ReplicationJob) -> Value {
    let mut found = entry(job);
    found.insert("vmtype".into(), json!(job.guest.kind.api()));
    found.insert("last_sync".into(), json!(job.last_sync_s));
    let run = call.world.replication_runs.get(&job.id).copied().unwrap_or_default();
    found.insert("last_try".into(), json!((run.last_try_ms / 1000).max(job.last_sync_s)));
    // The next quarter of an hour, PVE's default schedule; none while the target is away.
    let next_s = if sees(call.world, &call.node, &job.target) { (call.now_s() / 900 + 1) * 900 } else { 0 };
    found.insert("next_sync".into(), json!(next_s));
    found.insert("fail_count".into(), json!(job.fail_count));
    found.insert("duration".into(), json!(run.duration_ms as f64 / 1000.0));
    if run.running_until_ms.is_some() {
        found.insert("pid".into(), json!(1_500));
    }
    if let Some(error) = &job.error {
        found.insert("error".into(), json!(error));
    }
    found.into()
}

fn on_node(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.args.number("guest");
    let jobs = call.world.replication_jobs.iter().filter(|job| job.source == call.node);
    let jobs = jobs.filter(|job| guest.is_none_or(|guest| guest == u64::from(job.guest.vmid.0)));
    Ok(jobs.filter(|job| call.sees_guest(job.guest)).map(|job| state(call, job)).collect::<Value>().into())
}

fn here<'a>(call: &'a Call<'_>) -> Result<&'a ReplicationJob, CallRefused> {
    let job = find(call)?;
    match job.source == call.node {
        true => Ok(job),
        false => Err(CallRefused::failed(format!("no such replication job '{}'", job.id))),
    }
}

fn status(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(state(call, here(call)?).into())
}

fn log(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let job = here(call)?;
    let when = Moment::at(job.last_sync_s).log();
    let mut lines = vec![format!("{when} {}: start replication job", job.id)];
    lines.push(match &job.error {
        Some(error) => format!("{when} {}: end replication job with error: {error}", job.id),
        None => format!("{when} {}: end replication job", job.id),
    });
    Ok(super::tasks::page(call, &lines))
}

/// Puts the job in front of the queue; the next minute's run takes it.
fn schedule_now(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let vmid = here(call)?.guest.vmid.to_string();
    may_change(call, &vmid)?;
    Ok(Value::Null.into())
}
