//! Each condition of a step's status by itself: in a cluster in which nothing else is wrong, it alone decides.

use crate::fixture::Fixture;
use crate::ids::{GuestId, NodeName};
use crate::observed::Observed::{self, Known};
use crate::snapshot::*;
use crate::steps::*;

fn vm() -> GuestId {
    GuestId::vm(101)
}

fn pve(number: u32) -> NodeName {
    NodeName::new(format!("pve{number}"))
}

/// Three nodes with Ceph; vm:101 runs on pve1.
fn fixture() -> Fixture {
    Fixture::cluster(3).ceph().vm(101, "pve1", 4)
}

fn status(step: impl Into<Step>, world: Fixture) -> StepStatus {
    step.into().kind().status(&world.snapshot())
}

/// Blocked, and every reason given contains these words.
#[track_caller]
fn blocked(status: StepStatus, words: &str) {
    let StepStatus::Blocked(why) = &status else { panic!("not blocked: {status:?}") };
    assert!(!why.is_empty() && why.iter().all(|why| why.to_string().contains(words)), "{words:?}: {why:?}");
}

#[track_caller]
fn impossible(status: StepStatus, words: &str) {
    let StepStatus::Impossible(why) = &status else { panic!("not impossible: {status:?}") };
    assert!(why.to_string().contains(words), "{words:?}: {why}");
}

#[track_caller]
fn running(status: StepStatus) {
    assert!(matches!(status, StepStatus::Running(_)), "{status:?}");
}

fn gap<T>() -> Observed<T> {
    Observed::unknown("pve1", "timed out")
}

fn job(kind: &str, guest: Option<GuestId>) -> Job {
    let upid = format!("UPID:pve1:1:2:3:{kind}:101:root@pam:").as_str().into();
    let (kind, user, vmid) = (JobKind(kind.to_owned()), "root@pam".to_owned(), guest.map(|guest| guest.vmid));
    Job { upid, node: pve(1), kind, vmid, user, started: crate::ids::UnixMs(0) }
}

fn with_job(kind: &str) -> Fixture {
    fixture().change(|world| world.jobs = Known(vec![job(kind, Some(vm()))]))
}

fn ceph(world: &mut Snapshot) -> &mut Ceph {
    world.ceph.known_mut().and_then(Option::as_mut).expect("the fixture has Ceph")
}

fn service(world: &mut Snapshot, request: HaRequest, state: Option<HaServiceState>) {
    let service = world.ha.known_mut().unwrap().services.get_mut(&vm()).unwrap();
    (service.request, service.state) = (request, state);
}

/// HA has vm:101 in this state.
fn ha(request: HaRequest, state: Option<HaServiceState>) -> Fixture {
    fixture().managed(vm()).change(|world| service(world, request, state))
}

fn is_empty(world: Fixture) -> StepStatus {
    status(WaitEmpty { node: pve(1) }, world)
}

/// pve1 has nothing on it.
fn emptied() -> Fixture {
    Fixture::cluster(3).vm(101, "pve2", 4)
}

#[test]
fn what_runs_on_a_node_is_known_from_its_own_list_alone() {
    assert_eq!(is_empty(emptied()), StepStatus::Done);
    let listed = |running| {
        let hidden = LocalGuest { kind: vm().kind, vmid: GuestId::vm(666).vmid, running, name: "hidden".to_owned() };
        emptied().node("pve1", |node| node.local_guests = Known(vec![hidden]))
    };
    blocked(is_empty(listed(true)), "vm:666");
    assert_eq!(is_empty(listed(false)), StepStatus::Done);
    blocked(is_empty(emptied().node("pve1", |node| node.local_guests = gap())), "timed out");
}

#[test]
fn what_runs_on_a_node_is_known_from_the_clusters_placement_alone() {
    blocked(is_empty(emptied().guest(vm(), |guest| guest.node = pve(1))), "vm:101");
    let unknown = |guest: &mut Guest| (guest.node, guest.status) = (pve(1), gap());
    blocked(is_empty(emptied().guest(vm(), unknown)), "vm:101");
    let stopped = |guest: &mut Guest| (guest.node, guest.status) = (pve(1), Known(GuestStatus::Stopped));
    assert_eq!(is_empty(emptied().guest(vm(), stopped)), StepStatus::Done);
}

