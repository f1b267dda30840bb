//! A timer of the kernel's: the runtime's own rounds up to a millisecond, which would be in every latency.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;
use std::{io, mem, ptr};

use tokio::io::unix::AsyncFd;

/// Ticks at a constant interval.
pub struct Ticks(AsyncFd<OwnedFd>);

impl Ticks {
    /// The first tick is one interval from now.
    pub fn every(interval: Duration) -> io::Result<Self> {
        // SAFETY: takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let span = libc::timespec {
            tv_sec: libc::time_t::try_from(interval.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: interval.subsec_nanos().into(),
        };
        let setting = libc::itimerspec { it_interval: span, it_value: span };
        // SAFETY: the descriptor is open, the setting lives through the call, and the old one is not asked for.
        match unsafe { libc::timerfd_settime(fd.as_raw_fd(), 0, &raw const setting, ptr::null_mut()) } {
            // SAFETY: the descriptor is owned, so it stays open and the same one for as long as it is registered.
            0 => Ok(Self(unsafe { AsyncFd::register(fd) }?)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// How many ticks there were since the last call, at least one.
    pub async fn next(&self) -> io::Result<u64> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|timer| {
                let mut ticks = 0_u64;
                // SAFETY: the descriptor is open, and eight bytes fit into a u64.
                match unsafe { libc::read(timer.as_raw_fd(), (&raw mut ticks).cast(), mem::size_of::<u64>()) } {
                    8 => Ok(ticks),
                    _ => Err(io::Error::last_os_error()),
                }
            });
            if let Ok(ticks) = read {
                return ticks;
            }
        }
    }
}
