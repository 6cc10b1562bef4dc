//! One request on its way to the function: who is the caller, does the path exist, is the caller allowed to, where
//! does it run, are the parameters right.
//!
//! The order is PVE's: an unknown path is 501 even without privileges, a missing privilege is 403 even when the node
//! concerned is down, and only the node that it concerns looks at the parameters. A refusal looks as on the node that
//! refuses: the release of the one that was asked does not matter once it has forwarded.

use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_world::World;
use quorate_world::node::Node;
use serde_json::Value;

use super::table::{Found, find, paths};
use super::{Call, may};
use crate::access::{Caller, Intent, percent_decode};
use crate::answer::{ApiAnswer, CallRefused, ErrorBody, Reply, refused, success};
use crate::params::Args;
use crate::request::ApiRequest;
use crate::schema::{Needs, Release};
use crate::{Wire, api_listens, connect_failure, drops_connections, release};

/// The node that answers, and how long the way to it took.
struct Answering {
    answers: NodeName,
    delay: Duration,
}

/// Answers a request from outside.
pub(crate) fn answer(wire: &Wire, world: &mut World, request: &ApiRequest) -> ApiAnswer {
    let now_s = world.now_ms / 1000;
    let mut way = Answering { answers: request.asked.clone(), delay: Duration::ZERO };
    let mut answer = match serve(wire, world, request, &mut way) {
        Ok(reply) => success(reply, now_s),
        Err(refusal) => {
            let with_message = world.nodes.get(&way.answers).is_some_and(|node| release(node) >= (8, 4));
            let style = if with_message { ErrorBody::WithMessage } else { ErrorBody::Bare };
            refused(&refusal, style, now_s)
        }
    };
    answer.delay += way.delay;
    answer
}

fn serve(wire: &Wire, world: &mut World, request: &ApiRequest, way: &mut Answering) -> Result<Reply, CallRefused> {
    let asked = &world.nodes[&request.asked];
    if let Some(text) = fails_with(world, asked) {
        return Err(CallRefused::failed(text));
    }
    let unknown = || CallRefused::NotImplemented(format!("{} {}", request.method, percent_decode(&request.path)));
    if !request.body.is_empty() && matches!(request.method.as_str(), "GET" | "DELETE") {
        return Err(unknown());
    }
    let found = find(&request.method, &request.path);
    let open = found.as_ref().is_some_and(|(endpoint, _)| endpoint.schema.needs == Needs::Nothing);
    let caller = if open {
        Caller { user: String::new(), token: None }
    } else {
        let intent = if request.method == "GET" { Intent::Read } else { Intent::Change };
        let now_s = world.now_ms / 1000;
        wire.gate.authenticate(&world.access, &request.credentials, intent, now_s, release(asked))?
    };
    let found = found.ok_or_else(unknown)?;
    let args = Args::of(request)?;
    dispatch(wire, world, &caller, found, args, way)
}

/// A call from a shell on the node itself (`pvesh`): as root, with the same tables.
pub(crate) fn local(
    wire: &Wire,
    world: &mut World,
    node: &NodeName,
    method: &str,
    path: &str,
    args: Args,
) -> Result<Value, CallRefused> {
    let found = find(method, path).ok_or_else(|| CallRefused::NotImplemented(format!("{method} {path}")))?;
    let mut way = Answering { answers: node.clone(), delay: Duration::ZERO };
    Ok(dispatch(wire, world, &Caller::root(), found, args, &mut way)?.into_data())
}

