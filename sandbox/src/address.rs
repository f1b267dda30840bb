//! Addresses of pods and Services: which ranges they come from and who has which.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// IPv4 range of the pods.
pub const POD_RANGE_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 244, 0, 0), 16);
/// IPv6 range of the pods.
pub const POD_RANGE_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0, 0), 64);
/// IPv4 range of the Services.
pub const SERVICE_RANGE_V4: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 16);
/// IPv6 range of the Services.
pub const SERVICE_RANGE_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 0), 112);

/// Highest number in a range: 65,535 is IPv4's broadcast address.
const LAST: u16 = u16::MAX - 1;

/// Both addresses of a pod, of the bridge or of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// IPv4.
    pub v4: Ipv4Addr,
    /// IPv6.
    pub v6: Ipv6Addr,
}

/// Every range is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address is left in the range: at most {LAST} pods or Services")]
pub struct RangeFull;

/// Hands out numbers of one kind, never one that is still in use, and a freed one as late as it can.
#[derive(Debug)]
pub struct Allocator {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    used: BTreeSet<u16>,
    next: u16,
}

impl Allocator {
    /// For pods; `10.244.0.1` is the bridge's.
    pub fn pods() -> Self {
        Self { v4: POD_RANGE_V4.0, v6: POD_RANGE_V6.0, used: BTreeSet::from([1]), next: 2 }
    }

    /// For Services.
    pub fn services() -> Self {
        Self { v4: SERVICE_RANGE_V4.0, v6: SERVICE_RANGE_V6.0, used: BTreeSet::new(), next: 1 }
    }

    /// The bridge's own addresses, which are the pods' gateway.
    pub fn gateway() -> AddressPair {
        Self::pods().pair(1)
    }

    /// A pair that nobody has.
    ///
    /// # Errors
    /// [`RangeFull`].
    pub fn take(&mut self) -> Result<AddressPair, RangeFull> {
        let candidates = (self.next..=LAST).chain(1..self.next);
        let number = candidates.into_iter().find(|number| !self.used.contains(number)).ok_or(RangeFull)?;
        self.used.insert(number);
        self.next = if number == LAST { 1 } else { number + 1 };
        Ok(self.pair(number))
    }

    /// Gives a pair back.
    pub fn release(&mut self, pair: AddressPair) {
        if let Some(number) = self.number(IpAddr::V4(pair.v4)) {
            self.used.remove(&number);
        }
    }

    /// Takes the pair that holds `address`; `false` where it is out of range or taken.
    pub fn reserve(&mut self, address: IpAddr) -> Option<AddressPair> {
        let number = self.number(address)?;
        self.used.insert(number).then(|| self.pair(number))
    }

    fn number(&self, address: IpAddr) -> Option<u16> {
        let number = match address {
            IpAddr::V4(address) => u32::from(address).checked_sub(u32::from(self.v4))?.try_into().ok()?,
            IpAddr::V6(address) => u128::from(address).checked_sub(u128::from(self.v6))?.try_into().ok()?,
        };
        (1..=LAST).contains(&number).then_some(number)
    }

    fn pair(&self, number: u16) -> AddressPair {
        AddressPair {
            v4: Ipv4Addr::from(u32::from(self.v4) + u32::from(number)),
            v6: Ipv6Addr::from(u128::from(self.v6) + u128::from(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_unique_and_begin_after_the_gateway() {
        let mut pods = Allocator::pods();
        let first = pods.take().unwrap();
        assert_eq!(first.v4, Ipv4Addr::new(10, 244, 0, 2));
        assert_eq!(first.v6, "fd00:244::2".parse::<Ipv6Addr>().unwrap());
        assert_ne!(pods.take().unwrap(), first);
        assert_ne!(Allocator::gateway(), first);
    }

    #[test]
    fn a_freed_address_is_reused_only_after_all_others() {
        let mut services = Allocator::services();
        let first = services.take().unwrap();
        services.release(first);
        assert_ne!(services.take().unwrap(), first);
        for _ in 1..LAST - 1 {
            services.take().unwrap();
        }
        assert_eq!(services.take(), Ok(first));
        assert_eq!(services.take(), Err(RangeFull));
    }

    #[test]
    fn a_reserved_address_is_not_handed_out() {
        let mut services = Allocator::services();
        let asked = services.reserve("10.96.0.1".parse().unwrap()).unwrap();
        assert_ne!(services.take().unwrap(), asked);
        assert_eq!(services.reserve("10.96.0.1".parse().unwrap()), None);
        assert_eq!(services.reserve("192.0.2.1".parse().unwrap()), None);
    }
}
