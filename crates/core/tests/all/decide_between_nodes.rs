//! Between two nodes a run rests when it was told to, and nowhere else.

use quorate_core::ids::NodeName;
use quorate_core::policy::PauseBetween;
use quorate_core::run::{Action, Event, Pause, PauseCause, RunState, WhyBetween};

use super::decide_inputs::{NOW, at, decided, decided_at, goes_on, plan, seen, state, with, world};

fn why(action: &Action) -> Option<&WhyBetween> {
    match action {
        Action::Pause(Pause::BetweenNodes { why, .. }) => Some(why),
        _ => None,
    }
}

/// A node was done just now, and the next one is not touched.
fn one_done() -> RunState {
    let mut state = state();
    state.done_nodes.insert(NodeName::from("pve9"), NOW);
    state
}

#[test]
fn a_pause_that_was_asked_for_comes_before_the_next_node_is_touched_and_a_resume_begins_that_node() {
    let asked = || with(state(), Event::PauseAsked { by: "anna".into() });
    let action = decided(&asked(), &seen(&asked(), &world()));
    let Action::Pause(pause) = action else { panic!("{action:?}") };
    assert_eq!(pause.cause(), PauseCause::Operator);
    let text = pause.lines().join("\n");
    assert!(text.contains("has not been touched: anna asked") && text.contains("Not done yet: pve"), "{text}");

    let resumed = with(with(asked(), Event::Paused { pause }), Event::Resumed { by: "anna".into() });
    assert!(goes_on(&decided(&resumed, &seen(&resumed, &world()))));

    // A node that has been touched is finished first.
    let first = plan(&world()).steps().map(|(_, planned)| planned.clone()).find(|step| step.step.is_move()).unwrap();
    let (id, step) = (first.id, first.step);
    let touched = with(asked(), Event::StepStarted { id, step, attempt: 0, command: None, undo: None });
    assert!(why(&decided(&touched, &seen(&touched, &world()))).is_none());
}

#[test]
fn it_pauses_by_itself_after_the_first_node_or_after_each_as_it_was_told() {
    let set = |mut state: RunState, pause: PauseBetween| {
        state.policy.between_nodes.pause = pause;
        decided(&state, &seen(&state, &world()))
    };
    let two_done = || {
        let mut state = one_done();
        state.done_nodes.insert(NodeName::from("pve8"), NOW);
        state
    };
    assert!(goes_on(&set(state(), PauseBetween::AfterEach)), "before the first one it was just asked");
    assert_eq!(why(&set(one_done(), PauseBetween::AfterFirst)), Some(&WhyBetween::AfterFirst));
    assert_eq!(why(&set(one_done(), PauseBetween::AfterEach)), Some(&WhyBetween::AfterEach));
    assert!(goes_on(&set(two_done(), PauseBetween::AfterFirst)));
    assert_eq!(why(&set(two_done(), PauseBetween::AfterEach)), Some(&WhyBetween::AfterEach));
    assert!(goes_on(&set(one_done(), PauseBetween::Never)));
}

#[test]
fn no_node_is_begun_that_would_not_be_done_in_time_and_a_resume_lifts_the_limit() {
    let needs_s = plan(&world()).node_steps[0].duration_s();
    let until = |seconds: u64| {
        let mut state = state();
        state.policy.between_nodes.until = Some(at(seconds));
        state
    };
    assert!(goes_on(&decided(&until(needs_s), &seen(&until(needs_s), &world()))));
    let late = until(needs_s - 1);
    let action = decided(&late, &seen(&late, &world()));
    assert_eq!(why(&action), Some(&WhyBetween::TooLate { needs_s, has_s: needs_s - 1 }));
    let Action::Pause(pause) = action else { unreachable!() };
    let resumed = with(with(late, Event::Paused { pause }), Event::Resumed { by: "anna".into() });
    assert_eq!(resumed.policy.between_nodes.until, None);
}

#[test]
fn a_soak_is_a_wait_from_the_end_of_the_node_and_no_pause() {
    let mut state = one_done();
    state.policy.between_nodes.soak_s = 600;
    let after = |seconds: u64| decided_at(&state, &seen(&state, &world()), at(seconds));
    assert!(matches!(after(0), Action::Wait { poll_s: 10, .. }));
    assert!(matches!(after(597), Action::Wait { poll_s: 3, .. }), "it ends on time");
    assert!(goes_on(&after(600)));
    let fresh = super::decide_inputs::state();
    assert!(goes_on(&decided(&fresh, &seen(&fresh, &world()))));
}
