use quorate_core::fixture::Fixture;
use quorate_core::planner;
use quorate_core::policy::Policy;

#[test]
fn speed() {
    let mut fixture = Fixture::cluster(32).ceph();
    for guest in 0..640_u32 {
        fixture = fixture.vm(1000 + guest, &format!("pve{}", 1 + guest % 32), 2);
    }
    let mut snapshot = fixture.snapshot();
    for node in snapshot.nodes.values_mut() {
        if let Some(cpu) = node.cpu.known_mut() {
            cpu.flags = (0..120).map(|flag| format!("flag-{flag}")).collect();
        }
    }
    for guest in snapshot.guests.values_mut() {
        guest.tags = ["prod".to_owned(), "web".to_owned()].into();
    }
    let policy = Policy::default();
    let ongoing = planner::Ongoing::fresh("quorate-upgrade-x".into());
    let plan = planner::plan(&snapshot, &policy, &ongoing).unwrap();
    let steps = plan.steps().count();
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        quorate_core::forecast::verify(&plan, &snapshot, &policy).unwrap();
    }
    eprintln!("SPEED {} steps, {:?} each", steps, begun.elapsed() / 3);
}
