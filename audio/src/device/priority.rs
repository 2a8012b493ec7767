//! Real-time scheduling of the threads that sound waits for.

/// Asks for real-time scheduling of the calling thread. Most systems refuse it to ordinary users, and playing works without.
///
/// # Real-time
/// A few system calls that do not wait; once in a thread's life.
pub fn raise_priority() -> bool {
    #[cfg(unix)]
    {
        use thread_priority::unix::{
            RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        use thread_priority::{ThreadPriority, ThreadPriorityValue};
        // Far below what the system's own real-time threads use (the sound server's among them).
        let Ok(low) = ThreadPriorityValue::try_from(10u8) else { return false };
        set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Crossplatform(low),
            ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
        )
        .is_ok()
    }
    #[cfg(not(unix))]
    {
        thread_priority::set_current_thread_priority(thread_priority::ThreadPriority::Max).is_ok()
    }
}
