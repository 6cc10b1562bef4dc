//! Before a run begins: one page of what will happen, the consents that are still missing, and a word.
//!
//! Nothing on the cluster is changed before the word is given, the package lists and the driver's own lock aside.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::plan::Plan;
use quorate_core::policy::ConsentKind;
use quorate_engine::Driver;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::begin::About;
use crate::render::page::Page;
use crate::render::plan::Detail;
use crate::terminal::{self, ask, somebody_is_there};

/// How often the lock in the cluster is renewed while somebody reads and thinks.
const KEEP: Duration = Duration::from_secs(15);

/// So many words that are not the cluster's name, and the question is taken for refused.
const TRIES: usize = 5;

/// What a person said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Begin. These consents were given here.
    Begin(BTreeSet<ConsentKind>),
    /// These consents were refused.
    NotThese(BTreeSet<ConsentKind>),
    /// No.
    No,
}

/// Asks for the missing consents one by one, and then for the cluster's name.
pub(super) async fn asked(about: &About<'_>, missing: BTreeSet<ConsentKind>, driver: &Driver<'_>) -> Word {
    for kind in &missing {
        consent_page(about.plan, *kind).print_err();
        ask("Do you agree? [y/N]").await;
        match answer(driver).await.as_deref() {
            Some("y" | "yes") => {}
            None => return Word::No,
            Some(_) => return Word::NotThese(missing),
        }
    }
    let name = about.snapshot.cluster_name.known().map_or("", String::as_str);
    let mut tries = 0;
    while tries < TRIES {
        ask("[s]teps [c]ommands [p]ackages    Type the cluster's name to begin:").await;
        match answer(driver).await.as_deref() {
            Some(word) if !name.is_empty() && word == name => return Word::Begin(missing),
            Some("s") => shown(about, Detail::Steps).print_err(),
            Some("c") => shown(about, Detail::Commands).print_err(),
            Some("p") => render::begin::packages(about.plan).print_err(),
            None | Some("n" | "no" | "q" | "quit") => return Word::No,
            Some(_) => {
                tries += 1;
                render::begin::page(about).print_err();
            }
        }
    }
    Word::No
}

/// A line, while the lock is kept; none at the end of the input.
#[allow(clippy::disallowed_methods, reason = "a person thinks in real time")]
async fn answer(driver: &Driver<'_>) -> Option<String> {
    loop {
        tokio::select! {
            line = terminal::line() => return line,
            () = tokio::time::sleep(KEEP) => driver.keep_lock().await,
        }
    }
}

fn shown(about: &About<'_>, detail: Detail) -> Page {
    render::plan::with_report(about.plan, about.report, about.snapshot, about.policy, detail)
}

/// What is asked: what happens to which guests, and for how long.
fn consent_page(plan: &Plan, kind: ConsentKind) -> Page {
    const MOST: usize = 12;
    let mut page = Page::default();
    page.gap();
    page.line(format!("This plan needs your consent ({}):", render::log::consent(kind)));
    let these: Vec<_> = plan.consents.iter().filter(|consent| consent.kind == kind).collect();
    for consent in these.iter().take(MOST) {
        let time = match consent.downtime_s {
            0 => String::new(),
            seconds => format!(", down for ~{}", render::units::duration(seconds)),
        };
        page.line(format!("  {}{time}", consent.what));
    }
    if these.len() > MOST {
        page.line(format!("  and {} more", these.len() - MOST));
    }
    page
}

/// Nobody is there, and the command line does not say that this is meant.
pub(super) fn demand_somebody(verb: &str, yes: bool, json: bool) -> Result<(), Failure> {
    if yes || (somebody_is_there() && !json) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::NeedsConsent,
        format!(
            "`quorate {verb}` shows what it will do and asks for the cluster's name, and nobody is here to be asked"
        ),
        "Nothing was started.",
        &[&format!(
            "At a terminal: `quorate {verb}`. In a script, with the consents in the configuration: `quorate {verb} --yes`."
        )],
    ))
}
