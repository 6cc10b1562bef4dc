//! The SSH side of a node: public keys, one command per channel, connections that end with the machine.
//!
//! A command takes effect when it is asked for; its output comes when it would have ended. A client that hangs up
//! in between does not undo it.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_wire::{Follow, ShellAnswer, ShellExit};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey, run_stream,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet, SshId};
use tokio::net::TcpStream;

use super::keys::SshKey;
use super::shared::Shared;

/// Bytes between the network and the session, which the pump moves: what a cut throws away.
const PUMP_BYTES: usize = 64 << 10;

/// The server's settings for one node.
fn config(host_key: &SshKey) -> Arc<Config> {
    Arc::new(Config {
        server_id: SshId::Standard("SSH-2.0-OpenSSH_10.0p2 Debian-7".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // The default of one second would only slow tests down.
        auth_rejection_time: Duration::from_millis(10),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key.private.clone()],
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

/// The SSH of one node.
#[derive(Clone)]
pub(super) struct Host {
    shared: Arc<Shared>,
    node: NodeName,
    config: Arc<Config>,
}

impl Host {
    pub(super) fn new(shared: Arc<Shared>, node: NodeName, host_key: &SshKey) -> Self {
        Self { shared, node, config: config(host_key) }
    }

    /// Runs a session behind a pump. The session's own task cannot be stopped, so the pump is: dropping this
    /// future ends the pump, and the session then sees the end of its connection.
    pub(super) async fn connection(self, mut stream: TcpStream) {
        let (mut near, far) = tokio::io::duplex(PUMP_BYTES);
        let session = RootSession { shared: self.shared, node: self.node };
        tokio::spawn(async move {
            if let Ok(session) = run_stream(self.config, far, session).await {
                let _ = session.await;
            }
        });
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut near).await;
    }
}

struct RootSession {
    shared: Arc<Shared>,
    node: NodeName,
}

impl RootSession {
    fn accepts(&self, user: &str, key: &russh::keys::PublicKey) -> bool {
        user == "root" && key.key_data() == self.shared.root_key.public_key().key_data()
    }
}

impl Handler for RootSession {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.accepts(user, offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.accepts(user, key.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let command = String::from_utf8_lossy(command).into_owned();
        let answer = self.shared.with(|wire, world| wire.shell(world, &self.node, &command));
        let (handle, shared, node) = (session.handle(), self.shared.clone(), self.node.clone());
        tokio::spawn(async move {
            shared.clock.sleep(answer.delay).await;
            // A client that has hung up meanwhile only misses the answer.
            let _ = match &answer.follows {
                None => send(&handle, channel, answer).await,
                Some(follow) => send(&handle, channel, end_of(&shared, &node, follow).await).await,
            };
        });
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        let text = format!(
            "This is {}, a node of a simulated cluster: it runs one command at a time (ssh root@… pvecm status).\r\n",
            self.node
        );
        session.data(channel, text.into_bytes())?;
        session.exit_status_request(channel, 1)?;
        session.eof(channel)?;
        session.close(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}

/// Waits until the work that a foreground program waits for is over.
async fn end_of(shared: &Shared, node: &NodeName, follow: &Follow) -> ShellAnswer {
    loop {
        if let Some(end) = shared.with(|wire, world| wire.followed(world, node, follow)) {
            return end;
        }
        shared.clock.sleep(Duration::from_secs(1)).await;
    }
}

async fn send(handle: &Handle, channel: ChannelId, answer: ShellAnswer) -> Result<(), ()> {
    /// Standard error's number in the protocol.
    const STDERR: u32 = 1;
    if !answer.stdout.is_empty() {
        handle.data(channel, answer.stdout.into_bytes()).await.map_err(drop)?;
    }
    if !answer.stderr.is_empty() {
        handle.extended_data(channel, STDERR, answer.stderr.into_bytes()).await.map_err(drop)?;
    }
    let ShellExit::Status(status) = answer.exit;
    // The protocol's number is unsigned; an exit status has eight bits.
    handle.exit_status_request(channel, u32::from(status.to_le_bytes()[0])).await?;
    handle.eof(channel).await?;
    handle.close(channel).await
}