#[test]
fn what_runs_on_a_node_is_known_from_ha_alone() {
    let at = |node: u32, target: Option<u32>, state: Option<HaServiceState>| {
        is_empty(emptied().managed(vm()).ha(|ha| {
            let service = ha.services.get_mut(&vm()).unwrap();
            (service.node, service.target, service.state) = (Some(pve(node)), target.map(pve), state);
        }))
    };
    blocked(at(1, None, Some(HaServiceState::Started)), "vm:101");
    blocked(at(1, None, None), "vm:101");
    blocked(at(2, Some(1), Some(HaServiceState::Migrate)), "vm:101");
    for idle in [HaServiceState::Stopped, HaServiceState::Error, HaServiceState::Freeze] {
        assert_eq!(at(1, None, Some(idle)), StepStatus::Done, "{idle:?}");
    }
    assert_eq!(at(2, None, Some(HaServiceState::Started)), StepStatus::Done);
    blocked(is_empty(emptied().change(|world| world.ha = gap())), "timed out");
}

#[test]
fn what_runs_on_a_node_is_known_from_its_tasks_alone() {
    blocked(is_empty(emptied().change(|world| world.jobs = Known(vec![job("vzdump", None)]))), "vzdump");
    let elsewhere = Job { node: pve(2), ..job("vzdump", None) };
    assert_eq!(is_empty(emptied().change(|world| world.jobs = Known(vec![elsewhere]))), StepStatus::Done);
    blocked(is_empty(emptied().change(|world| world.jobs = gap())), "timed out");
}

fn is_back(world: Fixture) -> StepStatus {
    status(WaitBack { node: pve(1), without: Default::default() }, world)
}

fn view(world: &mut Snapshot, viewer: u32) -> &mut QuorumView {
    world.quorum.get_mut(&pve(viewer)).and_then(Observed::known_mut).expect("a fixture's views are known")
}

#[test]
fn a_node_is_back_only_with_each_service_that_makes_it_a_member() {
    assert_eq!(is_back(fixture()), StepStatus::Done);
    for needed in NEEDED_SERVICES {
        let down = |node: &mut Node| {
            let services = node.services.known_mut().unwrap();
            services.iter_mut().filter(|service| service.name == needed).for_each(|service| service.active = false);
        };
        blocked(is_back(fixture().node("pve1", down)), needed);
    }
    let other = Service { name: "postfix".into(), active: false, state: "dead".into(), enabled: true };
    let down = |node: &mut Node| node.services.known_mut().unwrap().push(other);
    assert_eq!(is_back(fixture().node("pve1", down)), StepStatus::Done);
    blocked(is_back(fixture().node("pve1", |node| node.services = gap())), "timed out");
}

#[test]
fn a_node_is_back_only_with_each_storage_that_is_meant_for_it() {
    let inactive = |node: &mut Node| {
        node.storages.known_mut().unwrap().values_mut().for_each(|storage| storage.active = false);
    };
    blocked(is_back(fixture().node("pve1", inactive)), "shared");
    blocked(is_back(fixture().node("pve1", |node| node.storages = Known([].into()))), "shared");
    blocked(is_back(fixture().node("pve1", |node| node.storages = gap())), "timed out");
    let not_here = |world: &mut Snapshot| {
        let storages = world.storages.known_mut().unwrap();
        storages.values_mut().for_each(|storage| storage.nodes = Some([pve(2)].into()));
    };
    assert_eq!(is_back(fixture().node("pve1", inactive).change(not_here)), StepStatus::Done);
}

#[test]
fn a_node_is_back_only_as_a_member_that_all_others_count_and_reach() {
    blocked(is_back(fixture().node("pve1", |node| node.online = Known(false))), "pve1");
    blocked(is_back(fixture().node("pve1", |node| node.online = gap())), "timed out");
    blocked(is_back(fixture().change(|world| view(world, 2).members.retain(|name, _| *name != pve(1)))), "pve2");
    blocked(is_back(fixture().change(|world| view(world, 1).members.retain(|name, _| *name != pve(1)))), "pve1");
    blocked(is_back(fixture().change(|world| drop(view(world, 2).links.remove(&pve(1))))), "pve2");
    let down = |world: &mut Snapshot| view(world, 3).links.get_mut(&pve(1)).unwrap()[0].connected = false;
    blocked(is_back(fixture().change(down)), "pve3");
    blocked(is_back(fixture().change(|world| view(world, 3).configured_links = 2)), "pve3");
    blocked(is_back(fixture().change(|world| drop(world.quorum.insert(pve(2), gap())))), "timed out");
    // What another node that is down says of it, nobody knows.
    let gone = fixture().node("pve2", |node| node.online = Known(false));
    assert_eq!(is_back(gone.change(|world| drop(world.quorum.insert(pve(2), gap())))), StepStatus::Done);
}

