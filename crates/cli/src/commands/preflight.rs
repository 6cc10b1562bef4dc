//! `quorate preflight`: what is in the way of a run.

use quorate_core::checks::{self, Finding, Severity};

use super::source::{self, Args};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let (snapshot, policy) = source::look(args, context).await?;
    let findings = checks::run_all(&snapshot, &policy);
    match context.format() {
        Format::Text => render::preflight::findings(&findings).print(),
        Format::Json => findings.iter().for_each(print_json),
    }
    Ok(if blocks(&findings) { Exit::Blocked } else { Exit::Ok })
}

/// Does any of these forbid a run?
pub(crate) fn blocks(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Blocking)
}
