//! Counts the frames of progress that this process sends to others, from timely's own log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use timely::communication::Hooks;
use timely::communication::logging::{CommunicationEvent, CommunicationEventBuilder};
use timely::logging_core::Logger;

static FRAMES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Frames and bytes until now. The log buffers about the last hundred of each connection, so they may be missing.
pub fn sent() -> (u64, u64) {
    (FRAMES.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed))
}

/// Hooks that count. Only progress goes to all workers of another process in one frame, and of a single worker it
/// looks like data, so nothing is counted with one worker for each process.
pub fn counting_hooks() -> Hooks {
    Hooks {
        log_fn: Arc::new(|setup| {
            setup.sender.then(|| {
                Logger::<CommunicationEventBuilder>::new(
                    Instant::now(),
                    Duration::default(),
                    |_, events: &mut Option<Vec<(Duration, CommunicationEvent)>>| {
                        for (_, event) in events.iter().flatten() {
                            count(event);
                        }
                        if let Some(events) = events {
                            events.clear();
                        }
                    },
                )
            })
        }),
        ..Hooks::default()
    }
}

fn count(event: &CommunicationEvent) {
    if let CommunicationEvent::Message(message) = event {
        let header = &message.header;
        if message.is_send && header.target_upper - header.target_lower > 1 {
            FRAMES.fetch_add(1, Ordering::Relaxed);
            BYTES.fetch_add(header.required_bytes() as u64, Ordering::Relaxed);
        }
    }
}
