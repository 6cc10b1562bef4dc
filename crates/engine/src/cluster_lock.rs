//! The driver's lock in the cluster itself, so that two administrators on two laptops cannot both upgrade it.
//!
//! It is a directory under `/etc/pve/priv/lock`: making it is atomic over the whole cluster, it needs quorum, and
//! pmxcfs itself releases one that was not touched for two minutes and whose unlock someone requests by setting
//! its time to 0 (pve-cluster, `memdb_lock_expired`). So a dead driver does not hold it for ever. Beside it is a
//! file that names the driver and the last event of its journal. Each change of that file is made on a node only if
//! the file is still as it was read: so a change that comes late does nothing.
//!
//! A lock that names another driver, even one of the same run, is that driver's until it has expired. The file is kept
//! when the lock is released, so that an older or a copied journal is told by it. The whole argument is in
//! `docs/safety/one-driver.md`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_core::ids::{DriverId, NodeName, RunId, UnixMs};
use quorate_core::run::Hold;
use quorate_core::snapshot::{DriverLock, JournalHead, LOCK_TTL_S, OlderJournal};
use quorate_journal::{Holder, Journal, JournalError};
use quorate_pve::observe::DRIVER_LOCK_FILE;
use quorate_pve::ports::Ports;
use tokio::sync::Mutex as AsyncMutex;

use crate::lock_file::{Change, LockFile, Made};

/// It may be taken away after 120 s; three renewals may fail before that.
const RENEW_S: u64 = 30;

/// After this long without a renewal another driver may have the lock: nothing is started then.
const SURE_S: u64 = 100;

/// A renewal beside a call that failed is not tried again before this.
const AGAIN_S: u64 = 20;

/// The lock as this driver has it.
pub(crate) struct ClusterLock {
    ports: Ports,
    run: RunId,
    holder: Holder,
    /// A driver that is surely gone, because its lock on the journal is ours: its lock here need not expire.
    gone: Option<DriverId>,
    at: LockFile,
    known: Mutex<Known>,
    read: AsyncMutex<Read>,
}

/// What is known without asking.
#[derive(Default)]
struct Known {
    /// When a renewal was last tried beside a call.
    tried: Option<UnixMs>,
    head: Option<JournalHead>,
    /// The first event of the journal.
    origin: String,
    /// The head that is in the file.
    written: Option<JournalHead>,
    /// When the last renewal that succeeded was begun.
    renewed: Option<UnixMs>,
    ended: bool,
    /// Whatever the file says of a newer journal: an administrator has given that up.
    others_are_given_up: bool,
}

/// The file, as far as it was read.
#[derive(Default)]
struct Read {
    /// What we wrote last; none if that is in doubt.
    ours: Option<String>,
    /// When we made the lock's directory.
    made: Option<UnixMs>,
    /// Another driver's, and since when it has not changed.
    watched: Option<(String, UnixMs)>,
}

/// How a renewal went.
enum Renewal {
    Done,
    /// The file does not name us any more.
    Lost,
    Unsure(String),
}

impl ClusterLock {
    pub(crate) fn new(ports: Ports, run: RunId, holder: Holder, gone: Option<DriverId>) -> Self {
        let (at, known, read) = (LockFile::new(ports.clone()), Mutex::default(), AsyncMutex::default());
        Self { ports, run, holder, gone, at, known, read }
    }