#[test]
fn a_node_is_back_only_where_every_view_is_quorate() {
    for viewer in 1..=3 {
        let status = is_back(fixture().change(|world| view(world, viewer).quorate = false));
        blocked(status, &format!("pve{viewer}"));
    }
}

#[test]
fn a_node_is_back_only_once_ceph_is_clean() {
    let check =
        CephHealthCheck { severity: HealthLevel::Warn, message: "1/3 mons down".into(), muted: false, accepted: false };
    let raised = |code: &str, muted: bool| {
        let check = CephHealthCheck { muted, ..check.clone() };
        fixture().change(|world| drop(ceph(world).checks.insert(code.to_owned(), check)))
    };
    blocked(is_back(raised("MON_DOWN", false)), "MON_DOWN");
    assert_eq!(is_back(raised("MON_DOWN", true)), StepStatus::Done, "muted");
    assert_eq!(is_back(raised("OSDMAP_FLAGS", false)), StepStatus::Done, "our own noout");
    blocked(is_back(fixture().change(|world| ceph(world).pgs[0].state = "active+degraded".into())), "active+degraded");
    blocked(is_back(fixture().change(|world| world.ceph = gap())), "timed out");
    assert_eq!(is_back(fixture().change(|world| world.ceph = Known(None))), StepStatus::Done);
    let old = |node: &'static str| {
        move |world: &mut Snapshot| drop(ceph(world).installed.insert(node.into(), "19.2.4".into()))
    };
    blocked(is_back(fixture().change(old("pve1"))), "19.2.4 is installed");
    assert_eq!(is_back(fixture().change(old("pve2"))), StepStatus::Done, "that node has its own turn");
}

fn final_check(world: Fixture) -> StepStatus {
    status(FinalCheck::default(), world)
}

#[test]
fn the_final_check_asks_for_each_node_for_ha_and_for_ceph() {
    let whole = || ["pve1", "pve2", "pve3"].iter().fold(fixture(), |world, node| world.upgraded(node));
    assert_eq!(final_check(whole()), StepStatus::Done);
    blocked(final_check(whole().node("pve2", |node| node.online = Known(false))), "pve2");
    blocked(final_check(whole().node("pve2", |node| node.online = gap())), "timed out");
    let pending = |node: &mut Node| {
        let package = PendingPackage { name: "tar".into(), from: None, to: "2".into(), origin: "Debian".into() };
        node.packages.known_mut().unwrap().pending.push(package);
    };
    // Waiting ends none of these: the node has another turn.
    impossible(final_check(whole().node("pve2", pending)), "pve2");
    blocked(final_check(whole().node("pve2", |node| node.packages = gap())), "timed out");
    let old = |node: &mut Node| node.kernel.known_mut().unwrap().running = "6.17.2-1-pve".into();
    impossible(final_check(whole().node("pve2", old)), "pve2");
    let asks = |node: &mut Node| node.reboot_required = Known(Some(Vec::new()));
    impossible(final_check(whole().node("pve2", asks)), "pve2: a reboot was asked for");
    blocked(final_check(whole().node("pve2", |node| node.kernel = gap())), "timed out");
    blocked(final_check(whole().change(|world| ceph(world).pgs.clear())), "placement groups");
    let waits = |world: &mut Snapshot| drop(ceph(world).installed.insert(pve(2), "19.2.4".into()));
    impossible(final_check(whole().change(waits)), "19.2.4 is installed");
    blocked(final_check(whole().change(|world| world.ceph = gap())), "timed out");
    blocked(final_check(whole().managed(vm()).ha(|ha| ha.nodes.extend([(pve(2), HaNodeState::Maintenance)]))), "pve2");
    let moving = |world: &mut Snapshot| service(world, HaRequest::Started, Some(HaServiceState::Migrate));
    blocked(final_check(whole().managed(vm()).change(moving)), "vm:101");
    blocked(final_check(whole().change(|world| world.ha = gap())), "timed out");
}

