//! `quorate preflight`: what is in the way of a run.

use quorate_core::checks::{Finding, Severity};
use quorate_engine::Prepared;

use super::source::{self, PlanArgs};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;

pub(super) async fn perform(args: &PlanArgs, context: &Context) -> Result<Exit, Failure> {
    let (Prepared { findings, .. }, _) = source::prepared(args, context).await?;
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
