//! The open connections, so that one can be ended from another: whoever lost an answer asks for that, and knows then
//! that nothing more comes of what was asked.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stele_keeper_client::protocol::Welcome;

use crate::error::KeeperError;
use crate::keeper::Keeper;

/// How long one who ends a connection waits for what is under way on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// All open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    instance: String,
    numbers: AtomicU64,
    open: Mutex<HashMap<u64, Arc<UnixStream>>>,
    ended: Condvar,
}

/// An open connection. When this is dropped, its intents are settled and it is forgotten.
pub(crate) struct Connection {
    keeper: Arc<Keeper>,
    /// Its number in this life of the keeper.
    pub(crate) number: u64,
    /// Its socket.
    pub(crate) stream: Arc<UnixStream>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.keeper.connection_lost(self.number);
        self.keeper.connections.open().remove(&self.number);
        self.keeper.connections.ended.notify_all();
    }
}

impl Connections {
    /// None yet, in the life `instance` of the keeper.
    #[must_use]
    pub(crate) fn new(instance: String) -> Self {
        Self {
            instance,
            numbers: AtomicU64::new(1),
            open: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<UnixStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.open().len()
    }

    /// One more.
    #[must_use]
    pub(crate) fn begin(keeper: &Arc<Keeper>, stream: UnixStream) -> Connection {
        let number = keeper.connections.numbers.fetch_add(1, Ordering::Relaxed);
        let stream = Arc::new(stream);
        keeper.connections.open().insert(number, stream.clone());
        Connection {
            keeper: keeper.clone(),
            number,
            stream,
        }
    }

    /// How the caller may name this one later.
    #[must_use]
    pub(crate) fn name(&self, number: u64) -> Welcome {
        Welcome {
            instance: self.instance.clone(),
            number,
        }
    }

    /// Ends a connection, and waits until nothing that was asked on it is under way. Those of earlier lives have ended,
    /// and their intents were settled at the start.
    ///
    /// # Errors
    /// When `asking` is itself the one, or when it takes too long.
    pub(crate) fn end(&self, name: &Welcome, asking: u64) -> Result<(), KeeperError> {
        if name.instance != self.instance {
            return Ok(());
        }
        if name.number == asking {
            return Err(KeeperError::refused("a connection is not ended from itself"));
        }
        let open = self.open();
        if let Some(stream) = open.get(&name.number) {
            // What has arrived is still read and done; then the stream ends.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let (_open, waited) = self
            .ended
            .wait_timeout_while(open, PATIENCE, |open| open.contains_key(&name.number))
            .unwrap_or_else(PoisonError::into_inner);
        match waited.timed_out() {
            true => Err(KeeperError::Busy(format!(
                "connection {} is still at work",
                name.number
            ))),
            false => Ok(()),
        }
    }
}