#[test]
fn ha_is_idle_only_without_a_node_or_a_guest_that_is_not_as_asked() {
    let idle = |world: Fixture| status(WaitHaIdle { node: pve(1) }, world);
    assert_eq!(idle(ha(HaRequest::Started, Some(HaServiceState::Started))), StepStatus::Done);
    assert_eq!(idle(ha(HaRequest::Stopped, Some(HaServiceState::Stopped))), StepStatus::Done);
    assert_eq!(idle(ha(HaRequest::Ignored, Some(HaServiceState::Migrate))), StepStatus::Done);
    blocked(idle(ha(HaRequest::Started, Some(HaServiceState::Stopped))), "vm:101");
    blocked(idle(ha(HaRequest::Started, Some(HaServiceState::Error))), "vm:101");
    blocked(idle(ha(HaRequest::Started, None)), "vm:101");
    let returns = |ha: &mut Ha| ha.services.get_mut(&vm()).unwrap().maintenance_node = Some(pve(2));
    blocked(idle(ha(HaRequest::Started, Some(HaServiceState::Started)).ha(returns)), "vm:101");
    let fenced = |ha: &mut Ha| ha.nodes.extend([(pve(3), HaNodeState::Fence)]);
    blocked(idle(ha(HaRequest::Started, Some(HaServiceState::Started)).ha(fenced)), "pve3");
}

fn upgrade(world: Fixture) -> StepStatus {
    status(UpgradePackages { node: pve(1), unit: "quorate-upgrade-t".into() }, world)
}

#[test]
fn packages_are_never_upgraded_where_that_would_remove_proxmox_ve() {
    let removes = |name: &str| {
        let removals = vec![name.to_owned()];
        upgrade(fixture().node("pve1", |node| node.packages.known_mut().unwrap().removals = removals))
    };
    blocked(removes("proxmox-ve"), "proxmox-ve");
    assert_eq!(removes("libold1"), StepStatus::Ready);
}

#[test]
fn packages_are_upgraded_once_nothing_holds_dpkg_and_done_once_nothing_is_left() {
    assert_eq!(upgrade(fixture()), StepStatus::Ready);
    assert_eq!(upgrade(fixture().upgraded("pve1")), StepStatus::Done);
    let packages = |change: fn(&mut Packages)| {
        move |node: &mut Node| change(node.packages.known_mut().expect("a fixture's packages are known"))
    };
    blocked(upgrade(fixture().node("pve1", packages(|it| it.locked = true))), "pve1");
    blocked(upgrade(fixture().upgraded("pve1").node("pve1", packages(|it| it.locked = true))), "pve1");
    let broken = packages(|it| it.broken.push("qemu-server".to_owned()));
    assert_eq!(upgrade(fixture().upgraded("pve1").node("pve1", broken)), StepStatus::Ready);
    blocked(upgrade(fixture().node("pve1", |node| node.packages = gap())), "timed out");
    blocked(upgrade(fixture().node("pve1", |node| node.upgrade_unit = gap())), "timed out");
    let unit = |name: &str, state: UnitState| {
        let unit = UpgradeUnit { unit: name.into(), state };
        fixture().node("pve1", |node| node.upgrade_unit = Known(Some(unit)))
    };
    running(upgrade(unit("quorate-upgrade-t-2", UnitState::Running)));
    assert_eq!(upgrade(unit("quorate-upgrade-t", UnitState::Ended(UnitOutcome::Success))), StepStatus::Ready);
    assert_eq!(upgrade(unit("quorate-upgrade-of-another-run", UnitState::Running)), StepStatus::Ready);
}

fn reboot(world: Fixture) -> StepStatus {
    status(Reboot { node: pve(1), from_boot: "boot-pve1".into() }, world)
}

#[test]
fn a_reboot_is_done_only_in_another_boot_with_the_kernel_that_was_meant() {
    let boots = |node: &mut Node| node.boot = Known("another".into());
    assert_eq!(reboot(fixture()), StepStatus::Ready);
    assert_eq!(reboot(fixture().upgraded("pve1").node("pve1", boots)), StepStatus::Done);
    let newer = |node: &mut Node| node.kernel.known_mut().unwrap().installed.push("6.17.4-1-pve".into());
    impossible(reboot(fixture().node("pve1", boots).node("pve1", newer)), "6.17.2-1-pve");
    running(reboot(fixture().node("pve1", |node| node.online = Known(false))));
    blocked(reboot(fixture().node("pve1", |node| node.online = gap())), "timed out");
    running(reboot(fixture().node("pve1", |node| node.boot = gap())));
    running(reboot(fixture().node("pve1", boots).node("pve1", |node| node.kernel = gap())));
}