    /// The administrator has given up the journal that the file is about.
    pub(crate) fn give_up_other_journals(&self) {
        self.known().others_are_given_up = true;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nodes to ask, in this order.
    pub(crate) fn ask(&self, nodes: Vec<NodeName>) {
        self.at.ask(nodes);
    }

    /// The journal has come this far.
    pub(crate) fn note(&self, journal: &Journal, ended: bool) -> Result<(), JournalError> {
        let (head, origin) = (journal.head()?, journal.origin()?);
        let mut known = self.known();
        (known.head, known.origin, known.ended) = (Some(head), origin.unwrap_or_default(), ended);
        Ok(())
    }

    /// Can no other driver have the lock now?
    pub(crate) fn is_surely_ours(&self) -> bool {
        let now = self.ports.clock.now();
        // A clock that was set back says nothing about the time since then.
        self.known().renewed.is_some_and(|renewed| renewed <= now && now < renewed.plus_s(SURE_S))
    }

    /// Takes the lock, or renews it when that is due.
    pub(crate) async fn hold(&self, journal: &Journal) -> Result<Hold, JournalError> {
        let mut file = self.read.lock().await;
        if !self.is_due() {
            return Ok(Hold::Ours);
        }
        if self.known().renewed.is_some() {
            match self.renew(&mut file).await {
                Renewal::Done => return Ok(Hold::Ours),
                Renewal::Unsure(_) if self.is_surely_ours() => return Ok(Hold::Ours),
                Renewal::Unsure(why) => return Ok(Hold::Unsure(why)),
                Renewal::Lost => {}
            }
        }
        self.come(&mut file, journal).await
    }

    /// Renews the lock if it is ours and that is due. For the middle of something that takes long: whether it is still
    /// ours is decided later.
    pub(crate) async fn renew_if_due(&self) {
        if self.known().renewed.is_some()
            && self.is_due()
            && !self.was_tried_just_now()
            && let Ok(mut file) = self.read.try_lock()
        {
            self.known().tried = Some(self.ports.clock.now());
            self.renew(&mut file).await;
        }
    }

    /// Writes the journal's last event into the file, unless it is there: no order is sent before. Whoever comes with a
    /// journal that does not know of the order is told by it.
    pub(crate) async fn write_down(&self) {
        let is_written = {
            let known = self.known();
            known.renewed.is_none() || known.written == known.head
        };
        if !is_written {
            self.renew(&mut *self.read.lock().await).await;
        }
    }

    /// Is the journal's last event in the file?
    pub(crate) fn is_written_down(&self) -> bool {
        let known = self.known();
        known.written == known.head
    }

    /// Where it cannot be renewed, each attempt costs the call that waits for it, and a look would see nothing else.
    fn was_tried_just_now(&self) -> bool {
        let now = self.ports.clock.now();
        self.known().tried.is_some_and(|tried| now >= tried && now.since_s(tried) < AGAIN_S)
    }

    fn is_due(&self) -> bool {
        let now = self.ports.clock.now();
        self.known().renewed.is_none_or(|renewed| now < renewed || now.since_s(renewed) >= RENEW_S)
    }

    async fn renew(&self, file: &mut Read) -> Renewal {
        let begun = self.ports.clock.now();
        // Once more if the answer to our own last change was lost.
        for _ in 0..2 {
            let before = match file.ours.take() {
                Some(ours) => ours,
                None => match self.at.read().await {
                    Ok(Some(text)) if self.is_ours(&text) => text,
                    Ok(_) => return self.lost(),
                    Err(why) => return Renewal::Unsure(why),
                },
            };
            let (text, head) = self.content(begun, false);
            match self.at.replace(&before, &text).await {
                Change::Made => {
                    self.wrote(file, text, head, begun);
                    return Renewal::Done;
                }
                Change::Refused => {}
                Change::Unsure(why) => return Renewal::Unsure(why),
            }
        }
        Renewal::Unsure("the file of the lock changes while it is renewed".to_owned())
    }

    fn lost(&self) -> Renewal {
        let mut known = self.known();
        (known.renewed, known.written) = (None, None);
        Renewal::Lost
    }

    fn wrote(&self, file: &mut Read, text: String, head: Option<JournalHead>, begun: UnixMs) {
        (file.ours, file.watched) = (Some(text), None);
        let mut known = self.known();
        (known.renewed, known.written) = (Some(begun), head);
    }

    /// Comes to a lock that is not ours.
    async fn come(&self, file: &mut Read, journal: &Journal) -> Result<Hold, JournalError> {
        let text = match self.at.read().await {
            Ok(text) => text,
            Err(why) => return Ok(Hold::Unsure(why)),
        };
        let lock = text.as_deref().map(serde_json::from_str::<DriverLock>);
        match (lock, text) {
            (Some(Ok(_)), Some(text)) if self.is_ours(&text) => {
                file.ours = Some(text);
                Ok(match self.renew(file).await {
                    Renewal::Done => Hold::Ours,
                    Renewal::Lost => Hold::Unsure("another driver came first".to_owned()),
                    Renewal::Unsure(why) => Hold::Unsure(why),
                })
            }
            (Some(Ok(lock)), Some(text)) => {
                let is_of_ours = journal.origin()?.as_ref() == Some(&lock.journal);
                if is_of_ours && !journal.has(&lock.head)? && !self.known().others_are_given_up {
                    let older = OlderJournal { lock, ours: journal.head()? };
                    return Ok(Hold::OlderJournal(Box::new(older)));
                }
                let is_gone = self.gone.as_ref() == Some(&lock.id);
                match self.watch(file, &lock, &text).filter(|_| !lock.released && !is_gone) {
                    Some(hold) => Ok(hold),
                    None => Ok(self.take(file, Some(text), is_gone).await),
                }
            }
            (Some(Err(_)), Some(text)) => Ok(self.clear(file, text).await),
            _ => Ok(self.take(file, None, false).await),
        }
    }

    /// Another driver's lock that was not released: has it expired? By the clocks, if they agree; otherwise it is watched
    /// for its whole time to live. One that is renewed meanwhile has a driver that lives.
    fn watch(&self, file: &mut Read, lock: &DriverLock, text: &str) -> Option<Hold> {
        let now = self.ports.clock.now();
        let before = file.watched.take();
        let names_it = |text: &str| serde_json::from_str::<DriverLock>(text).is_ok_and(|other| other.id == lock.id);
        if before.as_ref().is_some_and(|(before, _)| before != text && names_it(before)) {
            return Some(Hold::Theirs(lock.holder.clone()));
        }
        let since = before.filter(|(before, since)| before == text && *since <= now).map_or(now, |(_, since)| since);
        file.watched = Some((text.to_owned(), since));
        let left_s = LOCK_TTL_S.saturating_sub(now.since_s(since));
        (lock.may_live(now) && left_s > 0).then(|| {
            Hold::Unsure(format!(
                "{} holds it for run {}; if that driver does not renew it within two minutes, it is taken over",
                lock.holder, lock.run
            ))
        })
    }

    /// A file that nobody can read is nobody's once it has not changed for the whole time to live.
    async fn clear(&self, file: &mut Read, text: String) -> Hold {
        let now = self.ports.clock.now();
        let before = file.watched.take().filter(|(before, since)| *before == text && *since <= now);
        let since = before.map_or(now, |(_, since)| since);
        file.watched = Some((text, since));
        if now.since_s(since) < LOCK_TTL_S {
            return Hold::Unsure(format!("{DRIVER_LOCK_FILE} cannot be understood; whose it is shows in two minutes"));
        }
        match self.at.remove().await {
            Ok(()) => self.take(file, None, false).await,
            Err(why) => Hold::Unsure(why),
        }
    }

    /// Takes a lock that nobody holds. What is in the file by then decides.
    async fn take(&self, file: &mut Read, before: Option<String>, is_gone: bool) -> Hold {
        let begun = self.ports.clock.now();
        let just_made = file.made.is_some_and(|made| made <= begun && begun.since_s(made) < SURE_S);
        if !is_gone && !just_made {
            self.at.expire().await;
        }
        match self.at.make().await {
            Made::Yes => file.made = Some(begun),
            Made::Exists if is_gone || just_made => {}
            Made::Exists => {
                return Hold::Unsure(
                    "a driver has just taken it, or has just died; it expires in two minutes".to_owned(),
                );
            }
            Made::Unsure(why) => return Hold::Unsure(why),
        }
        let (text, head) = self.content(begun, false);
        let change = match &before {
            Some(before) => self.at.replace(before, &text).await,
            None => self.at.create(&text).await,
        };
        match change {
            Change::Made => {
                self.wrote(file, text, head, begun);
                Hold::Ours
            }
            Change::Refused => Hold::Unsure("another driver came first".to_owned()),
            Change::Unsure(why) => Hold::Unsure(why),
        }
    }

    /// Releases the lock. One that stays behind expires by itself. The file stays, with the journal's last event.
    pub(crate) async fn release(&self) {
        let mut file = self.read.lock().await;
        if self.known().renewed.take().is_none() {
            return;
        }
        let before = match file.ours.take() {
            Some(ours) => Some(ours),
            None => self.at.read().await.ok().flatten().filter(|text| self.is_ours(text)),
        };
        let Some(before) = before else { return };
        let (text, _) = self.content(self.ports.clock.now(), true);
        if matches!(self.at.replace(&before, &text).await, Change::Made) {
            self.at.unmake().await;
        }
    }

    fn content(&self, now: UnixMs, released: bool) -> (String, Option<JournalHead>) {
        let known = self.known();
        let head = known.head.clone();
        let lock = DriverLock {
            run: self.run.to_string(),
            holder: self.holder.text.clone(),
            id: self.holder.id.clone(),
            head: head.clone().unwrap_or(JournalHead { seq: 0, hash: String::new() }),
            journal: known.origin.clone(),
            renewed: now,
            released,
            ended: known.ended,
        };
        (serde_json::to_string(&lock).expect("a lock is plain data and always serialises"), head)
    }

    fn is_ours(&self, text: &str) -> bool {
        serde_json::from_str::<DriverLock>(text).is_ok_and(|lock| lock.id == self.holder.id && !lock.released)
    }
}
