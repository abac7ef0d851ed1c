//! Work that blocks, beside the loop.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// Runs `work` on a thread of its own; what it returns can be waited for. Tokio's pool for that panics where no thread can
/// be started.
pub(super) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<oneshot::Receiver<T>> {
    let (sender, receiver) = oneshot::channel();
    // Nobody listens where the answer is not worth waiting for.
    thread::Builder::new().spawn(move || drop(sender.send(work())))?;
    Ok(receiver)
}