fn migrate(mode: MoveMode, world: Fixture) -> StepStatus {
    status(Migrate { guest: vm(), from: pve(1), to: pve(2), mode, storages: [].into() }, world)
}

#[test]
fn a_migration_is_under_way_by_its_task_its_lock_or_ha_each_alone() {
    running(migrate(MoveMode::Live, with_job("qmigrate")));
    assert_eq!(migrate(MoveMode::Live, with_job("vncproxy")), StepStatus::Ready);
    let lock = |lock: &str| {
        let lock = Known(Some(Lock(lock.to_owned())));
        fixture().guest(vm(), |guest| guest.lock = lock)
    };
    running(migrate(MoveMode::Live, lock("migrate")));
    blocked(migrate(MoveMode::Live, lock("backup")), "backup");
    for state in [HaServiceState::Migrate, HaServiceState::Relocate] {
        running(migrate(MoveMode::Ha, ha(HaRequest::Started, Some(state))));
    }
}

#[test]
fn a_migration_begins_only_towards_a_node_that_takes_the_guest() {
    let live = |world: Fixture| migrate(MoveMode::Live, world);
    assert_eq!(live(fixture()), StepStatus::Ready);
    blocked(live(fixture().node("pve2", |node| node.online = Known(false))), "pve2");
    blocked(live(fixture().node("pve2", |node| node.online = gap())), "timed out");
    blocked(live(fixture().guest(vm(), |guest| guest.lock = gap())), "timed out");
    blocked(live(fixture().guest(vm(), |guest| guest.migration = gap())), "timed out");
    let refused = |facts: &mut MigrationFacts| {
        facts.refused.insert(pve(2), vec![TargetRefusal::Other("no such bridge".to_owned())]);
    };
    // What a map of storages covers is no refusal.
    let lacks = |facts: &mut MigrationFacts| {
        facts.refused.insert(pve(2), vec![TargetRefusal::Storages(vec!["nvme-pve1".into()])]);
    };
    let mapped = |storages: &[(&str, &str)]| {
        let storages = storages.iter().map(|(here, there)| ((*here).into(), (*there).into())).collect();
        let mode = MoveMode::LiveWithDisks;
        status(Migrate { guest: vm(), from: pve(1), to: pve(2), mode, storages }, fixture().facts(vm(), lacks))
    };
    blocked(mapped(&[]), "nvme-pve1");
    blocked(mapped(&[("other", "nvme-pve2")]), "nvme-pve1");
    assert_eq!(mapped(&[("nvme-pve1", "nvme-pve2")]), StepStatus::Ready);
    blocked(live(fixture().facts(vm(), refused)), "no such bridge");
    let through_ha = |request, state| migrate(MoveMode::Ha, ha(request, state));
    assert_eq!(through_ha(HaRequest::Started, Some(HaServiceState::Started)), StepStatus::Ready);
    blocked(through_ha(HaRequest::Started, Some(HaServiceState::RequestStart)), "vm:101");
    impossible(migrate(MoveMode::Ha, fixture()), "vm:101");
    let away = |ha: &mut Ha| ha.nodes.extend([(pve(2), HaNodeState::Maintenance)]);
    blocked(migrate(MoveMode::Ha, ha(HaRequest::Started, Some(HaServiceState::Started)).ha(away)), "pve2");
}

#[test]
fn a_migration_ends_where_it_should_or_is_for_a_new_plan() {
    let at = |node: u32| fixture().guest(vm(), move |guest| guest.node = pve(node));
    assert_eq!(migrate(MoveMode::Live, at(2)), StepStatus::Done);
    impossible(migrate(MoveMode::Live, at(3)), "pve3");
    impossible(migrate(MoveMode::Live, fixture().stopped(vm())), "vm:101");
    impossible(migrate(MoveMode::Offline, fixture()), "vm:101");
    assert_eq!(migrate(MoveMode::Offline, fixture().stopped(vm())), StepStatus::Ready);
    let gone = |seen: Observed<bool>| {
        fixture().change(move |world| (world.sees_all_guests, _) = (seen, world.guests.remove(&vm())))
    };
    impossible(migrate(MoveMode::Live, gone(Known(true))), "vm:101");
    blocked(migrate(MoveMode::Live, gone(Known(false))), "all guests");
    blocked(migrate(MoveMode::Live, fixture().guest(vm(), |guest| guest.status = gap())), "timed out");
    // Arrived, and stopped there: someone did that, or it crashed.
    let there = || Fixture::cluster(3).vm(101, "pve2", 4).stopped(vm());
    impossible(migrate(MoveMode::Live, there()), "vm:101");
    blocked(migrate(MoveMode::Live, there().guest(vm(), |guest| guest.lock = gap())), "vm:101");
    assert_eq!(migrate(MoveMode::Restart, there()), StepStatus::HalfDone);
    blocked(
        migrate(MoveMode::Restart, there().guest(vm(), |guest| guest.lock = Known(Some(Lock("x".into()))))),
        "vm:101",
    );
    // Its new node has to say so itself.
    blocked(migrate(MoveMode::Live, there().node("pve2", |node| node.local_guests = gap())), "vm:101");
}

