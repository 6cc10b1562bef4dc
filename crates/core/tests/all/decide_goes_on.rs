//! A pause whose cause is gone ends by itself, and no other.

use quorate_core::checks::{Finding, Severity};
use quorate_core::fence::Unfenced;
use quorate_core::ids::NodeName;
use quorate_core::run::{Action, Depth, Event, Objection, Pause, StepOutcome, Stuck};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::Step;

use super::decide_inputs::{NOW, at, decided, decided_at, finding, guarded, paused, plan, seen, state, with, world};

#[test]
fn a_pause_whose_cause_is_gone_ends_by_itself_and_what_a_person_must_decide_does_not() {
    let resumes = |action: Action| matches!(action, Action::Resume { .. });
    let pauses = |pause: Pause| with(state(), Event::Paused { pause });
    let no_lock = pauses(Pause::NoLock { why: "test".into() });
    assert!(resumes(decided(&no_lock, &seen(&no_lock, &world()))), "it is held again");

    let bad = finding("upgrade-checker", Severity::Blocking);
    let node = NodeName::from("pve1");
    let held = pauses(Pause::FoundBeforeNode { node, findings: vec![bad.clone()] });
    let finds = |findings: Option<Vec<Finding>>| {
        let mut seen = seen(&held, &world());
        seen.look.as_mut().unwrap().findings = findings;
        decided(&held, &seen)
    };
    assert!(resumes(finds(Some(vec![finding("upgrade-checker", Severity::Warning)]))));
    for still in [Some(vec![bad]), None] {
        assert!(matches!(finds(still), Action::Wait { then: Depth::Everything, .. }), "not known to be gone");
    }
    // The lock has to be renewed and requests have to be heard meanwhile: the waits are as short as always.
    let since = |seconds: u64| {
        let mut world = world();
        world.taken = NOW;
        let mut seen = seen(&held, &world);
        seen.look.as_mut().unwrap().findings = None;
        decided_at(&held, &seen, at(seconds))
    };
    assert!(matches!(since(59), Action::Wait { poll_s: 10, then: Depth::Changes, .. }));
    assert!(matches!(since(60), Action::Wait { poll_s: 10, then: Depth::Everything, .. }));
    assert!(matches!(decided(&paused(), &seen(&paused(), &world())), Action::Wait { then: Depth::Changes, .. }));
}

#[test]
fn a_step_that_is_done_late_or_has_nothing_in_its_way_any_more_continues_the_run() {
    let planned = plan(&world()).steps().map(|(_, planned)| planned.clone()).find(|step| step.step.is_move()).unwrap();
    let (id, step) = (planned.id, planned.step);
    let command = step.kind().command(&world());
    let begun = Event::StepStarted { id: id.clone(), step: step.clone(), attempt: 1, command, undo: None };
    let how = |stuck: Stuck| {
        let pause = Pause::StepStuck { step: step.clone(), how: stuck, answer: None };
        with(with(state(), begun.clone()), Event::Paused { pause })
    };
    let late = how(Stuck::Deadline { deadline_s: 1, waiting: Vec::new() });
    let done = with(late.clone(), Event::StepEnded { id, step: step.clone(), outcome: StepOutcome::Done });
    assert!(matches!(decided(&done, &seen(&done, &world())), Action::Resume { .. }));

    // It had no effect, and may be sent again. With attempts used up that is for a person.
    let then = at(3_600);
    assert!(matches!(decided_at(&late, &seen(&late, &world()), then), Action::Resume { .. }));
    let objects = |_: &Step, _: &[&Step], _: &Snapshot| Err(vec![Objection::Unfenced(Unfenced::NoDriver)]);
    let in_its_way = guarded(&mut late.clone(), &seen(&late, &world()), then, &objects);
    assert!(matches!(in_its_way, Action::Wait { .. }), "{in_its_way:?}");
    let tried = how(Stuck::Attempts { attempts: 3 });
    assert!(matches!(decided_at(&tried, &seen(&tried, &world()), then), Action::Wait { .. }));
}
