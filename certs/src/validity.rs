//! The span of time that a certificate is good for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// Clocks of two machines may differ by this much without a new certificate being "not yet valid".
const SKEW: Duration = Duration::from_secs(300);

/// From when to when a certificate holds, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

/// A span that no certificate can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidityError {
    /// It ends before it begins.
    #[error("the validity ends before it begins")]
    Empty,
    /// Certificates count from 1970 to 9999.
    #[error("the validity lies outside of what a certificate can say")]
    Range,
}

impl Validity {
    /// `lifetime` from `now`, begun a little in the past (300 s, and a tenth of the lifetime at most) for clocks that differ.
    pub fn lasting(now: SystemTime, lifetime: Duration) -> Self {
        let skew = SKEW.min(lifetime / 10);
        Self { not_before: now.checked_sub(skew).unwrap_or(now), not_after: now.checked_add(lifetime).unwrap_or(now) }
    }

    /// This span as far as it lies within `other`.
    pub(crate) fn within(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), not_after: self.not_after.min(other.not_after) }
    }

    pub(crate) fn dates(self) -> Result<(OffsetDateTime, OffsetDateTime), ValidityError> {
        if self.not_before >= self.not_after {
            return Err(ValidityError::Empty);
        }
        Ok((date(self.not_before)?, date(self.not_after)?))
    }

    /// What a parsed certificate says.
    pub(crate) fn of(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { not_before: moment(validity.not_before.timestamp()), not_after: moment(validity.not_after.timestamp()) }
    }
}

fn date(moment: SystemTime) -> Result<OffsetDateTime, ValidityError> {
    let since = moment.duration_since(UNIX_EPOCH).map_err(|_| ValidityError::Range)?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| ValidityError::Range)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| ValidityError::Range)
}

/// A moment before 1970 is as good as 1970: long over.
fn moment(unix_seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0))
}