#[test]
fn a_shutdown_is_done_only_once_ha_has_noted_it() {
    let shutdown = |world: Fixture| status(ShutdownGuest { guest: vm(), node: pve(1) }, world);
    let stopped = |request, state| shutdown(ha(request, state).stopped(vm()));
    assert_eq!(shutdown(fixture()), StepStatus::Ready);
    running(shutdown(with_job("qmshutdown")));
    assert_eq!(shutdown(fixture().stopped(vm())), StepStatus::Done);
    assert_eq!(stopped(HaRequest::Ignored, None), StepStatus::Done);
    assert_eq!(stopped(HaRequest::Started, Some(HaServiceState::Started)), StepStatus::Ready, "HA would start it");
    assert_eq!(stopped(HaRequest::Stopped, Some(HaServiceState::Stopped)), StepStatus::Done);
    running(stopped(HaRequest::Stopped, Some(HaServiceState::RequestStop)));
    running(shutdown(ha(HaRequest::Stopped, Some(HaServiceState::RequestStop))));
    blocked(shutdown(fixture().guest(vm(), |guest| guest.lock = Known(Some(Lock("backup".into()))))), "backup");
    blocked(shutdown(fixture().guest(vm(), |guest| guest.status = Known(GuestStatus::Paused))), "vm:101");
    blocked(shutdown(fixture().guest(vm(), |guest| guest.status = gap())), "timed out");
    impossible(shutdown(fixture().guest(vm(), |guest| guest.node = pve(2))), "pve2");
}

#[test]
fn a_guest_hibernates_where_its_state_has_a_place_and_a_failure_is_told() {
    let hibernate =
        |world: Fixture| status(HibernateGuest { guest: vm(), node: pve(1), storage: "shared".into() }, world);
    let locked = |lock: &str| {
        let lock = Lock(lock.to_owned());
        move |guest: &mut Guest| guest.lock = Known(Some(lock))
    };
    assert_eq!(hibernate(fixture()), StepStatus::Ready);
    running(hibernate(with_job("qmsuspend").guest(vm(), locked("suspending"))));
    assert_eq!(hibernate(fixture().stopped(vm()).guest(vm(), locked("suspended"))), StepStatus::Done);
    blocked(hibernate(fixture().guest(vm(), locked("suspending"))), "qm unlock 101");
    blocked(hibernate(fixture().guest(vm(), locked("backup"))), "backup");
    blocked(hibernate(fixture().guest(vm(), |guest| guest.lock = gap())), "timed out");
    blocked(hibernate(fixture().guest(vm(), |guest| guest.status = Known(GuestStatus::Paused))), "vm:101");
    impossible(hibernate(ha(HaRequest::Started, Some(HaServiceState::Started))), "none of HA's guests");
    let away = |node: &mut Node| node.storages.known_mut().unwrap().clear();
    blocked(hibernate(fixture().node("pve1", away)), "shared");
    blocked(hibernate(fixture().node("pve1", |node| node.storages = gap())), "timed out");
    impossible(hibernate(fixture().guest(vm(), |guest| guest.node = pve(2))), "pve2");
    // Its start is the only one that PVE does not refuse for a lock, and not while the writing goes on.
    let start = |world: Fixture| status(StartGuest { guest: vm(), node: pve(1) }, world);
    assert_eq!(start(fixture().stopped(vm()).guest(vm(), locked("suspended"))), StepStatus::Ready);
    blocked(start(fixture().stopped(vm()).guest(vm(), locked("suspending"))), "suspending");
    running(start(with_job("qmsuspend")));
    let mut world = fixture().stopped(vm()).guest(vm(), locked("suspended")).snapshot();
    Step::from(StartGuest { guest: vm(), node: pve(1) }).after(&mut world);
    assert!(world.guests[&vm()].lock.is(&None) && world.guests[&vm()].status.is(&GuestStatus::Running));
}