fn dispatch(
    wire: &Wire,
    world: &mut World,
    caller: &Caller,
    (endpoint, names): Found,
    mut args: Args,
    way: &mut Answering,
) -> Result<Reply, CallRefused> {
    let schema = endpoint.schema;
    let unknown = || CallRefused::NotImplemented(format!("{} {}", schema.method, fill(&schema.path, &names)));
    let asked_release = release(&world.nodes[&way.answers]);
    if asked_release < schema.since {
        return Err(unknown());
    }
    permit(world, caller, &schema.needs, &names, asked_release)?;
    runs_on(world, &names, way)?;
    let release = release(&world.nodes[&way.answers]);
    if release < schema.since {
        return Err(unknown());
    }
    // A parameter may repeat what the path says, and some clients do that; it must not contradict the path.
    if let Some((name, _)) = names.iter().find(|(name, value)| args.get(name).is_some_and(|sent| sent != value)) {
        let text = "duplicate parameter (already defined in URI) with conflicting values!";
        return Err(CallRefused::parameter(name, text));
    }
    for (name, value) in &names {
        args.insert(name, value);
    }
    let errors = schema.params.errors(args.iter(), release);
    if !errors.is_empty() {
        return Err(CallRefused::Parameters(errors));
    }
    let node = way.answers.clone();
    (endpoint.run)(&mut Call { world, wire, caller, node, args, path: &schema.path, known: paths })
}

/// Checks whether the caller is allowed to do that.
fn permit(
    world: &World,
    caller: &Caller,
    needs: &Needs,
    names: &[(&str, String)],
    release: Release,
) -> Result<(), CallRefused> {
    let holds = |path: &str, privilege: &String| may(world, caller, path, &[privilege.as_str()]);
    match needs {
        Needs::Nothing | Needs::Login => Ok(()),
        Needs::Root if caller.is_root() => Ok(()),
        Needs::Root => Err(CallRefused::Forbidden("user != root@pam".to_owned())),
        Needs::All(path, privileges) => {
            let path = fill(path, names);
            match privileges.iter().find(|privilege| !holds(&path, privilege)) {
                Some(missing) => Err(CallRefused::Forbidden(format!("{path}, {missing}"))),
                None => Ok(()),
            }
        }
        Needs::Any(path, privileges) => {
            let path = fill(path, names);
            // All calls to the guest agent shared one privilege until 9.0.
            let agent = release < (9, 0) && privileges.iter().any(|privilege| privilege.starts_with("VM.GuestAgent."));
            let named = if agent { "VM.Monitor".to_owned() } else { privileges.join("|") };
            let held = privileges.iter().any(|privilege| holds(&path, privilege)) || (agent && holds(&path, &named));
            if held { Ok(()) } else { Err(CallRefused::Forbidden(format!("{path}, {named}"))) }
        }
        Needs::Or(ways) => {
            let mut last = Ok(());
            for way in ways {
                last = permit(world, caller, way, names, release);
                if last.is_ok() {
                    return last;
                }
            }
            last
        }
        Needs::Oneself => {
            let named = names.iter().find(|(name, _)| *name == "userid").map(|(_, user)| user.as_str());
            match named == Some(caller.user.as_str()) {
                true => Ok(()),
                false => Err(CallRefused::Forbidden("userid".to_owned())),
            }
        }
    }
}

/// Where a call runs: the path's node, reached from the one asked.
fn runs_on(world: &World, names: &[(&str, String)], way: &mut Answering) -> Result<(), CallRefused> {
    let named = names.iter().find(|(name, _)| *name == "node").map(|(_, node)| NodeName::new(node.as_str()));
    let Some(target) = named.filter(|target| target.as_str() != "localhost" && *target != way.answers) else {
        return Ok(());
    };
    let Some(node) = world.nodes.get(&target) else {
        return Err(CallRefused::failed(format!(
            "hostname lookup '{target}' failed - failed to get address info for: {target}: Temporary failure in name resolution"
        )));
    };
    if drops_connections(node, world.now_ms) {
        return Err(CallRefused::Proxy(596, "Connection reset by peer"));
    }
    if !api_listens(world, &target) {
        let (reason, takes) = connect_failure(node);
        way.delay += takes;
        return Err(CallRefused::Proxy(595, reason));
    }
    if let Some(text) = fails_with(world, node) {
        return Err(CallRefused::failed(text));
    }
    way.answers = target;
    Ok(())
}

/// Why every call at this node fails, if it does.
fn fails_with(world: &World, node: &Node) -> Option<String> {
    let away =
        world.pmxcfs_is_away(&node.name).then(|| "Unable to load access control list: Connection refused".into());
    node.api_error.clone().or(away)
}

fn fill(path: &str, names: &[(&str, String)]) -> String {
    names.iter().fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
}
