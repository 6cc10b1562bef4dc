//! Login shells that print something of their own.

use super::check::{Asked, Check, UNSEEN, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct LoginText;

kinds! {
    Prints { node: NodeName, text: String } => Blocking, node,
        ("the login shell of root on {node} prints text of its own, before or after what programs print: {text:?}"),
        ("Let it print to terminals only. On {node}, as the first line of /root/.bashrc (or of what prints it: \
          /etc/bash.bashrc, /root/.ssh/rc): [[ $- == *i* ]] || return");
}

impl Check for LoginText {
    const ID: &'static str = "login-text";
    const EXPLAIN: &'static str =
        "Programs are run on the nodes by SSH, and what they print is read. A greeting that .bashrc prints in every \
         session, also in those with a command, cannot be told from it. So before anything is read from a node, one \
         program is run whose output is known exactly; if there is more, everything else of that node by SSH is \
         unknown, and this finding says why. scp and rsync fail for the same reason. Print a greeting to terminals \
         only, by `[[ $- == *i* ]] || return` as the first line of /root/.bashrc.";
    const WAIVABLE: Waivable = Waivable::Never(UNSEEN);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let prints = online(snapshot).filter_map(|node| Some((&node.name, node.login_text.as_ref()?)));
        found.extend(prints.map(|(node, text)| Found::Prints { node: node.clone(), text: text.clone() }));
    }
}