#[test]
fn a_start_is_done_only_once_ha_wants_the_guest_to_run() {
    let start = |world: Fixture| status(StartGuest { guest: vm(), node: pve(1) }, world);
    let stopped = |request, state| start(ha(request, state).stopped(vm()));
    assert_eq!(start(fixture()), StepStatus::Done);
    assert_eq!(start(fixture().stopped(vm())), StepStatus::Ready);
    running(start(with_job("qmstart").stopped(vm())));
    assert_eq!(start(ha(HaRequest::Started, Some(HaServiceState::Started))), StepStatus::Done);
    assert_eq!(start(ha(HaRequest::Stopped, Some(HaServiceState::Stopped))), StepStatus::Ready, "HA would stop it");
    running(stopped(HaRequest::Started, Some(HaServiceState::RequestStart)));
    assert_eq!(stopped(HaRequest::Stopped, Some(HaServiceState::Stopped)), StepStatus::Ready);
    let locked = |guest: &mut Guest| guest.lock = Known(Some(Lock("backup".into())));
    blocked(start(fixture().stopped(vm()).guest(vm(), locked)), "backup");
    blocked(start(fixture().guest(vm(), |guest| guest.status = gap())), "timed out");
    impossible(start(fixture().guest(vm(), |guest| guest.node = pve(2))), "pve2");
}

/// A storage that all nodes should have, active on those that are named.
fn with_media(active_on: &[u32], nodes: Option<&[u32]>) -> Fixture {
    let media = Storage {
        id: "media".into(),
        kind: "nfs".to_owned(),
        shared: true,
        nodes: nodes.map(|nodes| nodes.iter().map(|node| pve(*node)).collect()),
        disabled: false,
        content: ["iso".to_owned()].into(),
    };
    fixture().change(|world| {
        world.storages.known_mut().unwrap().insert("media".into(), media.clone());
        for number in 1..=3 {
            let active = active_on.contains(&number);
            let there = world.nodes.get_mut(&pve(number)).unwrap().storages.known_mut().unwrap();
            there.insert("media".into(), StorageOnNode { active, free_bytes: 1 });
        }
    })
}

#[test]
fn a_node_is_back_without_a_storage_that_no_node_reaches_and_that_is_told() {
    blocked(is_back(with_media(&[2, 3], None)), "storage media is not active on pve1");
    blocked(is_back(with_media(&[3], None)), "storage media is not active on pve1");
    let away = with_media(&[], None);
    let told =
        Step::from(WaitBack { node: pve(1), without: Default::default() }).not_waited_for(&away.clone().snapshot());
    assert_eq!(Why::line(&told), "storage media is active on no node");
    assert_eq!(is_back(away), StepStatus::Done);
    // A node that could not be asked may have it; one that is offline says nothing either way.
    let unread = |world: Fixture| world.node("pve3", |node| node.storages = gap());
    blocked(is_back(unread(with_media(&[], None))), "storage media is not active on pve1");
    let offline = |world: Fixture| {
        world.node("pve3", |node| (node.online, node.storages) = (Known(false), gap())).change(|world| {
            world.quorum.remove(&pve(3));
        })
    };
    assert_eq!(is_back(offline(with_media(&[], None))), StepStatus::Done);
    // Where no other node should have it, nothing says that it is away everywhere; nor does anything of a local one.
    blocked(is_back(with_media(&[], Some(&[1]))), "storage media is not active on pve1");
    let local = |world: &mut Snapshot| {
        world.storages.known_mut().unwrap().get_mut(&"media".into()).unwrap().shared = false;
    };
    blocked(is_back(with_media(&[], None).change(local)), "storage media is not active on pve1");
}

#[test]
fn a_node_is_back_without_what_was_away_before_its_turn_and_that_is_told() {
    let back = Step::from(WaitBack { node: pve(1), without: ["media".into()].into() });
    let world = with_media(&[2, 3], None).snapshot();
    assert_eq!(back.kind().status(&world), StepStatus::Done);
    assert_eq!(Why::line(&back.not_waited_for(&world)), "storage media is not active on pve1");
    assert_eq!(back.not_waited_for(&with_media(&[1, 2, 3], None).snapshot()), []);
}

#[test]
fn a_link_that_another_node_has_lost_to_everybody_does_not_hold_the_return_of_this_one() {
    let lost = |to: &'static [u32]| {
        move |world: &mut Snapshot| {
            let view = view(world, 2);
            for other in to {
                view.links.get_mut(&pve(*other)).unwrap()[0].connected = false;
            }
        }
    };
    blocked(is_back(fixture().change(lost(&[1]))), "pve2 does not reach pve1 over all links");
    let world = fixture().change(lost(&[1, 3]));
    let told =
        Step::from(WaitBack { node: pve(1), without: Default::default() }).not_waited_for(&world.clone().snapshot());
    assert_eq!(Why::line(&told), "pve2 does not reach pve1 over all links");
    assert_eq!(is_back(world), StepStatus::Done);
}

#[test]
fn noout_is_about_the_osds_that_lacked_it_and_its_undo_about_the_same() {
    let of_osd = |world: &mut Snapshot, id: u32| {
        ceph(world).node_flags.insert(format!("osd.{id}"), ["noout".to_owned()].into());
    };
    let two_osds = fixture().change(|world| {
        let osd = ceph(world).osds.values().find(|osd| osd.node == pve(1)).unwrap().clone();
        ceph(world).osds.insert(crate::ids::OsdId(7), osd);
    });
    let world = two_osds.clone().snapshot();
    let all = Noout::missing(world.ceph().unwrap(), &pve(1)).unwrap();
    assert_eq!(all.osds.len(), 2);
    // One has the flag from an administrator: it is left out, and so is never cleared.
    let world = two_osds.clone().change(|world| of_osd(world, 7));
    let rest = Noout::missing(world.clone().snapshot().ceph().unwrap(), &pve(1)).unwrap();
    assert_eq!((rest.osds.len(), rest.osds.contains(&crate::ids::OsdId(7))), (1, false));
    assert_eq!(status(set(rest.clone()), world.clone()), StepStatus::Ready);
    assert_eq!(status(undo(rest.clone()), world.clone()), StepStatus::Done);
    // Half of what it is about is set: both the setting and the undo have something to do.
    assert_eq!(status(set(all.clone()), world.clone()), StepStatus::Ready);
    assert_eq!(status(undo(all.clone()), world), StepStatus::Ready);
    assert_eq!(
        set(all.clone()).kind().title(),
        "set noout for the OSDs of pve1 (osd.0, osd.7)",
        "whoever looks for it by host finds nothing"
    );
    assert_eq!(undo(Noout::by_host(pve(1))).kind().title(), "clear noout for the OSDs of pve1");
    let many = Noout { node: pve(1), osds: (0..10).map(crate::ids::OsdId).collect() };
    assert!(set(many).kind().title().ends_with("osd.4, osd.5 and 4 more)"));
    let command = set(all).kind().command(&two_osds.clone().snapshot()).unwrap().to_string();
    assert!(command.contains("ceph osd set-group noout osd.0 osd.7"), "{command}");
    // Where all have it, by whichever name, there is nothing to set.
    let by_host = two_osds.change(|world| {
        ceph(world).node_flags.insert("pve1".to_owned(), ["noout".to_owned()].into());
    });
    assert_eq!(Noout::missing(by_host.snapshot().ceph().unwrap(), &pve(1)), None);
}

#[test]
fn a_live_move_takes_connections_along_where_both_ends_can_and_by_no_other_way() {
    let sent = |mode, from: Observed<bool>, to: Observed<bool>| {
        let world = fixture().managed(vm()).node("pve1", |node| node.moves_connections = from);
        let world = world.node("pve2", |node| node.moves_connections = to).snapshot();
        let step = Step::from(Migrate { guest: vm(), from: pve(1), to: pve(2), mode, storages: [].into() });
        step.kind().command(&world).unwrap().to_string()
    };
    let both = |mode| sent(mode, Known(true), Known(true)).contains("--with-conntrack-state 1");
    assert!(both(MoveMode::Live) && both(MoveMode::LiveWithDisks));
    assert!(!both(MoveMode::Restart) && !both(MoveMode::Offline) && !both(MoveMode::Ha));
    for (from, to) in
        [(Known(true), Known(false)), (Known(false), Known(true)), (gap(), Known(true)), (Known(true), gap())]
    {
        assert!(!sent(MoveMode::Live, from, to).contains("conntrack"), "a release that does not know it refuses");
    }
}
